"""Planning a request: what is needed of each recipient, what stays the same, and what is refused, without any store."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from app.brands.brand import Brand, LinkPolicy, Page, Unsubscribe, Utm
from app.errors import InvalidRequest, TooLarge
from app.messages.draft import Addressee, Draft
from app.messages.planning import Plan, plan, plan_link
from app.models.block import FIRST_LINK_SLOT, Channel, Slot
from app.models.bot_policy import BotPolicy
from app.models.message import Recipient
from app.tracking.urls import TrackingUrls

BRAND = Brand(
    id="alder",
    name="Alder",
    channels=frozenset(Channel),
    tracking_hosts=("click.alder.example", "go.alder.example"),
    sms_host="go.alder.example",
    page=Page("Alder"),
    destinations=("alder.example",),
)
URLS = TrackingUrls("https")
HTML = '<body><a href="https://alder.example/a">A</a><a href="https://alder.example/a">A again</a></body>'


def people(count: int = 1, **values: str) -> list[Addressee]:
    return [Addressee(Recipient(f"u{n}@mail.example"), values=values) for n in range(count)]


def email(**change: object) -> Draft:
    return replace(Draft(Channel.EMAIL, people(), html=HTML, text="See https://alder.example/a"), **change)  # type: ignore[arg-type]  # a test's own


def sms(text: str | None = None, address: str = "+4915112345678") -> Draft:
    return Draft(Channel.SMS, [Addressee(Recipient(address))], text=text)


def planned(draft: Draft, brand: Brand = BRAND) -> Plan:
    return plan(brand, draft, with_content=True)


def test_each_anchor_is_a_link_and_the_text_shares_the_first() -> None:
    found = planned(email())
    assert [link.label for link in found.links] == ["A", "A again"]
    assert found.stride == FIRST_LINK_SLOT + 2
    assert found.slots == (Slot.PIXEL_FOOTER, Slot.UNSUBSCRIBE, 4, 5)
    assert found.size == found.stride
    assert planned(email(addressees=people(7))).size == 7 * found.stride


def test_only_urls_that_are_needed_are_made() -> None:
    assert planned(email(html=None, text="x", footer_pixel=False)).slots == (Slot.UNSUBSCRIBE,)
    assert planned(email(track_opens=False)).slots == (Slot.UNSUBSCRIBE, 4, 5)
    assert planned(email(track_clicks=False)).slots == (Slot.PIXEL_FOOTER, Slot.UNSUBSCRIBE)
    both = planned(email(header_pixel=True))
    assert (both.slots[:2], both.pixel) == ((Slot.PIXEL_HEADER, Slot.PIXEL_FOOTER), Slot.PIXEL_FOOTER)


def test_html_that_has_a_pixel_already_gets_no_url_for_another() -> None:
    found = planned(email(html='<img src="https://click.alder.example/o/abc.gif">'))
    assert found.pixel is None
    assert Slot.PIXEL_FOOTER not in found.slots


TRAPPING = replace(BRAND, bots=BotPolicy(trap_link=True))


def test_the_trap_is_the_last_link_behind_those_of_the_text() -> None:
    found = planned(email(text="See https://alder.example/b"), TRAPPING)
    assert [(link.destination[-2:], link.trap) for link in found.links] == [
        ("/a", False),
        ("/a", False),
        ("/b", False),
        ("/a", True),
    ]
    assert found.has_trap
    assert found.stride == FIRST_LINK_SLOT + 4
    assert found.slots == (Slot.PIXEL_FOOTER, Slot.UNSUBSCRIBE, 4, 5, 6, 7)
    assert found.told_urls == tuple(f"https://alder.example/{path}" for path in "aab")


@pytest.mark.parametrize(
    "draft",
    [
        email(html=None),
        email(track_clicks=False),
        email(html='<a href="mailto:a@alder.example">x</a>'),
        email(html='<a data-track="off" href="https://alder.example/">x</a>', text=None),
        email(html='<a href="https://alder.example/{{ id }}">x</a>', addressees=people(id="1")),
        sms("https://alder.example/"),
    ],
)
def test_content_without_a_tracked_link_in_html_gets_no_trap(draft: Draft) -> None:
    found = planned(draft, TRAPPING)
    assert not found.has_trap
    assert not any(link.trap for link in found.links)


def test_who_rewrites_the_content_gets_no_trap() -> None:
    assert not plan(TRAPPING, email(), with_content=False).has_trap


def test_a_single_link_gets_no_trap() -> None:
    assert not plan_link(TRAPPING, sms("{{ link }}"), "https://alder.example/").has_trap


def test_a_trap_whose_destination_names_the_person_leaves_the_block_too() -> None:
    found = planned(email(html='<a href="https://alder.example/?e=u0@mail.example">x</a>', text=None), TRAPPING)
    assert "mail.example" not in repr(found.links)
    assert found.links[-1].trap
    assert found.values[found.links[-1].destination[2:-2]] == "https://alder.example/?e=u0@mail.example"
    assert found.told_urls == ("https://alder.example/?e=u0@mail.example",)


def test_equal_requests_have_equal_fingerprints_and_other_settings_have_others() -> None:
    first = planned(email()).fingerprint(URLS)
    assert planned(email()).fingerprint(URLS) == first
    hosts = replace(BRAND, tracking_hosts=("t.alder.example",), sms_host="t.alder.example")
    mailto = replace(BRAND, unsubscribe=Unsubscribe(mailto="leave@alder.example"))
    utm = replace(BRAND, links=LinkPolicy(utm=Utm((("utm_source", "x"),))))
    pixel = replace(BRAND, header_pixel=True)
    for brand in (hosts, mailto, utm, pixel, TRAPPING):
        assert planned(email(), brand).fingerprint(URLS) != first
    assert planned(email()).fingerprint(TrackingUrls("http")) != first


def test_an_sms_stands_on_the_short_host_and_is_reckoned_with_the_longest_codes() -> None:
    found = planned(sms("https://alder.example/job {{unsubscribe_url}}"))
    preview = found.sms_preview(URLS)
    assert found.host == "go.alder.example"
    assert preview is not None
    assert preview.after.units == 2 * len("https://go.alder.example/c/mmmmmmmmmm") + 1
    assert planned(email()).sms_preview(URLS) is None


def test_the_first_twenty_recipients_without_a_value_are_named() -> None:
    html = '<a href="https://alder.example/{{ a }}">x</a>'
    draft = email(html=html, text=None, addressees=[*people(1, a="x"), *people(50)])
    with pytest.raises(InvalidRequest) as caught:
        planned(draft)
    assert caught.value.code == "invalid_values"
    assert [error["pointer"] for error in caught.value.errors] == [f"/recipients/{n}/values" for n in range(1, 21)]


def test_too_many_codes_are_refused_before_values_are_tried() -> None:
    html = "".join(f'<a href="https://alder.example/{n}/{{{{ a }}}}">x</a>' for n in range(500))
    with pytest.raises(TooLarge) as caught:
        planned(email(html=html, text=None, addressees=[*people(999, a="x"), *people(1, b="no value for it")]))
    assert caught.value.code == "batch_too_large"


def test_a_text_that_repeats_a_slot_is_reckoned_as_often() -> None:
    text = "{{unsubscribe_url}}" * 2000
    with pytest.raises(TooLarge) as caught:
        planned(email(html=None, text=text, addressees=people(1000)))
    assert caught.value.code == "response_too_large"


@pytest.mark.parametrize("opens", [True, False, None])
@pytest.mark.parametrize("ceiling", [True, False])
def test_a_mode_is_at_most_the_ceiling(opens: bool | None, ceiling: bool) -> None:
    brand = replace(BRAND, track_opens=ceiling)
    draft = email(track_opens=opens)
    if opens and not ceiling:
        with pytest.raises(InvalidRequest) as caught:
            planned(draft, brand)
        assert (caught.value.code, caught.value.status) == ("tracking_not_allowed", 422)
        return
    found = planned(draft, brand)
    assert found.track_opens is (ceiling if opens is None else opens)
    assert (found.pixel is not None) is found.track_opens


def test_a_single_link_is_the_only_one_of_its_text() -> None:
    found = plan_link(BRAND, sms("a {{ link }} b https://alder.example/other"), "https://alder.example/x")
    assert [link.destination for link in found.links] == ["https://alder.example/x"]
    assert found.text is not None
    assert found.text.parts == ("a ", 4, " b https://alder.example/other")
    assert found.draft.text == "a https://alder.example/x b https://alder.example/other"


def test_the_place_of_a_link_may_stand_next_to_anything() -> None:
    found = plan_link(BRAND, sms("{{unsubscribe_url}}{{link}}"), "https://alder.example/x")
    assert found.text is not None
    assert found.text.parts == ("", int(Slot.UNSUBSCRIBE), "", 4, "")


@pytest.mark.parametrize("text", ["{{ link }} \ud800", "\udc00 {{ link }}"])
def test_half_a_surrogate_pair_is_refused(text: str) -> None:
    for make in (lambda: plan_link(BRAND, sms(text), "https://alder.example/"), lambda: planned(sms(text))):
        with pytest.raises(InvalidRequest) as caught:
            make()
        assert (caught.value.code, caught.value.status) == ("invalid_text", 422)


def test_a_link_of_nobody_has_no_place_to_unsubscribe() -> None:
    with pytest.raises(InvalidRequest):
        plan_link(BRAND, sms("{{ link }} {{unsubscribe_url}}", address=""), "https://alder.example/")
    assert plan_link(BRAND, sms("{{ link }}", address=""), "https://alder.example/").values == {}


def test_hostile_texts_cost_linear_time() -> None:
    for text in ("{{ " * 100_000, "{{" + "\t" * 300_000, "{{ link" * 50_000):
        started = time.perf_counter()
        with pytest.raises(InvalidRequest):
            plan_link(BRAND, sms(text), "https://alder.example/")
        assert time.perf_counter() - started < 5

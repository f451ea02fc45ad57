"""A person's own address is taken out of the links of a message to that person, however it is written there."""

from __future__ import annotations

import pytest

from app.messages.draft import Addressee, Draft
from app.messages.own_address import set_aside
from app.models.block import Channel, Link
from app.models.message import Recipient

ANN = "ann@x.example"
PHONE = "+4915112345678"
SHOP = "https://shop.example"


def _draft(address: str, *, count: int = 1, **values: str) -> Draft:
    channel = Channel.SMS if address.startswith("+") else Channel.EMAIL
    return Draft(channel, [Addressee(Recipient(address), values=values)] * count)


def _set_aside(address: str, url: str, label: str = "") -> tuple[Link, dict[str, str]]:
    (link,), values = set_aside(_draft(address), [Link(url, label)])
    return link, values


@pytest.mark.parametrize(
    ("url", "left"),
    [
        ("/?a=1&email=ann%40x.example&b=2#top", "/?a=1&b=2#top"),
        ("/?email=ann@x.example", "/"),
        ("?email=ann%40x.example", ""),
        ("/?EMAIL=ANN%40X.EXAMPLE", "/"),
        ("/?email=ann%2540x.example", "/"),
        ("/?email=ann%252540x.example", "/"),
        ("/?e=%61%6E%6E%40%78%2Eexample&a=1", "/?a=1"),
        ("/?ann%40x.example", "/"),
        ("/?ann%40x.example=1&c", "/?c"),
        ("/for/ann@x.example/now?a=1", "/for/?a=1"),
        ("/for/ANN%40x.example", "/for/"),
        ("/a;for=ann@x.example/b", "/"),
        ("/?a=1#ann@x.example", "/?a=1"),
        ("/#/user/ann%40x.example/edit", "/"),
        ("/?back=https%3A%2F%2Fshop.example%2F%3Fe%3Dann%2540x.example&a=1", "/?a=1"),
        ("/?q=mailto:ann@x.example&q=1", "/?q=1"),
        ("/?e=YW5uQHguZXhhbXBsZQ==&a=1", "/?a=1"),
        ("/?e=YW5uQHguZXhhbXBsZQ&a=1", "/?a=1"),
        ("/?e=%EF%BC%A1nn%40x.example&a=1", "/?a=1"),
    ],
)
def test_an_address_goes_into_the_values_and_the_rest_stays_in_the_block(url: str, left: str) -> None:
    link, values = _set_aside(ANN, SHOP + url)
    assert link == Link("{{_link_4}}", personal=True, fallback=SHOP + left)
    assert values == {"_link_4": SHOP + url}


@pytest.mark.parametrize(
    ("address", "url", "left"),
    [
        ("o/b@x.example", "/?e=o/b@x.example", "/"),
        ("a&b@x.example", "/p?e=a&b@x.example&c=1", "/"),
        ("a&b@x.example", "/p?e=a%26b@x.example&c=1", "/p?c=1"),
        ("ann+news@x.example", "/p?e=ann+news@x.example", "/p"),
        ("ann+news@x.example", "/p?e=ann%2Bnews%40x.example", "/p"),
        ("Ann@bücher.example", "/p?e=ann%40xn--bcher-kva.example", "/p"),
        ("ann@xn--bcher-kva.example", "/p?e=ann@bücher.example", "/p"),
        ("ann@bücher.example", "/p?e=ann%40b%C3%BCcher.example", "/p"),
        ("ann@bücher.example", "/p?e=ann%40bu%CC%88cher.example", "/p"),
        ("jürgen@x.example", "/p?e=J%C3%9CRGEN@x.example", "/p"),
    ],
)
def test_an_address_is_found_in_every_spelling(address: str, url: str, left: str) -> None:
    link, values = _set_aside(address, SHOP + url)
    assert (link.personal, link.fallback, values) == (True, SHOP + left, {"_link_4": SHOP + url})


@pytest.mark.parametrize(
    ("url", "left"),
    [
        ("/?tel=%2B4915112345678&a=1", "/?a=1"),
        ("/?tel=+4915112345678", "/"),
        ("/?tel=004915112345678", "/"),
        ("/?tel=015112345678", "/"),
        ("/?tel=%2B49+151+123-456-78", "/"),
        ("/4915112345678/x", "/"),
        ("/49151/12345678/x", "/"),
        ("/#tel:+49(151)12345678", "/"),
    ],
)
def test_a_phone_number_goes_into_the_values_too(url: str, left: str) -> None:
    link, values = _set_aside(PHONE, SHOP + url)
    assert (link.fallback, values) == (SHOP + left, {"_link_4": SHOP + url})


def test_a_host_that_names_the_person_leaves_nothing() -> None:
    url = "https://4915112345678.shop.example/?a=1"
    assert _set_aside(PHONE, url) == (Link("{{_link_4}}", personal=True), {"_link_4": url})


@pytest.mark.parametrize("url", ["/", "/?email=bob@x.example", "/?email=ann@", "/ann/x.example", "/?id=49151", "/%zz%"])
def test_other_links_stay_as_they_are(url: str) -> None:
    for address in (ANN, PHONE):
        assert _set_aside(address, SHOP + url, "Look") == (Link(SHOP + url, "Look"), {})


def test_a_label_that_names_the_person_goes() -> None:
    assert _set_aside(ANN, SHOP, "Not Ann@X.example?") == (Link(SHOP), {})
    assert _set_aside(PHONE, SHOP, "0151 123 456 78") == (Link(SHOP), {})
    assert _set_aside(ANN, SHOP, "Not Ann?") == (Link(SHOP, "Not Ann?"), {})


def test_so_does_a_label_that_was_cut_in_the_middle_of_the_address() -> None:
    assert _set_aside(ANN, SHOP, "x" * 70 + " ann@x.exa") == (Link(SHOP), {})
    assert _set_aside(PHONE, SHOP, "x" * 66 + " +49 151 12345") == (Link(SHOP), {})
    assert _set_aside(ANN, SHOP, "Look at ann@") == (Link(SHOP, "Look at ann@"), {})


def test_batches_and_links_for_nobody_are_left_alone() -> None:
    links = [Link(f"{SHOP}/?e=ann@x.example", "ann@x.example")]
    batch = Draft(Channel.EMAIL, [Addressee(Recipient(ANN)), Addressee(Recipient("ben@x.example"))])
    assert set_aside(batch, links) == (tuple(links), {})
    assert set_aside(Draft(Channel.EMAIL, [Addressee(Recipient(""))]), links) == (tuple(links), {})


def test_several_messages_to_one_person_are_no_batch() -> None:
    personal = Link(f"{SHOP}/{{{{o}}}}?e=ann@x.example", personal=True)
    plain = Link(f"{SHOP}/?e=ann@x.example")
    links, values = set_aside(_draft(ANN, count=2, o="1"), [personal, plain])
    assert links == (personal, Link("{{_link_5}}", personal=True, fallback=f"{SHOP}/"))
    assert values == {"_link_5": plain.destination}


def test_a_personalised_link_with_the_address_in_it_is_filled_and_set_aside_as_a_whole() -> None:
    template = Link(f"{SHOP}/o/{{{{order}}}}?e=ann@x.example&a=1", "Order", personal=True)
    plain = Link(f"{SHOP}/o/{{{{order}}}}?a=1", personal=True)
    whole = Link("{{url}}", personal=True)
    links, values = set_aside(_draft(ANN, order="A 1", url=f"{SHOP}/?e=ann@x.example"), [template, plain, whole])
    assert links == (Link("{{_link_4}}", "Order", personal=True, fallback=f"{SHOP}/o/?a=1"), plain, whole)
    assert values == {"_link_4": f"{SHOP}/o/A%201?e=ann@x.example&a=1"}


def test_hostile_links_cost_linear_time() -> None:
    url = f"{SHOP}/" + "%25" * 2000 + "&/?#" * 400
    assert _set_aside(ANN, url)[1] == {}


@pytest.mark.parametrize(
    ("url", "left"),
    [
        ("https://shop.example/?id=C-4711&a=1", "https://shop.example/?a=1"),
        ("https://shop.example/?id=c%2D4711", "https://shop.example/"),
        ("https://shop.example/people/C-4711/orders?a=1", "https://shop.example/people/?a=1"),
        ("https://shop.example/?n=Ann+Meier&a=1", "https://shop.example/?a=1"),
        ("https://shop.example/?n=Ann%20Meier#C-4711", "https://shop.example/"),
    ],
)
def test_the_persons_id_and_name_are_set_aside_where_they_are_a_whole_value(url: str, left: str) -> None:
    person = Recipient(ANN, id="C-4711", name="Ann Meier")
    (link,), values = set_aside(Draft(Channel.EMAIL, [Addressee(person)]), [Link(url)])
    assert (link.personal, link.fallback) == (True, left)
    assert list(values.values()) == [url]


@pytest.mark.parametrize(
    "url", ["https://shop.example/?q=C-47112", "https://shop.example/a?b=xC-4711", "https://4.example/?p=42"]
)
def test_a_part_of_a_value_or_a_short_id_is_no_person(url: str) -> None:
    for person in (Recipient(ANN, id="C-4711"), Recipient(ANN, id="42")):
        (link,), values = set_aside(Draft(Channel.EMAIL, [Addressee(person)]), [Link(url)])
        assert (link, values) == (Link(url), {})

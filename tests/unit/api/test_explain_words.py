"""The words of `explain`: none is missing, and what they say of an event and of a whole message."""

from __future__ import annotations

from typing import Any

import pytest

from app.lib import ids
from app.models import signals
from app.models.event import AGAIN, FIRST, FIRST_MACHINE, Event, EventKind, Judgement, Verdict
from app.models.reasons import REASONS
from app.web.api import explain_words as words
from app.web.api.explain_conclusion import conclude

AT = 1_767_225_690_500
PERSON = Judgement(Verdict.HUMAN, True, ("ok",))
MACHINE = Judgement(Verdict.MACHINE, False, ("link_burst", "datacenter_ip"))
APPLE = Judgement(Verdict.MACHINE, False, ("apple_mpp",))
PROXY = Judgement(Verdict.PROXY, True, ("proxy_gmail",))
CHROME = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36"


def event(kind: EventKind, judgement: Judgement = PERSON, seconds: float = 0, **changes: Any) -> Event:
    at_ms = AT + int(seconds * 1000)
    made = Event(
        id=ids.new_id(at_ms),
        kind=kind,
        brand_id="harbour",
        message=1000,
        block=1000,
        slot=5 if kind is EventKind.CLICKED else 1,
        at_ms=at_ms,
        recorded_ms=at_ms,
        judgement=judgement,
        rank=AGAIN,
        rules_version="2",
    )
    return made._replace(**changes)


def test_every_signal_has_words_and_a_code_of_its_own() -> None:
    constants = {value for name, value in vars(signals).items() if name.isupper() and not name.startswith("_")}
    single = {value for value in constants if isinstance(value, int) and value.bit_count() == 1}
    assert set(words.SIGNALS) == single
    assert len({code for code, _ in words.SIGNALS.values()}) == len(single)
    shown = words.signals_of(signals.HTTPS | signals.CLOUD)
    assert [one["code"] for one in shown] == ["https", "cloud"]


def test_where_a_client_is_known_by_is_never_shown() -> None:
    assert words.signals_of(0xFFFF << signals.ADDRESS_SHIFT | 0x7FFF << signals.NETWORK_SHIFT) == []


def test_every_reason_has_words_and_one_that_is_gone_is_shown_all_the_same() -> None:
    assert [one["code"] for one in words.reasons_of(tuple(REASONS))] == list(REASONS)
    assert all(one["means"] == REASONS[one["code"]] for one in words.reasons_of(tuple(REASONS)))
    assert words.reasons_of(("known_machine",))[0]["means"]


@pytest.mark.parametrize("kind", list(EventKind))
def test_every_kind_of_event_has_a_sentence(kind: EventKind) -> None:
    assert words.what_happened(event(kind))[0].isupper()


@pytest.mark.parametrize(
    ("made", "sentence"),
    [
        (event(EventKind.OPENED, slot=0), "The pixel in the header was loaded"),
        (event(EventKind.OPENED, slot=0, implied=True), "The message must have been open, because a link of it"),
        (event(EventKind.CLICKED), "The link lnk_2 was followed"),
        (event(EventKind.CLICKED, signals=signals.TRAP), "The hidden link was followed"),
        (event(EventKind.UNSUBSCRIBED, method="one_click"), "The mail program's one-click unsubscribe was used"),
        (event(EventKind.UNSUBSCRIBED, method="api"), "The recipient was unsubscribed"),
    ],
)
def test_what_happened_is_told_by_kind_and_place(made: Event, sentence: str) -> None:
    assert words.what_happened(made).startswith(sentence)


@pytest.mark.parametrize(
    ("made", "program"),
    [
        (event(EventKind.CLICKED, user_agent=CHROME), "Chrome 130 or a browser like it"),
        (event(EventKind.CLICKED, user_agent="Nobody/1"), "a browser, mail program or app"),
        (event(EventKind.CLICKED), "an unknown program"),
        (
            event(EventKind.OPENED, APPLE, signals=signals.PUBLIC_ADDRESS | signals.RELAY, user_agent="Mozilla/5.0"),
            "Apple Mail Privacy Protection, from Apple's network",
        ),
        (event(EventKind.OPENED, PROXY, signals=signals.GOOGLE), "Gmail's image proxy, from Google's network"),
        (
            event(EventKind.CLICKED, MACHINE, user_agent=CHROME, signals=signals.CLOUD | signals.SCANNER),
            "Chrome 130 or a browser like it, from a hosting cloud and the network of a security scanner",
        ),
    ],
)
def test_a_program_is_named_as_far_as_the_evidence_goes(made: Event, program: str) -> None:
    assert words.through(made) == program


def test_weak_signs_count_against_clicks_and_are_only_noted_on_opens() -> None:
    judgement = Judgement(Verdict.MACHINE, False, ("soft_signals", "datacenter_ip", "fast", "privacy_signal"))
    assert words.weak_signs(event(EventKind.CLICKED, judgement)) == ["datacenter_ip", "fast"]
    assert words.weak_signs(event(EventKind.OPENED, Judgement(Verdict.HUMAN, True, ("fast",)))) == []


def test_the_verdict_is_told_with_all_of_its_reasons() -> None:
    told = words.judged(event(EventKind.CLICKED, MACHINE, rank=FIRST_MACHINE))
    assert told == f"Taken for a machine and not counted: {REASONS['link_burst']}; {REASONS['datacenter_ip']}."
    first = words.judged(event(EventKind.CLICKED, rank=FIRST))
    assert first == "Taken for a person and counted, as the first of its kind: nothing speaks against a person."


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "0.0 seconds"),
        (119.94, "119.9 seconds"),
        (120, "2 minutes"),
        (7199, "119 minutes"),
        (7200, "2 hours"),
        (172_800, "2 days"),
        (40_000_000, "462 days"),
    ],
)
def test_a_length_of_time_is_told_in_the_unit_a_person_would_use(seconds: float, text: str) -> None:
    assert words.span(seconds) == text


def test_when_is_told_from_the_hand_over_also_before_it() -> None:
    assert words.when(None) == ""
    assert words.when(-1.5) == " 1.5 seconds before the message was sent"
    assert words.when(3.0) == " 3.0 seconds after the message was sent"


CORRECTION = event(
    EventKind.RECLASSIFIED, MACHINE, 9, corrects=bytes(16), corrects_kind=EventKind.CLICKED, before=PERSON
)


@pytest.mark.parametrize(
    ("events", "conclusion"),
    [
        ([], "Nothing is counted as opened or clicked."),
        ([event(EventKind.SENT), event(EventKind.VIEWED)], "Nothing is counted as opened or clicked."),
        (
            [event(EventKind.OPENED, rank=FIRST), event(EventKind.CLICKED, seconds=5), event(EventKind.CLICKED)],
            "Counted as opened by a person on 2026-01-01 at 00:01:30 UTC"
            " and as clicked by a person on 2026-01-01 at 00:01:30 UTC.",
        ),
        (
            [event(EventKind.OPENED, APPLE), event(EventKind.OPENED, PROXY, 60), event(EventKind.OPENED, PERSON, 120)],
            "Counted as opened by a person on 2026-01-01 at 00:03:30 UTC."
            " Not counted: 1 open by Apple Mail Privacy Protection.",
        ),
        (
            [event(EventKind.OPENED, PROXY)],
            "Counted as opened by a person behind a mail provider's proxy on 2026-01-01 at 00:01:30 UTC.",
        ),
        (
            [*(event(EventKind.CLICKED, MACHINE) for _ in range(12)), CORRECTION],
            "Nothing is counted as opened or clicked. Not counted: 12 clicks by machines."
            " 1 verdict was corrected later.",
        ),
        (
            [
                event(EventKind.CLICKED),
                event(EventKind.OPENED, Judgement(Verdict.HUMAN, True, ("implied",)), implied=True),
                event(EventKind.UNSUBSCRIBED, seconds=30),
            ],
            "Counted as opened (a click shows it) on 2026-01-01 at 00:01:30 UTC,"
            " as clicked by a person on 2026-01-01 at 00:01:30 UTC"
            " and as unsubscribed on 2026-01-01 at 00:02:00 UTC.",
        ),
        (
            [event(EventKind.CLICKED, Judgement(Verdict.HUMAN, False, ("destination_blocked",)))],
            "Nothing is counted as opened or clicked. Not counted: 1 click that ended at a page of ours.",
        ),
    ],
)
def test_the_conclusion_says_what_counts_and_what_does_not(events: list[Event], conclusion: str) -> None:
    assert conclude(events) == conclusion

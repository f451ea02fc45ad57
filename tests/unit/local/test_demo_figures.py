"""The demo's comparison: whatever differs between expected, events and webhooks, its row says so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from local.demo.figures import (
    CLICKED,
    MACHINE,
    OPENED,
    RECLASSIFIED,
    SENT,
    TYPES,
    UNSUBSCRIBED,
    Figures,
    Happened,
    Row,
    Seen,
    compare,
    figures_of,
    from_api,
    from_webhook,
    table,
)

CLICK = Happened("fernhalt", CLICKED, "msg_1", "lnk_1")
CLICK_2 = Happened("fernhalt", CLICKED, "msg_1", "lnk_2")
BOT_CLICK = Happened("fernhalt", CLICKED, "msg_1", "lnk_1", MACHINE, False)
EVENTS = {"evt_1": Seen(CLICK, True), "evt_2": Seen(CLICK_2, False), "evt_3": Seen(BOT_CLICK, False)}
EXPECTED = [CLICK, CLICK_2, BOT_CLICK]


def clicks(
    expected: Sequence[Happened] = EXPECTED,
    events: Mapping[str, Seen] = EVENTS,
    webhooks: Mapping[str, Seen] = EVENTS,
) -> Row:
    rows = compare(["fernhalt"], expected, events, webhooks)
    return next(row for row in rows if row.type == CLICKED)


def test_everything_as_expected_is_ok() -> None:
    row = clicks()
    assert row.ok
    assert row.expected == row.seen == Figures(events=3, counted=2, first=1)
    assert row.webhooks == 3


def test_there_is_a_row_for_every_brand_and_type_also_without_events() -> None:
    rows = compare(["fernhalt", "vexholm"], [], {}, {})
    assert [(row.brand, row.type) for row in rows] == [
        (brand, kind) for brand in ("fernhalt", "vexholm") for kind in TYPES
    ]
    assert all(row.ok for row in rows)


def test_of_several_counted_events_of_a_message_one_is_expected_to_be_the_first() -> None:
    other = Happened("fernhalt", CLICKED, "msg_2", "lnk_1")
    assert figures_of([CLICK, CLICK, BOT_CLICK, other]) == Figures(events=4, counted=3, first=2)


@pytest.mark.parametrize(
    ("expected", "events", "webhooks", "why"),
    [
        ([*EXPECTED, CLICK], EVENTS, EVENTS, "missing: message.clicked lnk_1 of msg_1 (human, counted)"),
        (EXPECTED[1:], EVENTS, EVENTS, "too many: message.clicked lnk_1 of msg_1 (human, counted)"),
        (EXPECTED, EVENTS, dict(list(EVENTS.items())[1:]), "no webhook for evt_1"),
        (EXPECTED, EVENTS, {**EVENTS, "evt_9": Seen(CLICK, False)}, "a webhook for evt_9"),
        (EXPECTED, {**EVENTS, "evt_1": Seen(CLICK, False)}, EVENTS, "0 events are the first of msg_1"),
        (EXPECTED, {**EVENTS, "evt_2": Seen(CLICK_2, True)}, EVENTS, "2 events are the first of msg_1"),
        (EXPECTED, {**EVENTS, "evt_3": Seen(BOT_CLICK, True)}, EVENTS, "first, but not counted"),
        (EXPECTED, EVENTS, {**EVENTS, "evt_1": Seen(CLICK, False)}, "the webhook of evt_1 says"),
    ],
)
def test_a_difference_is_found_and_told(
    expected: list[Happened], events: dict[str, Seen], webhooks: dict[str, Seen], why: str
) -> None:
    row = clicks(expected, events, webhooks)
    assert not row.ok
    assert any(why in difference for difference in row.differences)


def test_equal_totals_do_not_hide_an_event_of_another_link_or_message() -> None:
    for other in (CLICK_2._replace(detail="lnk_3"), CLICK_2._replace(message="msg_2")):
        events = {**EVENTS, "evt_2": Seen(other, False)}
        row = clicks(events=events, webhooks=events)
        assert row.seen.events == row.expected.events
        assert not row.ok


def test_an_event_that_reached_another_brand_makes_both_rows_differ() -> None:
    events = {**EVENTS, "evt_1": Seen(CLICK._replace(brand="vexholm"), True)}
    rows = compare(["fernhalt", "vexholm"], EXPECTED, events, events)
    assert [row.brand for row in rows if not row.ok] == ["fernhalt", "vexholm"]


def test_an_event_of_a_type_nobody_planned_has_a_row() -> None:
    events = {"evt_1": Seen(Happened("fernhalt", "message.bounced", "msg_1"), False)}
    bounced = compare(["fernhalt"], [], events, events)[-1]
    assert bounced.type == "message.bounced"
    assert not bounced.ok


def test_api_and_webhook_tell_the_same_event_alike() -> None:
    common = {"message_id": "msg_1", "first": True, "counted": True, "verdict": "human"}
    for kind, api, webhook in (
        (OPENED, {"position": "footer"}, {"position": "footer"}),
        (CLICKED, {"link_id": "lnk_2"}, {"link_id": "lnk_2", "position": 2}),
        (UNSUBSCRIBED, {"method": "one_click"}, {"method": "one_click", "scope": "list"}),
        (SENT, {}, {}),
    ):
        by_api = from_api("fernhalt", {"id": "evt_1", "type": kind, **common, **api})
        told = {"message_id": "msg_1"} if kind in (SENT, UNSUBSCRIBED) else common
        by_webhook = from_webhook({"id": "evt_1", "type": kind, "data": {"brand_id": "fernhalt", **told, **webhook}})
        assert by_api == by_webhook


def test_the_first_open_may_be_one_that_only_a_click_tells_of() -> None:
    opened = Seen(Happened("fernhalt", OPENED, "msg_1", "footer"), False)
    clicked = {"evt_2": Seen(CLICK, True)}
    for others, differs in (({}, True), (clicked, False)):
        events = {"evt_1": opened, **others}
        rows = compare(["fernhalt"], [event.happened for event in events.values()], events, events)
        assert [row.type for row in rows if not row.ok] == ([OPENED] if differs else [])


CORRECTION = Seen(CLICK._replace(type=RECLASSIFIED, verdict=MACHINE, counted=False), False, "evt_1")


def test_a_corrected_event_is_compared_as_it_was_corrected() -> None:
    expected = [CLICK._replace(verdict=MACHINE, counted=False)]
    told = {"evt_1": Seen(CLICK, True), "evt_9": CORRECTION}
    listed = {"evt_1": Seen(expected[0], False), "evt_9": CORRECTION}
    rows = compare(["fernhalt"], expected, listed, told)
    assert [row for row in rows if not row.ok] == []
    assert [row.webhooks for row in rows if row.type == RECLASSIFIED] == [1]


def test_a_correction_that_nobody_was_told_of_makes_its_row_differ() -> None:
    listed = {"evt_1": Seen(CLICK._replace(verdict=MACHINE, counted=False), False), "evt_9": CORRECTION}
    told = {"evt_1": Seen(CLICK, True)}
    rows = compare(["fernhalt"], [listed["evt_1"].happened], listed, told)
    assert [row.type for row in rows if not row.ok] == [CLICKED, RECLASSIFIED]


def test_api_and_webhook_tell_the_same_correction_alike() -> None:
    fields = {"event_id": "evt_1", "event_type": CLICKED, "message_id": "msg_1", "link_id": "lnk_1"}
    after = {"verdict": MACHINE, "counted": False, "reasons": ["link_burst"]}
    listed = from_api("fernhalt", {"type": RECLASSIFIED, "first": False, **fields, **after, "after": after})
    told = from_webhook({"type": RECLASSIFIED, "data": {"brand_id": "fernhalt", **fields, "after": after}})
    assert listed == told == CORRECTION


def test_the_table_shows_every_figure_and_why_a_row_differs() -> None:
    shown = table(compare(["fernhalt"], [*EXPECTED, CLICK], EVENTS, EVENTS))
    lines = [line.split() for line in shown.splitlines()]
    assert ["clicked", "4", "3", "1", "3", "2", "1", "3", "MISMATCH"] in lines
    assert ["fernhalt", "sent", "0", "0", "0", "0", "0", "0", "0", "ok"] in lines
    assert "missing: message.clicked lnk_1 of msg_1 (human, counted)" in shown


def test_the_table_does_not_drown_a_person_in_differences() -> None:
    expected = [CLICK._replace(message=f"msg_{number}") for number in range(100)]
    shown = table(compare(["fernhalt"], expected, {}, {}), most_differences=5)
    assert shown.count("missing:") == 5
    assert "and 95 more" in shown

"""An event comes back from its line as it was, without what an archive must not carry."""

from __future__ import annotations

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.archive.lines import UnreadableArchive, read_line, write_lines
from app.lib import ids
from app.models.event import FIRST_APPLE, Event, EventKind
from app.models.signals import ACCEPT_LANGUAGE, ADDRESS_SHIFT
from app.tracking.codes import TOKEN_NUMBERS
from tests.unit.archive.archived_events import CODES, MACHINE, PERSON, event_at, shown

CLICK = event_at(
    1,
    EventKind.CLICKED,
    campaign_id="frühling",
    user_agent="Mozilla/5.0 ünïcode \u2028",
    client="192.0.2.0/24",
    query="lead=1&x=2",
    personal=b"\x01\x00sealed",
    signals=ACCEPT_LANGUAGE,
)


def back(event: Event) -> Event:
    (line,) = write_lines([event], [shown(event)], CODES)
    return read_line(line, "alder", CODES)


@pytest.mark.parametrize(
    "event",
    [
        CLICK,
        event_at(2, rank=FIRST_APPLE, judgement=MACHINE),
        event_at(3, EventKind.UNSUBSCRIBED, method="one_click"),
        event_at(4, message=TOKEN_NUMBERS + 77, block=TOKEN_NUMBERS + 77),
        event_at(
            5,
            EventKind.RECLASSIFIED,
            corrects=CLICK.id,
            corrects_kind=EventKind.CLICKED,
            before=PERSON,
            judgement=MACHINE,
        ),
    ],
)
def test_an_event_comes_back_as_it_was(event: Event) -> None:
    assert back(event) == event


@given(st.integers(min_value=-3_600_000, max_value=2**40), st.binary(min_size=10, max_size=10))
def test_times_come_back_to_the_millisecond(ms: int, tail: bytes) -> None:
    event = event_at(ms)
    event = event._replace(id=ids.make_id(event.at_ms, tail))
    assert back(event) == event


def test_fingerprints_of_clients_stay_behind() -> None:
    kept = back(CLICK._replace(signals=ACCEPT_LANGUAGE | 0x7ABC << ADDRESS_SHIFT))
    assert kept.signals == ACCEPT_LANGUAGE


def test_a_line_is_one_line_and_carries_no_number() -> None:
    (line,) = write_lines([CLICK], [shown(CLICK)], CODES)
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert b"4000" not in line


def test_lines_are_the_public_json_and_one_member_more() -> None:
    (line,) = write_lines([CLICK], [shown(CLICK)], CODES)
    assert {name: value for name, value in orjson.loads(line).items() if name != "restore"} == shown(CLICK)


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"{}",
        b"[]",
        b"null",
        b"not json",
        b'{"type":"message.viewed"}',
        write_lines([CLICK], [{**shown(CLICK), "id": "evt_x"}], CODES)[0],
        write_lines([CLICK], [{**shown(CLICK), "message_id": "msg_0"}], CODES)[0],
        write_lines([CLICK], [{**shown(CLICK), "verdict": "ghost"}], CODES)[0],
        write_lines([CLICK], [{**shown(CLICK), "recorded_at": "yesterday"}], CODES)[0],
    ],
)
def test_what_is_no_event_is_refused_without_quoting_it(line: bytes) -> None:
    with pytest.raises(UnreadableArchive) as refused:
        read_line(line, "alder", CODES)
    assert "evt_x" not in str(refused.value)
    assert refused.value.__cause__ is None

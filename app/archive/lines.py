"""Events as lines of an archive and back: the public JSON of an event, and under `restore` what that leaves out.

`restore` gives away nothing: the block is named by a message's public id, what is personal is sealed as in MongoDB and
opens only with the person's key, and the fingerprints of clients stay behind.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

import orjson

from app.errors import PermanentError
from app.lib import ids
from app.models.event import PUBLIC_KINDS, Event, EventKind, Judgement, Verdict
from app.models.signals import without_source

_KINDS: Mapping[str, EventKind] = {kind.public_type: kind for kind in PUBLIC_KINDS}
_EVENT_PREFIX = "evt_"


class UnreadableArchive(PermanentError):
    """A file or a manifest is not what was written."""


class Codes(Protocol):
    def message_ids(self, numbers: Sequence[int]) -> list[str]: ...
    def message_number(self, message_id: str) -> int | None: ...


def write_lines(events: Sequence[Event], shown: Sequence[Mapping[str, Any]], codes: Codes) -> list[bytes]:
    """Args:
    shown: the events' public JSON, in the same order.
    """
    blocks = sorted({event.block for event in events})
    names = dict(zip(blocks, codes.message_ids(blocks), strict=True))
    return [
        orjson.dumps({**public, "restore": _restore(event, names[event.block])}, option=orjson.OPT_APPEND_NEWLINE)
        for event, public in zip(events, shown, strict=True)
    ]


def _restore(event: Event, block: str) -> dict[str, Any]:
    kept: dict[str, Any] = {"block": block, "slot": event.slot, "rank": event.rank}
    if facts := without_source(event.signals):
        kept["signals"] = facts
    if event.personal:
        kept["sealed"] = base64.b64encode(event.personal).decode("ascii")
    return kept


def read_line(line: bytes, brand_id: str, codes: Codes) -> Event:
    """The event behind a line.

    Raises:
        UnreadableArchive: it is not one that `write_lines` made, or not of this deployment's codes.
    """
    try:
        return _event(orjson.loads(line), brand_id, codes)
    except (KeyError, TypeError, ValueError, AttributeError, binascii.Error) as error:
        raise UnreadableArchive(f"a line is not an archived event ({type(error).__name__})") from None


def _event(shown: Mapping[str, Any], brand_id: str, codes: Codes) -> Event:
    kind, kept = _KINDS[shown["type"]], shown["restore"]
    event = Event(
        id=_event_id(shown["id"]),
        kind=kind,
        brand_id=brand_id,
        message=_number(shown["message_id"], codes),
        block=_number(kept["block"], codes),
        slot=int(kept["slot"]),
        at_ms=_ms(shown["timestamp"]),
        recorded_ms=_ms(shown["recorded_at"]),
        judgement=_judgement(shown),
        rank=int(kept["rank"]),
        rules_version=str(shown["rules_version"]),
        campaign_id=shown.get("campaign_id"),
        user_agent=shown.get("user_agent", ""),
        client=shown.get("client", ""),
        method=shown.get("method"),
        query=shown.get("query", ""),
        personal=base64.b64decode(kept.get("sealed", ""), validate=True),
        signals=int(kept.get("signals", 0)),
    )
    if kind is not EventKind.RECLASSIFIED:
        return event
    return event._replace(
        corrects=_event_id(shown["event_id"]),
        corrects_kind=_KINDS[shown["event_type"]],
        before=_judgement(shown["before"]),
    )


def _judgement(shown: Mapping[str, Any]) -> Judgement:
    return Judgement(Verdict(shown["verdict"]), bool(shown["counted"]), tuple(shown["reasons"]))


def _event_id(text: str) -> bytes:
    if not text.startswith(_EVENT_PREFIX):
        raise ValueError("not an event's id")
    return ids.from_text(text.removeprefix(_EVENT_PREFIX))


def _number(message_id: str, codes: Codes) -> int:
    number = codes.message_number(message_id)
    if number is None:
        raise ValueError("not a message of this deployment")
    return number


def _ms(text: str) -> int:
    # Rounded: the float is a few nanoseconds off.
    return round(datetime.fromisoformat(text).timestamp() * 1000)

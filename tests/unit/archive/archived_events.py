"""Events of a fictional brand, and their public JSON, as an archive meets them."""

from __future__ import annotations

from typing import Any

from app.lib import clock, ids
from app.models.event import AGAIN, FIRST, Event, EventKind, Judgement, Verdict
from app.tracking.codes import Codes

CODES = Codes(bytes(range(32)))
HOUR = 1_767_272_400_000
"""2026-01-01T13:00 UTC."""
PERSON = Judgement(Verdict.HUMAN, True, ("ok",))
MACHINE = Judgement(Verdict.MACHINE, False, ("scanner_ua", "fast"))


def event_at(ms: int, kind: EventKind = EventKind.OPENED, message: int = 4000, **change: Any) -> Event:
    """An event that happened and was recorded so long after the hour began."""
    at = HOUR + ms
    return Event(
        id=change.pop("id", None) or ids.new_id(at),
        kind=kind,
        brand_id="alder",
        message=message,
        block=4000,
        slot=5 if kind is EventKind.CLICKED else 1,
        at_ms=at,
        recorded_ms=at,
        judgement=PERSON,
        rank=AGAIN if kind is EventKind.RECLASSIFIED else FIRST,
        rules_version="7",
    )._replace(**change)


def shown(event: Event) -> dict[str, Any]:
    """The least that the public JSON of an event has."""
    optional: dict[str, Any] = {
        "campaign_id": event.campaign_id,
        "user_agent": event.user_agent or None,
        "client": event.client or None,
        "method": event.method,
        "query": event.query or None,
    }
    if event.before is not None and event.corrects_kind is not None:
        optional |= {
            "event_id": ids.event_id_text(event.corrects),
            "event_type": event.corrects_kind.public_type,
            "before": _judgement(event.before),
            "after": _judgement(event.judgement),
        }
    return {
        "id": ids.event_id_text(event.id),
        "type": event.kind.public_type,
        "timestamp": clock.rfc3339(clock.from_ms(event.at_ms)),
        "recorded_at": clock.rfc3339(clock.from_ms(event.recorded_ms)),
        "message_id": CODES.message_id(event.message),
        "first": event.first,
        **_judgement(event.judgement),
        "rules_version": event.rules_version,
        **{name: value for name, value in optional.items() if value is not None},
    }


def _judgement(judgement: Judgement) -> dict[str, Any]:
    return {"verdict": judgement.verdict.value, "counted": judgement.counted, "reasons": list(judgement.reasons)}

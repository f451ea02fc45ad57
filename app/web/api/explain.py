"""`GET /v1/messages/{id}/explain`: every event of a message with its evidence, and what was corrected, in plain words.

Nothing of a person is in it that `GET /v1/messages/{id}` would not show. The words are in `explain_words`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from app.event_json import events_json, judgement_json
from app.lib import clock, ids
from app.models.api_key import Scope
from app.models.event import HIT_KINDS, Event, EventKind, Judgement
from app.web.api import explain_words as words
from app.web.api.explain_conclusion import conclude
from app.web.api.explain_schemas import MessageExplained
from app.web.api.messages import own_message
from app.web.api.operation import Call, Operation, Reply

MAX_EVENTS = 1000
_OF_THE_EVENT = ("id", "type", "timestamp", "first", "verdict", "counted", "rules_version")
_IF_THERE = ("position", "link_id", "url", "user_agent", "client", "method")


def explain(call: Call) -> Reply:
    message = own_message(call)
    found = call.services.events.of_message(message.number, MAX_EVENTS + 1)
    # By when it happened, because what was reported has the id of the report. What is concluded follows its evidence.
    events = sorted(found[:MAX_EVENTS], key=lambda event: (event.at_ms, event.implied, event.id))
    sent_ms = max((event.at_ms for event in events if event.kind is EventKind.SENT), default=None)
    sent = {} if sent_ms is None else {"sent_at": clock.rfc3339(clock.from_ms(sent_ms))}
    return Reply(
        {
            "id": call.services.codes.message_id(message.number),
            "channel": message.channel.value,
            "registered_at": clock.rfc3339(message.created_at),
            **sent,
            "erased": message.erased,
            "conclusion": conclude(events),
            "events": _events(call, events, sent_ms),
            "more": len(found) > MAX_EVENTS,
        }
    )


def _events(call: Call, events: Sequence[Event], sent_ms: int | None) -> list[dict[str, Any]]:
    """The events, with the corrections at what they correct; one whose event is gone stands at itself."""
    known = {event.id for event in events}
    corrections: defaultdict[bytes, list[Event]] = defaultdict(list)
    told = []
    for event in events:
        is_correction = event.kind is EventKind.RECLASSIFIED
        if is_correction:
            corrections[event.corrects if event.corrects in known else event.id].append(event)
        if not is_correction or event.corrects not in known:
            told.append(event)
    return [
        _one(event, shown, corrections.get(event.id, []), sent_ms)
        for event, shown in zip(told, events_json(told, call.services), strict=True)
    ]


def _one(event: Event, shown: Mapping[str, Any], corrections: Sequence[Event], sent_ms: int | None) -> dict[str, Any]:
    """Args:
    shown: the event as the timeline has it.
    """
    after_sent = None if sent_ms is None or event.kind is EventKind.SENT else (event.at_ms - sent_ms) / 1000
    is_hit = event.kind in HIT_KINDS and not event.implied
    weak_signs = words.weak_signs(event)
    return {
        **{name: shown[name] for name in _OF_THE_EVENT},
        **({} if after_sent is None else {"seconds_after_sent": after_sent}),
        "story": _story(event, corrections, after_sent),
        **({"through": words.through(event)} if is_hit else {}),
        "signals": words.signals_of(event.signals),
        "weak_signs": weak_signs,
        "points": len(weak_signs),
        "reasons": words.reasons_of(event.judgement.reasons),
        "implied": event.implied,
        "corrections": [_correction(one, one.before) for one in corrections if one.before is not None],
        # Nothing was requested, so there is no place where.
        **{name: shown[name] for name in _IF_THERE if name in shown and not event.implied},
    }


def _story(event: Event, corrections: Sequence[Event], after_sent: float | None) -> str:
    is_hit = event.kind in HIT_KINDS and not event.implied
    happened = words.what_happened(event) + words.when(after_sent)
    sentences = [happened + (f", by {words.through(event)}." if is_hit else ".")]
    if event.kind in HIT_KINDS:
        sentences.append(words.judged(event))
        sentences += [
            words.corrected(correction.before, (correction.at_ms - event.at_ms) / 1000)
            for correction in corrections
            if correction.before is not None
        ]
    return " ".join(sentences)


def _correction(correction: Event, before: Judgement) -> dict[str, Any]:
    return {
        "event_id": ids.event_id_text(correction.id),
        "timestamp": clock.rfc3339(clock.from_ms(correction.at_ms)),
        "before": judgement_json(before),
        "after": judgement_json(correction.judgement),
        "why": words.why_corrected(correction.judgement),
    }


OPERATIONS = (
    Operation(
        name="explainMessage",
        method="GET",
        path="/messages/{message_id}/explain",
        summary="Why a message's events are what they are said to be",
        description=(
            "Every event, also what only machines did and what was not counted: what was noticed, which reasons "
            "decided by which rule set, and what was corrected later."
        ),
        scope=Scope.MESSAGES_READ,
        handler=explain,
        response=MessageExplained,
    ),
)

"""The body of a webhook: one event as JSON bytes, made once and sent unchanged on every attempt.

Who is told is `routing`; the signature over these bytes is `signing`.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from app.lib import clock
from app.lib.ids import event_id_text, ms_of
from app.models.block import FIRST_LINK_SLOT, SEALED_LINK_SLOTS, TRAP_ID, Block, Slot, link_id
from app.models.delivery import PayloadMode
from app.models.event import Event, EventKind, Judgement
from app.models.message import Message

SCHEMA = "2026-01-01"
"""The body's date version, in every body; it changes only when a consumer would have to change."""
MAX_USER_AGENT = 256
MAX_URL = 2048

# ASCII only, so that the bytes survive any proxy; no NaN, which is not JSON. One encoder object: making it costs more
# than using it. orjson is faster but cannot escape non-ASCII.
_encode = json.JSONEncoder(ensure_ascii=True, allow_nan=False, check_circular=False, separators=(",", ":")).encode


def build_body(
    event: Event,
    message: Message | None,
    block: Block,
    message_id: str,
    mode: PayloadMode,
    *,
    unsubscribe_scope: str | None = None,
) -> bytes:
    """The webhook body of one event.

    Args:
        message: None when it is gone (erased or expired): the body then has ids only.
        block: the block that holds the event's number.
        message_id: our public id, `msg_…`.
        mode: `thin` leaves out the address, the user agent and the client's address.
        unsubscribe_scope: `list` or `brand`, how far an unsubscribe of this brand reaches; by default `list` when the
            message has a list.
    """
    data = _common(event, message, block, message_id, mode)
    _ADD[event.kind](data, event, block, mode)
    if event.kind is EventKind.UNSUBSCRIBED:
        data["scope"] = unsubscribe_scope or ("list" if "list_id" in data else "brand")
    body = {
        "id": event_id_text(event.id),
        "type": event.kind.public_type,
        "timestamp": _rfc3339(event.at_ms),
        "schema": SCHEMA,
        "data": data,
    }
    return _encode(body).encode("ascii")


def _common(event: Event, message: Message | None, block: Block, message_id: str, mode: PayloadMode) -> dict[str, Any]:
    data: dict[str, Any] = {"brand_id": event.brand_id, "message_id": message_id, "channel": block.channel.value}
    campaign_id = event.campaign_id or block.campaign_id
    list_id, job_source = block.list_id, block.job_source
    recipient: dict[str, str] = {"id": message_id}
    metadata = None
    if message is not None:
        campaign_id = campaign_id or message.campaign_id
        list_id, job_source = message.list_id or list_id, message.job_source or job_source
        metadata = message.metadata
        person = message.recipient
        if person.id:
            recipient["id"] = person.id
        if mode is PayloadMode.FULL and person.address:
            recipient["address"] = person.address
        if message.address_hash:
            recipient["address_hash"] = "sha256:" + message.address_hash
    if campaign_id:
        data["campaign_id"] = campaign_id
    if list_id:
        data["list_id"] = list_id
    data["recipient"] = recipient
    data["recorded_at"] = _rfc3339(event.recorded_ms)
    if job_source:
        data["job_source"] = job_source
    if metadata:
        data["metadata"] = dict(metadata)
    return data


def _add_sent(data: dict[str, Any], event: Event, block: Block, mode: PayloadMode) -> None:
    data["accepted_at"] = _rfc3339(event.at_ms)


def _add_hit(data: dict[str, Any], event: Event, mode: PayloadMode) -> None:
    data["first"] = event.first
    data |= _judged(event.judgement)
    data["rules_version"] = event.rules_version
    if mode is PayloadMode.FULL:
        if event.user_agent:
            data["user_agent"] = event.user_agent[:MAX_USER_AGENT]
        if event.client:
            data["ip_prefix"] = event.client


def _judged(judgement: Judgement) -> dict[str, Any]:
    return {"verdict": judgement.verdict.value, "counted": judgement.counted, "reasons": judgement.reasons}


def _add_opened(data: dict[str, Any], event: Event, block: Block, mode: PayloadMode) -> None:
    _add_pixel(data, event)
    _add_hit(data, event, mode)


def _add_clicked(data: dict[str, Any], event: Event, block: Block, mode: PayloadMode) -> None:
    _add_link(data, event, block)
    _add_hit(data, event, mode)


def _add_pixel(data: dict[str, Any], event: Event) -> None:
    data["position"] = "header" if event.slot == Slot.PIXEL_HEADER else "footer"


def _add_link(data: dict[str, Any], event: Event, block: Block) -> None:
    link = block.link_at(event.slot)
    url = event.url or (link.shown if link is not None else "")
    if url:
        data["url"] = url[:MAX_URL]
    # The link's place in its message. Never the number behind it: numbers are shared by all brands and tell volume.
    data["link_id"] = link_id(event.slot, link)
    if event.slot < SEALED_LINK_SLOTS and data["link_id"] != TRAP_ID:
        data["position"] = event.slot - FIRST_LINK_SLOT + 1


def _add_unsubscribed(data: dict[str, Any], event: Event, block: Block, mode: PayloadMode) -> None:
    data["method"] = event.method or "link"


def _add_reclassified(data: dict[str, Any], event: Event, block: Block, mode: PayloadMode) -> None:
    """`timestamp` is when it was corrected, `event_timestamp` when the corrected event happened."""
    if event.before is None or event.corrects_kind is None:
        raise TypeError("a correction that does not say what it corrects")
    data["event_id"] = event_id_text(event.corrects)
    data["event_type"] = event.corrects_kind.public_type
    data["event_timestamp"] = _rfc3339(ms_of(event.corrects))
    if event.corrects_kind is EventKind.OPENED:
        _add_pixel(data, event)
    elif event.corrects_kind is EventKind.CLICKED:
        _add_link(data, event, block)
    data["before"] = _judged(event.before)
    data["after"] = _judged(event.judgement)
    data["rules_version"] = event.rules_version


_ADD: dict[EventKind, Callable[[dict[str, Any], Event, Block, PayloadMode], None]] = {
    EventKind.SENT: _add_sent,
    EventKind.OPENED: _add_opened,
    EventKind.CLICKED: _add_clicked,
    EventKind.UNSUBSCRIBED: _add_unsubscribed,
    EventKind.RECLASSIFIED: _add_reclassified,
}


def _rfc3339(ms: int) -> str:
    seconds, rest = divmod(ms, 1000)
    return f"{_second(seconds)}.{rest:03d}Z"


@lru_cache(maxsize=4096)
def _second(seconds: int) -> str:
    """Events of one batch share their seconds; formatting a date costs more than the rest of a body."""
    return clock.from_ms(seconds * 1000).strftime("%Y-%m-%dT%H:%M:%S")

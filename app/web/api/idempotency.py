"""`Idempotency-Key`: the same call twice comes to the same end. What is stored for it is in `app.storage.idempotency`.

Draft draft-ietf-httpapi-idempotency-key-header: the same key with another request is 422. Two calls at the same
time both do the work, from the same record, and give the same answer.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from typing import NamedTuple

from app.errors import Conflict, InvalidRequest
from app.lib import clock
from app.models.idempotency import Decision, IdempotencyRecord
from app.web.api.operation import Call

HEADER = "Idempotency-Key"
REPLAYED = "Idempotent-Replayed"
_KEY = re.compile(r"[\x21-\x7E]{1,255}", re.ASCII)


class Commitment(NamedTuple):
    """What this call has to do, whether it is the first with its key or not."""

    decision: Decision
    created_at: datetime
    """Whole milliseconds."""
    replayed: bool

    @property
    def headers(self) -> dict[str, str]:
        return {REPLAYED: "true"} if self.replayed else {}


def parse_key(header: str | None) -> str | None:
    """The key of a request, None when it has none.

    Raises:
        InvalidRequest: it is not 1 to 255 visible ASCII characters.
    """
    if header is not None and not _KEY.fullmatch(header):
        detail = f"{HEADER} must be 1 to 255 visible ASCII characters."
        raise InvalidRequest(detail, code="invalid_idempotency_key")
    return header


def earlier(call: Call) -> IdempotencyRecord | None:
    """What an earlier call with this key decided.

    Raises:
        InvalidRequest: (422) the key was used with another request.
    """
    if call.idempotency_key is None:
        return None
    store = call.services.idempotency
    record = store.find(call.brand.id, call.idempotency_key)
    return None if record is None else _same_call(record, _fingerprint(call))


def commit(call: Call, decide: Callable[[], Decision], *, plan: bytes = b"") -> Commitment:
    """Decide once per key. Stored before anything else of the call is.

    Args:
        decide: makes the choices that would come out differently a second time; not called on a repeat.
        plan: everything else the answer follows from; a repeat must come with the same.

    Raises:
        InvalidRequest: (422) the key was used with another request; Conflict: with other settings of the brand.
    """
    if call.idempotency_key is None:
        return Commitment(decide(), _now(), replayed=False)
    store = call.services.idempotency
    digest = store.fingerprint("plan", call.brand.id, plan)
    record, replayed = earlier(call), True
    if record is None:
        decided = decide()
        decision = Decision(start=decided.start, resource=decided.resource, plan=digest)
        fingerprint = _fingerprint(call)
        record, ours = store.claim(call.brand.id, call.idempotency_key, fingerprint, decision, _now())
        _same_call(record, fingerprint)
        replayed = not ours
    if record.decision.plan != digest:
        raise Conflict(
            "The brand's settings have changed since the first call with this key; use a new key.",
            code="idempotency_settings_changed",
        )
    return Commitment(record.decision, record.created_at, replayed)


def _fingerprint(call: Call) -> bytes:
    return call.services.idempotency.fingerprint(call.method, call.path, call.raw)


def _same_call(record: IdempotencyRecord, fingerprint: bytes) -> IdempotencyRecord:
    if record.fingerprint != fingerprint:
        detail = "This Idempotency-Key was used before with another request."
        raise InvalidRequest(detail, code="idempotency_key_reused", status=422)
    return record


def _now() -> datetime:
    """As MongoDB will give it back, so that a repeat answers the same."""
    return clock.from_ms(clock.now_ms())

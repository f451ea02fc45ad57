"""What an answer means: for the delivery, for its endpoint, and for who owns the endpoint. Nothing is done here.

What becomes of the delivery is `settle`; what several answers together say of the endpoint is `breaker` and `health`.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from app.models.delivery import DisabledReason
from app.webhooks.schedule import retry_after_seconds
from app.webhooks.transport import DELIVERED, NO_SECRET, REDIRECT, Sent

MARK_CONFIG = "config"
MARK_REDIRECTS = "endpoint_redirects"
TOO_LARGE = "too_large"
ABORTED = "aborted"
SLOW_DOWN_SECONDS = 30.0
"""The pause after a 429 that names none."""
HANG_SECONDS = 3.0
"""The shortest time limit there is before an answer (looking a name up): whoever fails after it has kept us waiting."""

_ABORT, _DISABLE = "abort-message", "disable"
_GONE, _PAYLOAD_TOO_LARGE, _TOO_MANY, _UNAVAILABLE = 410, 413, 429, 503
_REFUSED = frozenset({400, 422})
_MISCONFIGURED = frozenset({401, 403, 404, 405, 415})
_OVERLOADED = frozenset({502, 503, 504})


class Action(StrEnum):
    """What is to be done with the delivery."""

    DELIVERED = "delivered"
    RETRY = "retry"
    SPLIT = "split"
    """A batch: again in two halves, so that one event cannot hold up the others."""
    DEAD = "dead"
    DISABLE = "disable"
    """Park it: its endpoint gets nothing any more."""


class Answer(NamedTuple):
    """What one attempt means. Durations are seconds."""

    action: Action
    counts: bool = True
    """False: the attempt is not consumed."""
    pause_seconds: float = 0.0
    """The whole endpoint rests so long."""
    retry_after: float = 0.0
    """This delivery waits at least so long (`schedule.wait_seconds`)."""
    throttle: bool = False
    """The endpoint's rate is halved for 5 minutes."""
    disabled: DisabledReason | None = None
    mark: str = ""
    """What the endpoint's owner may be shown: `endpoint_redirects`, or `config` (`health` waits for the third)."""
    alert: bool = False
    """The endpoint's owner is told, once an hour."""
    reason: str = ""
    """Why it is dead: `too_large`, `aborted`."""
    hung: bool = False
    """The endpoint let a time limit pass."""


def judge(sent: Sent, *, events: int, now: datetime, factor: float = 1.0) -> Answer:
    """What an attempt means.

    A consumer's instruction (`webhook-delivery`) counts on failures only: what was accepted is delivered.

    Args:
        events: how many the request carried; several are divided when the endpoint refuses them together.
        now: the end of the attempt; a `Retry-After` date is held against it.
        factor: multiplies the pause of a 429 without `Retry-After`, as it does every delay of ours.
    """
    attempt = sent.attempt
    if attempt.outcome == DELIVERED:
        return Answer(Action.DELIVERED)
    status, asked = attempt.status, retry_after_seconds(sent.retry_after, now)
    if status == _GONE or sent.instruction == _DISABLE:
        return Answer(Action.DISABLE, disabled=DisabledReason.GONE)
    if sent.instruction == _ABORT:
        return Answer(Action.DEAD, reason=ABORTED)
    if status == _PAYLOAD_TOO_LARGE:
        return Answer(Action.SPLIT, retry_after=asked) if events > 1 else Answer(Action.DEAD, reason=TOO_LARGE)
    if status in _REFUSED:
        return Answer(Action.SPLIT if events > 1 else Action.RETRY, retry_after=asked, mark=_mark(status, events))
    if status == _TOO_MANY:
        return Answer(Action.RETRY, counts=False, pause_seconds=asked or SLOW_DOWN_SECONDS * factor, retry_after=asked)
    return Answer(
        Action.RETRY,
        pause_seconds=asked if status == _UNAVAILABLE else 0.0,
        retry_after=asked,
        throttle=status in _OVERLOADED,
        mark=MARK_REDIRECTS if attempt.outcome == REDIRECT else "",
        alert=status in _MISCONFIGURED or attempt.outcome == NO_SECRET,
        hung=attempt.outcome == "timeout" or (status is None and attempt.seconds >= HANG_SECONDS),
    )


def _mark(status: int | None, events: int) -> str:
    """Divided batches say nothing of the endpoint yet: their single events will."""
    return MARK_CONFIG if status in _REFUSED and events == 1 else ""

"""What becomes of a delivery after an attempt: delivered, due again later, divided, parked or dead."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from app.lib.batch_ids import part_id_of
from app.models.delivery import Attempt, Delivery, DeliveryState, Endpoint, Item, Result
from app.webhooks.answers import Action, Answer
from app.webhooks.schedule import EXPIRED, Random, is_expired, next_delay, wait_seconds


def settle(
    endpoint: Endpoint, delivery: Delivery, attempt: Attempt, answer: Answer, *, rng: Random, delay_factor: float
) -> Result:
    """Args:
    answer: what the attempt's outcome means (`answers.judge`).
    delay_factor: multiplies the waits of the schedule.
    """
    ended_at = attempt.started_at + timedelta(seconds=attempt.seconds)
    attempts = delivery.attempts + int(answer.counts)
    if answer.action is Action.DELIVERED:
        return Result(replace(delivery, attempts=attempts, state=DeliveryState.DELIVERED), attempt)
    if answer.action is Action.DEAD:
        return Result(replace(delivery, attempts=attempts, state=DeliveryState.DEAD, closed=answer.reason), attempt)
    if answer.action is Action.SPLIT and len(delivery.items) > 1:
        return divided(delivery, attempt, ended_at)
    if answer.action is Action.DISABLE:
        # Due at once: whoever comes next finds the endpoint disabled, and parks it or puts it into the queue.
        return Result(replace(delivery, attempts=attempts, next_attempt_at=ended_at), attempt)
    if not answer.counts:
        if is_expired(delivery.begun_at, ended_at, factor=delay_factor):
            return Result(replace(delivery, state=DeliveryState.DEAD, closed=EXPIRED), attempt)
        return Result(
            _again(delivery, 0.0, max(answer.pause_seconds, answer.retry_after), ended_at, delay_factor), attempt
        )
    delay = next_delay(attempts, rng, factor=delay_factor, delays=endpoint.delays)
    if delay is None:
        return Result(replace(delivery, attempts=attempts, state=DeliveryState.DEAD), attempt)
    counted = replace(delivery, attempts=attempts)
    return Result(_again(counted, delay, answer.retry_after, ended_at, delay_factor), attempt)


def _again(delivery: Delivery, scheduled: float, asked: float, now: datetime, factor: float) -> Delivery:
    wait = wait_seconds(scheduled, asked, created_at=delivery.begun_at, now=now, factor=factor)
    return replace(delivery, next_attempt_at=now + timedelta(seconds=wait))


def divided(delivery: Delivery, attempt: Attempt, now: datetime) -> Result:
    """A batch that was refused as a whole, in two halves under ids of their own, due at once."""
    middle = (len(delivery.items) + 1) // 2
    first = _part(delivery, delivery.items[:middle], 0, now)
    second = _part(delivery, delivery.items[middle:], 1, now)
    second = replace(second, id=f"{second.items[0].event_id}:{delivery.endpoint_id}:{second.batch_id}")
    return Result(first, attempt, (second,))


def _part(delivery: Delivery, items: Sequence[Item], place: int, now: datetime) -> Delivery:
    return replace(
        delivery,
        items=tuple(items),
        batch_id=part_id_of(delivery.batch_id, place),
        attempts=0,
        next_attempt_at=now,
    )

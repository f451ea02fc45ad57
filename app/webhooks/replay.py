"""Carries out replays: a page of deliveries at a time is made due again, slowly enough for live traffic to go first.

Any worker may be killed at any point. A page is written down before its deliveries change, each of them takes a
replay's nonce once only, and whoever finds the lease over goes on with the same page. What is stored is
`app.storage.replays`; sending is `delivery`, for which a replayed row is like any other.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Protocol

from app.models.delivery import DeliveryState
from app.models.endpoint_health import Health
from app.models.replay import Replay, Selection

PAGE = 200
"""Deliveries that change in one step."""
MOST_COUNTED = 100_000
EVENTS = 20
"""Events looked up in one step; a brand has at most 40 endpoints."""
RATE = 200.0
"""Deliveries per second that one replay makes due; live traffic is several times that."""
TOTAL_RATE = 500.0
"""Of all replays together; they share it equally."""
AHEAD = timedelta(seconds=10)
"""How far ahead of the clock deliveries are made due: what a cancelled replay still sends, and how long the next tick
of beat may take to come."""
LEASE_SECONDS = 60.0
LONGEST_WAIT = timedelta(days=7)
"""So long a delivery may have been tried when its endpoint was disabled (`Endpoint.delays`)."""


class Ledger(Protocol):
    """What this file needs of `app.storage.replays.Replays`."""

    def insert(self, replay: Replay) -> None: ...
    def count_running(self) -> int: ...
    def claim(self, *, now: datetime, lease_seconds: float, token: str) -> Replay | None: ...
    def save(self, replay: Replay, *, token: str, due_at: datetime) -> bool: ...
    def finish(self, replay: Replay, *, token: str, now: datetime) -> bool: ...


class Rows(Protocol):
    """What this file needs of `app.storage.deliveries.Deliveries`."""

    def replay(self, brand_id: str, ids: Sequence[str], *, nonce: str, due_at: datetime) -> int: ...
    def page_ids(
        self,
        brand_id: str,
        endpoint_id: str | None,
        states: Collection[DeliveryState],
        *,
        since: datetime,
        until: datetime,
        after: str | None,
        limit: int,
    ) -> list[str]: ...
    def count(
        self,
        brand_id: str,
        endpoint_id: str | None,
        states: Collection[DeliveryState],
        *,
        since: datetime,
        until: datetime,
        most: int,
    ) -> tuple[int, int]: ...


class Finder(Protocol):
    """What this file needs of `app.storage.event_deliveries.EventDeliveries`."""

    def ids_of(
        self, brand_id: str, event_ids: Sequence[str], *, endpoint_id: str | None, states: Collection[DeliveryState]
    ) -> list[str]: ...


def recovery(endpoint_id: str, health: Health, now: datetime) -> Selection | None:
    """What a disabled endpoint has missed: parked, or dead since it failed. None when it is not disabled."""
    if health.disabled_at is None:
        return None
    began = min(health.disabled_at, health.failing_since or health.disabled_at)
    return Selection(since=began - LONGEST_WAIT, until=now, endpoint_id=endpoint_id)


def count(rows: Rows, finder: Finder, brand_id: str, chosen: Selection) -> int:
    """How many deliveries a replay would send now; of more than 100,000, so many."""
    if chosen.event_ids:
        steps = (chosen.event_ids[at : at + EVENTS] for at in range(0, len(chosen.event_ids), EVENTS))
        found = (finder.ids_of(brand_id, step, endpoint_id=chosen.endpoint_id, states=chosen.states) for step in steps)
        return len({one for ids in found for one in ids})
    deliveries, _ = rows.count(
        brand_id, chosen.endpoint_id, chosen.states, since=chosen.since, until=chosen.until, most=MOST_COUNTED
    )
    return deliveries


def begin(
    ledger: Ledger, rows: Rows, finder: Finder, *, replay_id: str, brand_id: str, chosen: Selection, now: datetime
) -> Replay:
    """Store a replay, which `run_due` carries out from then on. Beginning the same one twice begins one.

    Raises:
        Conflict: the brand has as many running as it may have.
    """
    total = count(rows, finder, brand_id, chosen)
    replay = Replay(id=replay_id, brand_id=brand_id, selection=chosen, created_at=now, total=total)
    ledger.insert(replay)
    return replay


def run_due(ledger: Ledger, rows: Rows, finder: Finder, *, now: datetime, token: str) -> int:
    """Take every replay that is due one step further; answers how many deliveries were made due.

    Args:
        token: unique to this run; progress is stored under it only.
    """
    running = ledger.count_running()
    rate = min(RATE, TOTAL_RATE / max(1, running))
    moved = 0
    for _ in range(running):
        replay = ledger.claim(now=now, lease_seconds=LEASE_SECONDS, token=token)
        if replay is None:
            break
        moved += _advance(ledger, rows, finder, replay, now=now, token=token, rate=rate)
    return moved


def _advance(
    ledger: Ledger, rows: Rows, finder: Finder, replay: Replay, *, now: datetime, token: str, rate: float
) -> int:
    """Make pages due until the replay is far enough ahead of the clock, done, cancelled or somebody else's."""
    before = replay.done
    while True:
        if replay.page:
            due_at = max(now, replay.paced_to or now)
            rows.replay(replay.brand_id, replay.page, nonce=replay.id, due_at=due_at)
            paced_to = due_at + timedelta(seconds=len(replay.page) / rate)
            replay = replace(replay, page=(), done=replay.done + len(replay.page), paced_to=paced_to)
        if replay.paced_to is not None and replay.paced_to > now + AHEAD:
            ledger.save(replay, token=token, due_at=replay.paced_to - AHEAD / 2)
            break
        page, after = _next_page(rows, finder, replay)
        if not page and not after:
            ledger.finish(replay, token=token, now=now)
            break
        replay = replace(replay, page=tuple(page), after=after)
        if not ledger.save(replay, token=token, due_at=now + timedelta(seconds=LEASE_SECONDS)):
            break
    return replay.done - before


def _next_page(rows: Rows, finder: Finder, replay: Replay) -> tuple[list[str], str]:
    """The next deliveries and where to look after them; ([], "") at the end."""
    chosen = replay.selection
    if chosen.event_ids:
        start = int(replay.after or 0)
        events = chosen.event_ids[start : start + EVENTS]
        if not events:
            return [], ""
        found = finder.ids_of(replay.brand_id, events, endpoint_id=chosen.endpoint_id, states=chosen.states)
        return found, str(start + len(events))
    page = rows.page_ids(
        replay.brand_id,
        chosen.endpoint_id,
        chosen.states,
        since=chosen.since,
        until=chosen.until,
        after=replay.after or None,
        limit=PAGE,
    )
    return page, page[-1] if page else ""

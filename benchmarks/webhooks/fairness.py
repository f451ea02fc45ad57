"""How long healthy brands wait while one endpoint hangs, one drips, one answers 500 and one has a million waiting."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.receiver import Receiver
from benchmarks.webhooks.copy import Copy, brand, reference

_HEALTHY = 20
_FEW = 200
"""What waits for the other bad endpoints."""
_TICK_SECONDS = 0.2
"""In each every healthy brand has one event, and all of them are stored together, as ingest does with a batch."""
_SETTLE_SECONDS = 5.0
"""The bad endpoints are at their worst when the healthy ones begin."""
_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Healthy:
    sorted_ms: list[float]
    """From the moment an event was due to be stored until it was told."""
    late_p99_ms: float
    """How late this program was with storing it: the part of that time which is not the workers'."""
    cpu_us: dict[str, float]
    """Processor time per healthy event, by program, with all that the bad ones cost meanwhile."""


def measure(folder: Path, flood: int, seconds: float) -> Healthy:
    with contextlib.ExitStack() as stack:
        receiver = Receiver()
        stack.callback(receiver.stop)
        bad = {"hang": _FEW, "drip": _FEW, "error": _FEW, "flood": flood}
        healthy = [f"live{number}" for number in range(_HEALTHY)]
        behaviour = {name: "ok" for name in ("flood", *healthy)}
        brands = [brand(name, receiver.url(behaviour.get(name, name), name)) for name in (*bad, *healthy)]
        copy = Copy(stack, folder, brands, receiver, beat=False)
        for name, events in bad.items():
            copy.store(copy.mailing([name], 1000)[name], events)
        ticks = int(seconds / _TICK_SECONDS)
        blocks = copy.mailing(healthy, ticks)
        told = {name: copy.message_ids(block) for name, block in blocks.items()}
        copy.begin_beat()
        copy.services.wake({reference(name) for name in bad})
        time.sleep(_SETTLE_SECONDS)
        due: dict[str, float] = {}
        late: list[float] = []
        before = copy.cpu_seconds()
        started = time.monotonic()
        for tick in range(ticks):
            moment = started + tick * _TICK_SECONDS
            time.sleep(max(0.0, moment - time.monotonic()))
            late.append((time.monotonic() - moment) * 1000)
            copy.tell([(block, tick) for block in blocks.values()])
            due |= {message_ids[tick]: moment for message_ids in told.values()}
        sorted_ms, after = copy.latencies_ms(due, _SECONDS), copy.cpu_seconds()
        if flood and not copy.waiting():
            raise SystemExit("the flood was over before the healthy brands were done; this measures nothing")
        cpu_us = {name: round((after[name] - before[name]) / len(due) * 1e6, 1) for name in before}
        return Healthy(sorted_ms, sorted(late)[int(len(late) * 0.99)], cpu_us)

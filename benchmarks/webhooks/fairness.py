"""How long healthy brands wait while one endpoint hangs, one drips, one answers 500 and one has a million waiting."""

from __future__ import annotations

import contextlib
import itertools
import time
from pathlib import Path

from benchmarks.receiver import Receiver
from benchmarks.webhooks.copy import Copy, brand, reference

_HEALTHY = 20
_FEW = 200
"""What waits for the other bad endpoints."""
_TICK_SECONDS = 0.05
_PER_TICK = 5
"""So many healthy brands have an event in each tick: each of them five a second."""
_SETTLE_SECONDS = 5.0
"""The bad endpoints are at their worst when the healthy ones begin."""
_SECONDS = 120.0


def measure(folder: Path, flood: int, seconds: float) -> list[float]:
    """Milliseconds from the moment an event of a healthy brand was due to be stored until it was told, sorted."""
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
        blocks = copy.mailing(healthy, ticks * _PER_TICK // _HEALTHY + 1)
        told = {name: copy.message_ids(block) for name, block in blocks.items()}
        copy.begin_beat()
        copy.services.wake({reference(name) for name in bad})
        time.sleep(_SETTLE_SECONDS)
        due: dict[str, float] = {}
        turn, places = itertools.cycle(healthy), dict.fromkeys(healthy, 0)
        started = time.monotonic()
        for tick in range(ticks):
            moment = started + tick * _TICK_SECONDS
            time.sleep(max(0.0, moment - time.monotonic()))
            for name in itertools.islice(turn, _PER_TICK):
                copy.store(blocks[name], 1, places[name])
                due[told[name][places[name]]] = moment
                places[name] += 1
                copy.services.wake({reference(name)})
        found = copy.latencies_ms(due, _SECONDS)
        if flood and not copy.waiting():
            raise SystemExit("the flood was over before the healthy brands were done; this measures nothing")
        return found

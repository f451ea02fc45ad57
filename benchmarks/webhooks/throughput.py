"""How many webhooks per second: a backlog of stored rows, from the wake until each has its 2xx and is recorded."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.receiver import Receiver
from benchmarks.webhooks.copy import Copy, brand, reference

_BRANDS = 5
_RECIPIENTS = 1000
_WARM_UP = 200
_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class Throughput:
    events: int
    seconds: float
    requests: int
    cpu_us: Mapping[str, float]
    """Processor time per event, by program: what a busy neighbour cannot blur."""

    @property
    def per_second(self) -> float:
        return self.events / self.seconds


def measure(folder: Path, events: int, **endpoint: Any) -> Throughput:
    """Play one backlog, in equal parts of five brands.

    Args:
        endpoint: further fields of the endpoints in brands.yaml, such as `batching`.
    """
    with contextlib.ExitStack() as stack:
        receiver = Receiver()
        stack.callback(receiver.stop)
        names = [f"brand{number}" for number in range(_BRANDS)]
        brands = [brand(name, receiver.url("ok", name), **endpoint) for name in names]
        # Without beat, which would have what waits delivered while it is still being stored.
        copy = Copy(stack, folder, brands, receiver, beat=False)
        blocks = copy.mailing(names, _RECIPIENTS)
        everybody = {reference(name) for name in names}
        for block in blocks.values():
            copy.store(block, _WARM_UP)
        copy.services.wake(everybody)
        copy.wait_until_recorded(_WARM_UP * _BRANDS, _SECONDS)
        for block in blocks.values():
            copy.store(block, events // _BRANDS)
        # What storing wrote is on disk before the clock runs, so that its checkpoint is not counted here.
        copy.services.database.client.admin.command("fsync")
        requests = sum(receiver.tally()["requests"].values())
        before = copy.cpu_seconds()
        started = time.perf_counter()
        copy.services.wake(everybody)
        seconds = copy.wait_until_recorded(_WARM_UP * _BRANDS + events, _SECONDS) - started
        after = copy.cpu_seconds()
        return Throughput(
            events,
            seconds,
            sum(receiver.tally()["requests"].values()) - requests,
            {name: round((after[name] - before[name]) / events * 1e6, 1) for name in before},
        )

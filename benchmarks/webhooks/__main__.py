"""`make bench-webhooks`: webhooks per second, single and in batches, and how soon an event is told.

Real processes on this machine share its cores: mongod, Valkey, the workers of config/supervisord.conf, and a receiver
on loopback. Four measurements, each on stores of its own; `throughput`, `front` and `fairness` say how.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from benchmarks.webhooks import fairness, front, throughput

_BATCHING = {"max_events": 100, "max_wait_seconds": 1}
Figures = dict[str, int]


def main() -> None:
    parser = argparse.ArgumentParser(description="Webhooks per second, and how soon an event is told.")
    parser.add_argument("--only", nargs="+", choices=("single", "batched", "front", "fairness"))
    parser.add_argument("--single", type=int, default=30_000, help="events of the backlog of single deliveries")
    parser.add_argument("--batched", type=int, default=500_000, help="events of the backlog in batches of 100")
    parser.add_argument("--rate", type=float, default=1000, help="opens per second")
    parser.add_argument("--seconds", type=int, default=20, help="of opens, and of healthy brands' events")
    parser.add_argument("--flood", type=int, default=1_000_000, help="events that wait for the flooding brand")
    given = parser.parse_args()
    # As Ctrl-C does: through the stacks, which end the servers.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    measurements: dict[str, Callable[[Path], Figures]] = {
        "single": lambda folder: _throughput("single_per_s", throughput.measure(folder, given.single)),
        "batched": lambda folder: _throughput(
            "batched_events_per_s", throughput.measure(folder, given.batched, batching=_BATCHING)
        ),
        "front": lambda folder: _front(front.measure(folder, given.rate, given.seconds)),
        "fairness": lambda folder: _fairness(fairness.measure(folder, given.flood, given.seconds)),
    }
    figures: Figures = {}
    for name in given.only or measurements:
        with tempfile.TemporaryDirectory(prefix="telltale-bench-") as temporary:
            figures |= measurements[name](Path(temporary) / name)
    print(json.dumps(figures))


def _throughput(name: str, seen: throughput.Throughput) -> Figures:
    print(f"{name}: {seen.events:,} events in {seen.requests:,} requests, all within {seen.seconds:.1f} s")
    _print_cpu("event", seen.cpu_us)
    return {name: round(seen.per_second)}


def _front(seen: front.OpenToWebhook) -> Figures:
    print(f"open to webhook, ms: {_quantiles(seen.sorted_ms)}")
    print(f"  open to pixel, ms: {_quantiles(seen.answers.sorted_ms)}   load late p99 {seen.answers.late_p99_ms:.1f}")
    _print_cpu("open", seen.cpu_us)
    return {"open_to_webhook_p99_ms": round(_quantile(seen.sorted_ms, 0.99))}


def _fairness(seen: fairness.Healthy) -> Figures:
    print(f"healthy brands beside bad ones, event to webhook, ms: {_quantiles(seen.sorted_ms)}")
    print(f"  stored late p99 {seen.late_p99_ms:.1f} ms")
    _print_cpu("healthy event", seen.cpu_us)
    return {"healthy_p99_ms": round(_quantile(seen.sorted_ms, 0.99))}


def _print_cpu(what: str, cpu_us: Mapping[str, float]) -> None:
    parts = "   ".join(f"{program} {cost}" for program, cost in cpu_us.items())
    print(f"  CPU µs per {what}: {sum(cpu_us.values()):.0f}   {parts}")


def _quantiles(ordered: Sequence[float]) -> str:
    shares = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p99.9": 0.999}
    listed = "   ".join(f"{name} {_quantile(ordered, share):.1f}" for name, share in shares.items())
    return f"{listed}   most {ordered[-1]:.1f}   ({len(ordered):,})"


def _quantile(ordered: Sequence[float], share: float) -> float:
    return ordered[int(len(ordered) * share)]


if __name__ == "__main__":
    main()

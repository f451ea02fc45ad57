"""`make bench-webhooks`: webhooks per second, single and in batches."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import tempfile
from pathlib import Path

from benchmarks.webhooks.throughput import Throughput, measure


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--single", type=int, default=30_000, help="events of the backlog of single deliveries")
    options = parser.parse_args()
    # As Ctrl-C does: through the stacks, which end the servers.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    with tempfile.TemporaryDirectory(prefix="telltale-bench-") as temporary:
        folder = Path(temporary)
        single = measure(folder / "single", options.single)
        _print("single", single)
    print(json.dumps({"single_per_s": round(single.per_second)}))


def _print(name: str, seen: Throughput) -> None:
    print(f"{name:<10}{seen.events:>10,} events in {seen.requests:,} requests of {seen.seconds:.1f} s together")
    print(f"{'':<10}{seen.per_second:>10,.0f} events/s")
    print(f"{'':<10}CPU µs per event: " + "   ".join(f"{program} {cost}" for program, cost in seen.cpu_us.items()))


if __name__ == "__main__":
    main()

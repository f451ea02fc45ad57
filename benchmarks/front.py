"""`make bench-front`: our pixel and click against a plain Flask view that calls `apply_async` per hit, on one core.

Each side is a whole stack behind nginx (`sides.py`): uWSGI with one process, one configuration for both. Everything
that serves stands on one core: both sides, and the Valkey that is their broker and cache. wrk, this program and MongoDB
(asked only for a block that is new to a process) stand on another. Neither the shipper nor a Celery worker runs: what
is compared is the price of an answer whose hit has been recorded. Rounds alternate, and the figures are medians.

An answer that was not recorded does not count: after each round `records.py` reads our journal and measures the plain
side's queue. In each round clicks also come at half the rate that our side has just reached, for the latency.

Requests/s suffer when somebody else uses the servers' core. Processor time per answer, from the kernel's own account,
does not, and "late" says how late the load generator itself was: both tell whether the machine was quiet.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import statistics
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from app.models.record import HitKind
from app.web.tracking.answers import PIXEL
from benchmarks.loads import Flood, Latencies, Stream, find_wrk, flood
from benchmarks.records import JournalRecords, QueueRecords, Records
from benchmarks.sides import Side, application_environment, cpu_seconds, on_core
from benchmarks.traffic import BRAND, HOST, store_mailing
from config.settings import load_settings
from local.servers import redis_url, start_mongod, start_redis

T = TypeVar("T")

_CHECKED = 50
"""Answers per side and kind that are looked at in full before the rounds."""
_QUANTILES = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p99.9": 0.999}


@dataclass(frozen=True, slots=True)
class Runner:
    """One row of the table: a side, what it is asked, and where its records are."""

    name: str
    side: Side
    kind: HitKind
    records: Records


@dataclass(slots=True)
class Result:
    """The rounds of one row."""

    floods: list[Flood] = field(default_factory=list)
    cpu_us: list[dict[str, float]] = field(default_factory=list)
    """Processor time per answer, by program."""

    @property
    def per_second(self) -> float:
        return statistics.median(flood.per_second for flood in self.floods)

    @property
    def cpu_parts(self) -> dict[str, float]:
        return {program: statistics.median(item[program] for item in self.cpu_us) for program in self.cpu_us[0]}


class Bench:
    """Both sides with their servers.

    Args:
        stack: ends what is started here.
        core: of everything that serves.
        connections: requests under way at once.
    """

    def __init__(self, stack: contextlib.ExitStack, folder: Path, core: int, connections: int) -> None:
        self._folder = folder
        self._connections = connections
        mongod = start_mongod(folder / "mongod")
        stack.callback(mongod.stop)
        with on_core(core):
            self._valkey = start_redis(folder / "valkey")
        stack.callback(self._valkey.stop)
        environment = application_environment(folder, [BRAND], mongod, self._valkey)
        settings = load_settings({**environment, "TELLTALE_STATE_DIR": str(folder / "ours")})
        self._traffic = store_mailing(settings)
        links = folder / "links.json"
        links.write_text(json.dumps(self._traffic.clicks))
        broker = redis_url(self._valkey.port, 1)
        with on_core(core):
            ours = Side("app.wsgi:application", folder / "ours", environment)
            stack.callback(ours.stop)
            of_plain = {"BENCH_BROKER_URL": broker, "BENCH_LINKS_FILE": str(links)}
            plain = Side("benchmarks.plain_app:application", folder / "plain", of_plain)
            stack.callback(plain.stop)
        journal = JournalRecords(settings.journal_dir, {*self._traffic.pixels, *self._traffic.clicks})
        queue = QueueRecords(broker)
        self.runners = (
            Runner("pixel", ours, HitKind.OPEN, journal),
            Runner("plain_pixel", plain, HitKind.OPEN, queue),
            Runner("click", ours, HitKind.CLICK, journal),
            Runner("plain_click", plain, HitKind.CLICK, queue),
        )
        for runner in self.runners[:2]:
            runner.side.wait_until_ready(self._traffic.paths(runner.kind)[0], HOST)
            runner.records.take(runner.kind)

    def check_answers(self, runner: Runner) -> None:
        """Both sides answer alike: the pixel, or a redirect to the destination of just this code.

        Raises:
            SystemExit: an answer is another one.
        """
        destinations = list(self._traffic.clicks.values())
        for path, destination in list(zip(self._traffic.paths(runner.kind), destinations, strict=True))[:_CHECKED]:
            answer = runner.side.ask(path, HOST)
            if runner.kind is HitKind.OPEN:
                right = answer.status == 200 and answer.body == PIXEL
            else:
                right = answer.status == 302 and answer.headers["Location"] == destination
            if not right:
                raise SystemExit(f"{runner.name}: a wrong answer: {answer}")
        if runner.records.take(runner.kind) < _CHECKED:
            raise SystemExit(f"{runner.name}: answers were not recorded")

    def flood(self, runner: Runner, seconds: int, result: Result) -> None:
        """Full load."""
        requests = self._traffic.write(runner.kind, self._folder / "requests")
        before = self._cpu_seconds(runner.side)
        # wrk goes away with one request under way on each connection: recorded, but not counted by wrk.
        seen = self._recorded(
            runner,
            lambda: flood(runner.side.port, requests, seconds, self._connections),
            lambda flood: flood.answers,
            self._connections,
        )
        after = self._cpu_seconds(runner.side)
        result.floods.append(seen)
        result.cpu_us.append({name: (after[name] - before[name]) / seen.answers * 1e6 for name in before})

    def stream(self, runner: Runner, rate: float, seconds: int, seed: int) -> Latencies:
        """Requests at a steady rate."""
        requests = self._traffic.requests(runner.kind)
        load = Stream(runner.side.port, requests, b"HTTP/1.1 302", self._connections)
        return self._recorded(runner, lambda: load.run(rate, seconds, seed), lambda seen: len(seen.sorted_ms), 0)

    def _recorded(self, runner: Runner, load: Callable[[], T], answers: Callable[[T], int], in_flight: int) -> T:
        """Run a load and see that every answer was recorded."""
        self._settle(runner)
        seen = load()
        recorded = self._settle(runner)
        if not 0 < answers(seen) <= recorded <= answers(seen) + in_flight:
            raise SystemExit(f"{runner.name}: {answers(seen)} answers, {recorded} records; this measures nothing")
        return seen

    def _settle(self, runner: Runner) -> int:
        """What was recorded, once everything asked so far is answered: a process answers in turn, so one question
        more, which is not counted, comes last."""
        answer = runner.side.ask(self._traffic.paths(runner.kind)[0], HOST)
        if answer.status not in (200, 302):
            raise SystemExit(f"{runner.name}: answers {answer.status} after the load")
        return runner.records.take(runner.kind) - 1

    def _cpu_seconds(self, side: Side) -> dict[str, float]:
        return {**side.cpu_seconds(), "valkey": cpu_seconds(self._valkey.pid)}


def main() -> None:
    parser = argparse.ArgumentParser(description="Our front against a Flask view that enqueues per hit.")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=int, default=2, help="of each load in a round")
    parser.add_argument("--connections", type=int, default=64)
    options = parser.parse_args()
    find_wrk()
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        raise SystemExit("this benchmark needs two cores: one for the servers, one for the load")
    os.sched_setaffinity(0, {cores[1]})
    # As Ctrl-C does: through the stack below, which ends the servers.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="telltale-bench-")))
        bench = Bench(stack, folder, cores[0], options.connections)
        for runner in bench.runners:
            bench.check_answers(runner)
            bench.flood(runner, 1, Result())  # to warm up
        results = {runner.name: Result() for runner in bench.runners}
        streams: list[Latencies] = []
        for number in range(options.rounds):
            for runner in bench.runners:
                bench.flood(runner, options.seconds, results[runner.name])
                if runner.name == "click":
                    half = results["click"].floods[-1].per_second / 2
                    streams.append(bench.stream(runner, half, options.seconds, number))
    report(results, streams)


def report(results: dict[str, Result], streams: list[Latencies]) -> None:
    """A table for people; the last line for programs."""
    print(f"{'requests/s':<20}{'median':>9}   rounds")
    for name, result in results.items():
        print(f"  {name:<18}{result.per_second:9,.0f}  {_row([flood.per_second for flood in result.floods], '8,.0f')}")
    print(f"\n{'CPU µs per answer':<20}{'sum':>9}   medians by program")
    for name, result in results.items():
        parts = "   ".join(f"{program} {cost:.1f}" for program, cost in result.cpu_parts.items())
        print(f"  {name:<18}{sum(result.cpu_parts.values()):9.1f}   {parts}")
    print(f"\n{'click at half load':<20}{'median':>9}   rounds")
    rates = [stream.rate for stream in streams]
    print(f"  {'requests/s':<18}{statistics.median(rates):9,.0f}  {_row(rates, '8,.0f')}")
    for label, share in _QUANTILES.items():
        values = [stream.quantile(share) for stream in streams]
        print(f"  {label + ' ms':<18}{statistics.median(values):9.2f}  {_row(values, '8.2f')}")
    late = [stream.late_p99_ms for stream in streams]
    print(f"  {'late p99 ms':<18}{statistics.median(late):9.2f}  {_row(late, '8.2f')}")
    print()
    print(json.dumps(figures(results, streams)))


def _row(values: list[float], form: str) -> str:
    return " ".join(format(value, form) for value in values)


def figures(results: dict[str, Result], streams: list[Latencies]) -> dict[str, float]:
    """Ratios of medians, how many times we answer as many; and the same from processor time alone."""
    cost = {name: sum(result.cpu_parts.values()) for name, result in results.items()}
    return {
        "pixel_ratio": round(results["pixel"].per_second / results["plain_pixel"].per_second, 2),
        "click_ratio": round(results["click"].per_second / results["plain_click"].per_second, 2),
        "click_p99_ms": round(statistics.median(stream.quantile(0.99) for stream in streams), 2),
        **{f"{name}_per_s": round(result.per_second) for name, result in results.items()},
        "pixel_cpu_ratio": round(cost["plain_pixel"] / cost["pixel"], 2),
        "click_cpu_ratio": round(cost["plain_click"] / cost["click"], 2),
    }


if __name__ == "__main__":
    main()

"""`make bench-engagement`: the kit through a whole copy, first all of it at once, then the quick part at its own pace.

First the whole kit is played with the times of its plan: hours in seconds, through uWSGI, journal, shipper, broker,
worker and MongoDB. Then the scenarios shorter than `LIVE_SECONDS` run through nginx at their own pace, which shows
how long a correction takes. At the end the figures are recounted from the events; exit 1 when they differ.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from app.ingest.networks import Networks
from app.storage.recount import recount
from benchmarks.engagement.copy import Copy
from benchmarks.engagement.messages import Messages
from benchmarks.engagement.networks import unknown_networks
from benchmarks.engagement.plan import Hit, Plan, make_plan, to_lines
from benchmarks.engagement.play import play_live, replay
from benchmarks.engagement.report import Live, print_report
from benchmarks.engagement.scenario import Kit, Scenario, Truth, load_kit
from benchmarks.engagement.score import Said, Score
from benchmarks.engagement.verdicts import Events, Watch

LIVE_SECONDS = 20.0
_LIVE_RECIPIENTS = 6
_CONNECTIONS = 8
_MARGIN_SECONDS = 60.0
_REPORT_SECONDS = 5.0


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Person, proxy or machine: the published test kit.")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="", help="scenarios whose name has this")
    parser.add_argument("--all-misses", action="store_true", help="name every kind of miss of every scenario")
    parser.add_argument(
        "--plan", action="store_true", help="write the plan as JSON lines instead, to play it elsewhere"
    )
    parser.add_argument("--verdicts", type=Path, help="score these JSON lines (README.md) instead of playing")
    parser.add_argument("--keep", type=Path, help="work in this new folder and keep its logs; a short path")
    options = parser.parse_args(arguments)
    kit = load_kit()
    scenarios = [scenario for scenario in kit.scenarios if options.only in scenario.name]
    plan = make_plan(kit, scenarios, seed=options.seed)
    if options.plan:
        sys.stdout.writelines(f"{line}\n" for line in to_lines(plan))
    elif options.verdicts:
        print_report(Score(plan.hits, _read_verdicts(options.verdicts)), all_misses=options.all_misses)
    else:
        _bench(kit, scenarios, options)


def _read_verdicts(path: Path) -> dict[str, Said]:
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return {row["id"]: Said(Truth(row["verdict"]), row["counted"], tuple(row.get("reasons", ()))) for row in rows}


def _bench(kit: Kit, scenarios: Sequence[Scenario], options: argparse.Namespace) -> None:
    # As Ctrl-C does: through the stack below, which ends the servers.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    quick = [scenario for scenario in scenarios if scenario.requests[-1].at * (1 + scenario.spread) < LIVE_SECONDS]
    with contextlib.ExitStack() as stack:
        temporary = stack.enter_context(tempfile.TemporaryDirectory(prefix="telltale-kit-"))
        folder: Path = options.keep or Path(temporary)
        folder.mkdir(exist_ok=True)
        pool = stack.enter_context(ThreadPoolExecutor(_CONNECTIONS))
        copy = Copy(stack, folder, scenarios)
        for fault in unknown_networks(kit, Networks()):
            print(f"networks: {fault}")
        score = _replay(copy, make_plan(kit, scenarios, seed=options.seed), pool)
        live = None
        if quick:
            plan = make_plan(kit, quick, seed=options.seed + 1, most=_LIVE_RECIPIENTS).at_once()
            live = _play_live(copy, plan, len(score.hits))
        equal = _figures_equal(copy)
    print_report(score, all_misses=options.all_misses, live=live, recount_equal=equal)
    if not equal:
        raise SystemExit(1)


def _replay(copy: Copy, plan: Plan, pool: ThreadPoolExecutor) -> Score:
    start = time.time() - plan.seconds - _MARGIN_SECONDS
    began = time.monotonic()
    messages = Messages(copy, plan.sendings, pool)
    messages.report_sent(plan.sendings, start)
    registered = time.monotonic()
    replay(copy, messages, plan.hits, start, pool)
    played = time.monotonic()
    copy.wait_until_stored(len(plan.hits))
    print(
        f"{len(plan.sendings):,} messages, {len(plan.hits):,} requests of {plan.seconds / 3600:.1f} hours:",
        f"registered in {registered - began:.1f} s, played in {played - registered:.1f} s",
    )
    return Score(plan.hits, Events(copy, messages, plan.hits).read())


def _play_live(copy: Copy, plan: Plan, stored: int) -> Live:
    """Args:
    stored: journal records of before.
    """
    with ThreadPoolExecutor(len(plan.sendings)) as pool:
        messages = Messages(copy, plan.sendings, pool)
        # A moment ahead, so that no request is due before everything is reported.
        start = time.time() + _REPORT_SECONDS
        messages.report_sent(plan.sendings, start)
        events = Events(copy, messages, plan.hits)
        with Watch(events) as watch:
            answered = play_live(copy, messages, plan.hits, start, pool)
            copy.wait_until_stored(stored + len(plan.hits))
    return Live(Score(plan.hits, events.read()), _correction_seconds(plan.hits, answered, watch.changed))


def _correction_seconds(
    hits: Sequence[Hit], answered: Mapping[str, float], changed: Mapping[str, float]
) -> dict[str, float]:
    """Hit → seconds from the answer that proved its scenario's machine until another verdict was in MongoDB."""
    proof = {hit.sending.key: answered[hit.id] for hit in hits if hit.proves}
    return {
        hit.id: max(0.0, changed[hit.id] - proof[hit.sending.key])
        for hit in hits
        if hit.id in changed and hit.sending.key in proof
    }


def _figures_equal(copy: Copy) -> bool:
    """Whether rollups and markers together are what the events add up to, before and after they are compacted."""
    equal = True
    for _ in range(2):
        for brand in copy.brands:
            figures = Counter({key: number for key, number in copy.services.batches.figures(brand).items() if number})
            equal = equal and figures == recount(copy.services.database, brand)
        while copy.services.batches.compact():
            pass
    return equal


if __name__ == "__main__":
    main()

"""`make demo`: finds a running copy or starts one of its own, tells the story, and says with its exit code how it went.

0: every figure is as expected. 1: one is not, or an answer was wrong. 2: the demo could not be played. 130: stopped.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time

from local.demo.api import ApiRefused
from local.demo.breaks import BREAKS, Sabotage
from local.demo.copies import copy_with
from local.demo.display import Display
from local.demo.figures import table
from local.demo.mailings import BRANDS, NotAsRegistered, total
from local.demo.stop import StopSignals
from local.demo.story import QUIET_SECONDS, Outcome, Story
from local.stack import Cancelled, StackFailed

OK, DIFFERENT, NOT_PLAYED, STOPPED = 0, 1, 2, 130


def main() -> int:
    options = _options()
    signals = StopSignals()
    began = time.monotonic()
    print(f"Telltale demo: {total()} messages of {', '.join(BRANDS)}; seed {options.seed}\n", flush=True)
    try:
        with copy_with(BRANDS, signals.asked) as copy:
            sabotage = Sabotage(options.broken)
            story = Story(
                copy,
                Display(),
                seed=options.seed,
                wait_seconds=options.wait,
                quiet_seconds=options.quiet,
                sabotage=sabotage,
            )
            outcome = signals.run(story.tell())
            _report(outcome, time.monotonic() - began, options)
    except (Cancelled, asyncio.CancelledError):
        print("\nStopped; nothing of the demo is left running.", file=sys.stderr)
        return STOPPED
    except StackFailed as error:
        print(f"\nNo copy could be started: {error}", file=sys.stderr)
        return NOT_PLAYED
    except (ApiRefused, NotAsRegistered) as error:
        print(f"\nThe demo could not go on: {error}", file=sys.stderr)
        return NOT_PLAYED
    return OK if outcome.ok else DIFFERENT


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m local.demo",
        description="Plays brands and recipients through a copy of Telltale and compares expected with seen.",
    )
    parser.add_argument("--seed", type=int, default=7, help="another seed is another play (default: 7)")
    parser.add_argument("--wait", type=float, default=60.0, help="seconds until all must be seen (default: 60)")
    parser.add_argument(
        "--quiet",
        type=float,
        default=QUIET_SECONDS,
        help=f"seconds without anything new until what is missing is missing (default: {QUIET_SECONDS:.0f})",
    )
    parser.add_argument("--list", action="store_true", help="also list what was requested how often")
    steps = "; ".join(f"{step}: {what}" for step, what in BREAKS.items())
    parser.add_argument(
        "--break",
        dest="broken",
        metavar="STEP",
        choices=tuple(BREAKS),
        help=f"break one step on purpose, to see the demo exit with 1. {steps}",
    )
    return parser.parse_args()


def _report(outcome: Outcome, seconds: float, options: argparse.Namespace) -> None:
    if options.list:
        print("\n  Requested through nginx:")
        for what, times in sorted(outcome.played.items()):
            print(f"  {times:>6}  {what}")
    print(f"\n{table(outcome.rows)}")
    if outcome.faults:
        print(f"\n  Besides ({len(outcome.faults)}):")
        for fault in outcome.faults[:10]:
            print(f"    {fault}")
    if options.broken is not None:
        print(f"\n  Broken on purpose: {BREAKS[options.broken]}.")
    word = "Every figure is as expected" if outcome.ok else "NOT as expected"
    print(f"\n{word}, after {seconds:.0f} s.", flush=True)


if __name__ == "__main__":
    sys.exit(main())

"""Prints a score: tables for people, and as the last line one JSON object for programs."""

from __future__ import annotations

import json
from collections.abc import Mapping

from benchmarks.engagement.scenario import Truth
from benchmarks.engagement.score import Score

GOALS = {"machine_recall": 0.97, "human_lost": 0.005, "max_correction_s": 60.0}
_MISSES = 2


def print_report(
    score: Score,
    *,
    all_misses: bool = False,
    corrections: Mapping[str, float] | None = None,
    recount_equal: bool | None = None,
) -> None:
    """Args:
    corrections: hit → seconds until its verdict was corrected.
    recount_equal: whether figures are what the events add up to.
    """
    _print_classes(score)
    _print_scenarios(score, all_misses=all_misses)
    unseen = [f"{scenario} ({reason})" for scenario, reason in score.reasons_unseen()]
    if unseen:
        print(f"\nreasons that were aimed at and never given: {', '.join(unseen)}")
    if corrections:
        slowest = max(corrections, key=lambda hit: corrections[hit])
        print(
            f"\n{len(corrections)} verdicts corrected at their own pace,",
            f"the slowest after {corrections[slowest]:.2f} s ({slowest})",
        )
    print()
    print(json.dumps(figures(score, corrections, recount_equal)))


def figures(
    score: Score, corrections: Mapping[str, float] | None, recount_equal: bool | None
) -> dict[str, float | bool | None]:
    return {
        "machine_recall": round(score.recall(Truth.MACHINE), 4),
        "human_lost": round(score.human_lost(), 4),
        "max_correction_s": round(max(corrections.values()), 2) if corrections else None,
        "recount_equal": recount_equal,
        "unsubscribes_lost": score.unsubscribes_lost(),
        **{f"{truth}_recall": round(score.recall(truth), 4) for truth in Truth if truth is not Truth.MACHINE},
        **{f"{truth}_precision": round(score.precision(truth), 4) for truth in Truth},
        "machine_recall_per_scenario": round(score.recall_per_scenario(Truth.MACHINE), 4),
        "requests": len(score.judged),
        "scenarios": len(score.by_scenario()),
    }


def _print_classes(score: Score) -> None:
    table = score.confusion()
    said: list[Truth | None] = [*Truth, None]
    heads = "".join(f"{'no event' if verdict is None else verdict:>10}" for verdict in said)
    print(f"\n{'truth':<10}{heads}{'recall':>10}{'precision':>11}{'by scenario':>13}")
    for truth in Truth:
        row = "".join(f"{table[truth, verdict]:>10,}" for verdict in said)
        shares = f"{score.recall(truth):>10.2%}{score.precision(truth):>11.2%}{score.recall_per_scenario(truth):>13.2%}"
        print(f"{truth:<10}{row}{shares}")
    print(f"\npeople's events that are not counted: {score.human_lost():.2%}")


def _print_scenarios(score: Score, *, all_misses: bool) -> None:
    for hard in (False, True):
        print("\nwhere it was expected to be hard:" if hard else "\nscenarios with misses:")
        for name, hits in score.by_scenario().items():
            misses = score.misses(hits)
            if bool(hits[0].sending.scenario.hard) is not hard or not misses:
                continue
            print(f"  {name}: {misses.total():,} of {len(hits):,}")
            for words, number in misses.most_common(None if all_misses else _MISSES):
                print(f"      {number:>5} × {words}")

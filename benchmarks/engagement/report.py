"""Prints a score: tables for people, and as the last line one JSON object for programs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from benchmarks.engagement.scenario import Truth
from benchmarks.engagement.score import Score

_MISSES = 2


@dataclass(frozen=True, slots=True)
class Live:
    """What was seen when requests came at their own pace."""

    score: Score
    corrections: Mapping[str, float]
    """Hit → seconds until its verdict was corrected."""

    @property
    def slowest(self) -> float | None:
        return max(self.corrections.values(), default=None)


def print_report(
    score: Score,
    *,
    all_misses: bool = False,
    live: Live | None = None,
    recount_equal: bool | None = None,
) -> None:
    """Args:
    recount_equal: whether figures are what the events add up to.
    """
    _print_classes(score)
    _print_scenarios(score, all_misses=all_misses)
    unseen = [f"{scenario} ({reason})" for scenario, reason in score.reasons_unseen()]
    if unseen:
        print(f"\nreasons that were aimed at and never given: {', '.join(unseen)}")
    if live is not None:
        _print_live(live, all_misses=all_misses)
    print()
    print(json.dumps(figures(score, live, recount_equal)))


def figures(score: Score, live: Live | None, recount_equal: bool | None) -> dict[str, float | bool | None]:
    slowest = live.slowest if live else None
    return {
        "machine_recall": round(score.recall(Truth.MACHINE), 4),
        "human_lost": round(score.human_lost(), 4),
        "max_correction_s": None if slowest is None else round(slowest, 2),
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


def _print_live(live: Live, *, all_misses: bool) -> None:
    slowest = f", the slowest after {live.slowest:.2f} s" if live.corrections else ""
    print(f"\nat their own pace through nginx: {len(live.score.judged)} requests,", end=" ")
    print(f"{len(live.corrections)} verdicts corrected{slowest}")
    _print_scenarios(live.score, all_misses=all_misses)


def _print_scenarios(score: Score, *, all_misses: bool) -> None:
    missed = {name: misses for name, hits in score.by_scenario().items() if (misses := score.misses(hits))}
    of = {name: len(hits) for name, hits in score.by_scenario().items()}
    hard = {hit.sending.scenario.name for hit in score.hits if hit.sending.scenario.hard}
    for title, names in (
        ("scenarios with misses", missed.keys() - hard),
        ("misses where they were expected", missed.keys() & hard),
    ):
        print(f"\n{title}:" if names else f"\n{title}: none")
        for name in sorted(names):
            print(f"  {name}: {missed[name].total():,} of {of[name]:,}")
            for words, number in missed[name].most_common(None if all_misses else _MISSES):
                print(f"      {number:>5} × {words}")

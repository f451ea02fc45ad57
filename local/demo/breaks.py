"""Breaking one step on purpose (`--break`), to see that the demo finds it: the check of the check."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from local.demo.figures import CLICKED
from local.demo.hits import Hit

BREAKS = {
    "drop-hit": "one click is expected and not made",
    "extra-hit": "one click is made twice and expected once",
    "wrong-answer": "one click is expected to lead elsewhere",
    "drop-sent": "one message is expected to be sent and not reported",
    "drop-webhook": "the receiver forgets one webhook",
    "bad-secret": "the receiver verifies one brand's webhooks with another secret",
}


@dataclass(frozen=True, slots=True)
class Sabotage:
    """Which step is broken; `None`: all is well."""

    step: str | None = None

    def visits(self, visits: Sequence[list[Hit]]) -> list[list[Hit]]:
        """What is really played of the plan."""
        played = [list(visit) for visit in visits]
        if self.step not in ("drop-hit", "extra-hit", "wrong-answer"):
            return played
        visit, place = next((visit, place) for visit in played for place, hit in enumerate(visit) if _counts(hit))
        hit = visit[place]
        if self.step == "drop-hit":
            del visit[place]
        elif self.step == "extra-hit":
            visit.insert(place, hit)
        else:
            visit[place] = replace(hit, answer=replace(hit.answer, location="https://elsewhere.example/"))
        return played


def _counts(hit: Hit) -> bool:
    return hit.event is not None and hit.event.type == CLICKED and hit.event.counted

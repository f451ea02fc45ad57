"""Compares what a system says with what requests really were. Nothing here knows which system it was."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import mean

from benchmarks.engagement.plan import Hit
from benchmarks.engagement.scenario import COUNTED, Truth

_JUDGED = ("open", "click")
"""Looks at the unsubscribe page are in no figure, and an unsubscribe is not judged but must be honoured."""


@dataclass(frozen=True, slots=True)
class Said:
    """What a system says of one request."""

    verdict: Truth
    counted: bool
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Score:
    """Args:
    hits: the plan's.
    said: hit → what was said of it; what is missing was lost.
    """

    hits: Sequence[Hit]
    said: Mapping[str, Said]

    @property
    def judged(self) -> list[Hit]:
        return [hit for hit in self.hits if hit.target.kind in _JUDGED]

    def confusion(self) -> Counter[tuple[Truth, Truth | None]]:
        """(truth, verdict) → requests; None: there is no event."""
        return Counter((hit.truth, self._verdict(hit)) for hit in self.judged)

    def recall(self, truth: Truth) -> float:
        """Of what was so, the share that was said to be."""
        table = self.confusion()
        return _share(table[truth, truth], sum(n for (was, _), n in table.items() if was is truth))

    def precision(self, truth: Truth) -> float:
        """Of what was said to be so, the share that was."""
        table = self.confusion()
        return _share(table[truth, truth], sum(n for (_, said), n in table.items() if said is truth))

    def recall_per_scenario(self, truth: Truth) -> float:
        """The mean over scenarios, whatever they are played for."""
        shares = []
        for hits in self.by_scenario().values():
            of_class = [hit for hit in hits if hit.truth is truth]
            if of_class:
                shares.append(_share(sum(self._verdict(hit) is truth for hit in of_class), len(of_class)))
        return mean(shares) if shares else 1.0

    def human_lost(self) -> float:
        """Of what somebody did, himself or through a proxy, the share that is not counted."""
        done = [hit for hit in self.judged if hit.truth in COUNTED]
        return _share(sum(not self._counted(hit) for hit in done), len(done), empty=0.0)

    def unsubscribes_lost(self) -> int:
        return sum(hit.target.kind == "unsubscribe" and not self._counted(hit) for hit in self.hits)

    def by_scenario(self) -> dict[str, list[Hit]]:
        found: dict[str, list[Hit]] = {}
        for hit in self.judged:
            found.setdefault(hit.sending.scenario.name, []).append(hit)
        return found

    def misses(self, hits: Sequence[Hit]) -> Counter[str]:
        """What went wrong with a scenario's hits, in words → how often."""
        return Counter(self._words(hit) for hit in hits if self._verdict(hit) is not hit.truth)

    def reasons_unseen(self) -> Iterator[tuple[str, str]]:
        """(scenario, reason) where none of its requests got a reason that it aims at."""
        seen: dict[str, set[str]] = {}
        scenarios = {hit.sending.scenario.name: hit.sending.scenario for hit in self.hits}
        for hit in self.hits:
            if one := self.said.get(hit.id):
                seen.setdefault(hit.sending.scenario.name, set()).update(one.reasons)
        for name, scenario in scenarios.items():
            yield from ((name, reason) for reason in scenario.aims_at if reason not in seen.get(name, ()))

    def _verdict(self, hit: Hit) -> Truth | None:
        said = self.said.get(hit.id)
        return None if said is None else said.verdict

    def _counted(self, hit: Hit) -> bool:
        said = self.said.get(hit.id)
        return said is not None and said.counted

    def _words(self, hit: Hit) -> str:
        scenario = hit.sending.scenario
        request = scenario.requests[int(hit.id.rpartition("/")[2])]
        what = f"{request.target.place or request.target.kind} at {request.at:g} s by {request.by}"
        said = self.said.get(hit.id)
        verdict = "has no event" if said is None else f"taken for {said.verdict} ({', '.join(said.reasons)})"
        return f"{what} is {hit.truth}, {verdict}"


def _share(part: int, whole: int, empty: float = 1.0) -> float:
    return part / whole if whole else empty

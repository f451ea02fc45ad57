"""What the hits of one message say of each other: rules 12 to 16 and 20 to 24 of the decision table.

A pure function of all hits of a message, so their verdicts do not depend on the order in which they became known: it is
asked again whenever a hit, a hand-over or another rule set is added, and what differs is corrected.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Sequence, Set
from typing import NamedTuple

from app.ingest.classify import Alone, judgement_of
from app.models import signals as bits
from app.models.bot_policy import BotPolicy
from app.models.event import EventKind, Judgement, Verdict

_ON_ITS_OWN = frozenset({"prefetch", "link_preview"})
"""A browser's prefetch is a person's browser, and a preview is one look: neither makes a burst."""


class Told(NamedTuple):
    """One hit as the story needs it."""

    at_ms: int
    kind: EventKind
    slot: int
    user_agent: str
    signals: int
    alone: Alone


class Chapter(NamedTuple):
    """What became of one hit."""

    judgement: Judgement
    points: tuple[str, ...]
    """Its weak signs."""


def tell(
    hits: Sequence[Told], policy: BotPolicy, *, links: frozenset[int], handed_over_ms: int | None
) -> list[Chapter]:
    """Judge the hits of one message.

    Args:
        hits: all that are known, in order of time.
        links: the slots of the message's tracked links, the hidden one excepted; empty when nobody knows.
        handed_over_ms: when the receiving server accepted the message, or it was sent; None when nobody said.
    """
    story = _Story(hits, policy, links, handed_over_ms)
    story.trap()
    story.burst()
    story.sweep()
    story.too_fast()
    story.taint()
    story.weak_signs()
    story.echo()
    return story.chapters()


class _Story:
    """The rules in order; a hit that one has made a machine's is not asked again."""

    def __init__(
        self, hits: Sequence[Told], policy: BotPolicy, links: frozenset[int], handed_over_ms: int | None
    ) -> None:
        self._hits = hits
        self._policy = policy
        self._links = links
        self._handed_over_ms = handed_over_ms
        self._machine: dict[int, str] = {}
        self._points = [hit.alone.points for hit in hits]
        self._flags: dict[int, tuple[str, ...]] = {}
        self._certain = {index for index, hit in enumerate(hits) if hit.alone.taints}
        """Hits that make others of the same client a machine's. Those others make no further ones."""
        self._looks_back: set[int] = set()
        """Of these, the ones that also do so to earlier hits."""

    def trap(self) -> None:
        """Rule 12."""
        if not self._has("honeypot"):
            return
        # A browser that fetches ahead is a person's: it follows what a person cannot see.
        traps = [i for i, hit in enumerate(self._hits) if hit.signals & bits.TRAP and hit.alone.reason != "prefetch"]
        for index in traps:
            self._set(index, "honeypot")
        self._certain.update(traps)
        for index in self._near(set(traps), self._policy.look_back_seconds):
            self._set(index, "honeypot")

    def burst(self) -> None:
        """Rule 13: so many different links in so short a time."""
        if self._has("link_burst"):
            links = self._targets(EventKind.CLICKED)
            if len(links) < self._policy.burst_links:
                return
            self._crowd(
                links, self._policy.burst_seconds, lambda seen: len(seen) >= self._policy.burst_links, "link_burst"
            )

    def sweep(self) -> None:
        """Rule 13: every link and the unsubscribe page. One link and that page is what a person may do."""
        if self._has("link_sweep") and len(self._links) > 1:
            everything = {*self._links, None}
            targets = self._targets(EventKind.CLICKED, EventKind.VIEWED)
            if len(targets) < len(everything):
                return
            self._crowd(targets, self._policy.sweep_seconds, everything.issubset, "link_sweep")

    def too_fast(self) -> None:
        """Rule 14. A hit before the hand-over says that this was reported late, and nothing about the hit."""
        if not self._has("too_fast"):
            return
        for index, hit in enumerate(self._hits):
            since = self._since(hit)
            if since is not None and since < self._policy.too_fast_seconds and hit.alone.verdict is not Verdict.PROXY:
                self._set(index, "too_fast")
                self._certain.add(index)

    def taint(self) -> None:
        """Rule 15, and before a burst or a trap too."""
        if not self._has("tainted_session"):
            return
        for index in self._near(self._certain, 0):
            self._set(index, "tainted_session")
        for index in self._near(self._looks_back, self._policy.look_back_seconds):
            self._set(index, "tainted_session")

    def weak_signs(self) -> None:
        """Rules 16, 20, 23 and 24."""
        for index, hit in enumerate(self._hits):
            if not self._is_person(index):
                continue
            since = self._since(hit)
            if since is not None and since < self._policy.fast_seconds and self._has("fast"):
                if hit.kind is EventKind.OPENED:
                    self._flags[index] = ("fast",)
                else:
                    self._points[index] += ("fast",)
            points = self._points[index]
            if "ms_net" in points and since is not None and since < self._policy.microsoft_seconds:
                self._points[index] = tuple(code for code in points if code != "ms_net")
                self._set(index, "ms_net")
            elif len(points) >= self._policy.machine_points and self._has("soft_signals"):
                self._set(index, "soft_signals")

    def echo(self) -> None:
        """Rule 22: of two clicks on one link from two networks within so short a time the more suspect one, or else the
        second. A gateway that follows the person is the usual order; one that goes before them is the other."""
        if not self._has("scanner_echo"):
            return
        last: dict[int, int] = {}
        for index, hit in enumerate(self._hits):
            if hit.kind is not EventKind.CLICKED or not self._is_person(index):
                continue
            before = last.get(hit.slot)
            if before is not None and self._echoes(before, index):
                suspect = before if len(self._points[before]) > len(self._points[index]) else index
                self._set(suspect, "scanner_echo")
                if suspect == index:
                    continue
            last[hit.slot] = index

    def chapters(self) -> list[Chapter]:
        return [
            Chapter(
                judgement_of(
                    hit.alone,
                    machine=self._machine.get(index, ""),
                    points=self._points[index],
                    flags=self._flags.get(index, ()),
                ),
                self._points[index],
            )
            for index, hit in enumerate(self._hits)
        ]

    def _has(self, code: str) -> bool:
        return code not in self._policy.ignore

    def _since(self, hit: Told) -> float | None:
        """Seconds from the hand-over to a hit; None when nobody said when that was, or said it too late."""
        if self._handed_over_ms is None or hit.at_ms < self._handed_over_ms:
            return None
        return (hit.at_ms - self._handed_over_ms) / 1000

    def _is_person(self, index: int) -> bool:
        return self._hits[index].alone.verdict is Verdict.HUMAN and index not in self._machine

    def _set(self, index: int, reason: str) -> None:
        """What was a machine by itself keeps its own reason: it is the stronger evidence."""
        if self._hits[index].alone.verdict is not Verdict.MACHINE:
            self._machine.setdefault(index, reason)

    def _targets(self, *kinds: EventKind) -> list[tuple[int, int | None]]:
        """(hit, what it asked for) of hits that can be part of a crowd; None stands for the unsubscribe page."""
        return [
            (index, None if hit.kind is EventKind.VIEWED else hit.slot)
            for index, hit in enumerate(self._hits)
            if hit.kind in kinds and hit.alone.reason not in _ON_ITS_OWN
        ]

    def _crowd(
        self,
        targets: list[tuple[int, int | None]],
        seconds: float,
        is_enough: Callable[[set[int | None]], bool],
        reason: str,
    ) -> None:
        """Set every hit within a window of `seconds` in which enough was asked for."""
        window: Counter[int | None] = Counter()
        start = done = 0
        for end, (index, target) in enumerate(targets):
            window[target] += 1
            while self._hits[index].at_ms - self._hits[targets[start][0]].at_ms > seconds * 1000:
                window[targets[start][1]] -= 1
                window += Counter()  # drops what is down to zero
                start += 1
            if is_enough(set(window)):
                for member, _ in targets[max(start, done) : end + 1]:
                    self._set(member, reason)
                    self._certain.add(member)
                    self._looks_back.add(member)
                done = end + 1

    def _near(self, certain: Set[int], before_seconds: float) -> list[int]:
        """Other hits by the same client shortly before, or for a while after, one of the certain ones. A proxy is no
        client: it fetches for everybody."""
        if not certain:
            return []
        before, after = before_seconds * 1000, self._policy.taint_seconds * 1000
        agents: dict[str, list[int]] = {}
        addresses: dict[int, list[int]] = {}
        for index in sorted(certain):
            hit = self._hits[index]
            agents.setdefault(hit.user_agent, []).append(hit.at_ms)
            addresses.setdefault(bits.address_of(hit.signals), []).append(hit.at_ms)
        agents.pop("", None)
        addresses.pop(0, None)
        return [
            index
            for index, hit in enumerate(self._hits)
            if index not in certain
            and self._is_person(index)
            and (
                _any_within(agents.get(hit.user_agent, ()), hit.at_ms - after, hit.at_ms + before)
                or _any_within(addresses.get(bits.address_of(hit.signals), ()), hit.at_ms - after, hit.at_ms + before)
            )
        ]

    def _echoes(self, first: int, second: int) -> bool:
        one, other = self._hits[first], self._hits[second]
        networks = bits.network_of(one.signals), bits.network_of(other.signals)
        return (
            other.at_ms - one.at_ms <= self._policy.echo_seconds * 1000
            and 0 not in networks
            and networks[0] != networks[1]
        )


def _any_within(times: Sequence[int], low: float, high: float) -> bool:
    """Whether one of the times, which are in order, is neither before `low` nor after `high`."""
    place = bisect_left(times, low)
    return place < len(times) and times[place] <= high

"""What was found out about the links of one request, with their places. `plan_html` and `plan_text` fill it.

Registering a message needs only what is refused and what somebody should look at; the linter wants every link.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from itertools import accumulate

from app.tracking.link_reasons import CAUTIONS, Action, Caution, Reason
from app.tracking.link_rules import Decision

MAX_FINDINGS = 1000
MAX_WARNINGS = 50
MAX_REFUSALS = 20


@dataclass(frozen=True, slots=True)
class Finding:
    """One link of the content."""

    part: str
    """`html`, `text`, or what a MIME message calls its part."""
    line: int
    """From 1, in the part; ends at a line feed."""
    column: int
    """From 1, in characters."""
    url: str = field(repr=False)
    """As its reader sees it: character references decoded."""
    action: Action
    reason: Reason
    cautions: tuple[Caution, ...] = ()
    slot: int | None = None
    destination: str | None = field(default=None, repr=False)
    """Where a tracked link leads."""


@dataclass(frozen=True, slots=True)
class PartNote:
    """Something about a whole part."""

    part: str
    line: int
    column: int
    caution: Caution


class Findings:
    """Collects findings, bounded.

    Args:
        everything: links without any caution too.
        limit: how many findings are kept; what is refused is kept (and bounded) besides.
    """

    def __init__(self, *, everything: bool = False, limit: int = MAX_FINDINGS) -> None:
        self.links: list[Finding] = []
        self.notes: list[PartNote] = []
        self.refused: list[Finding] = []
        """The first of what the brand's configuration forbids; when there is any, the request is to be refused."""
        self.left_out = 0
        """How many findings there was no room for."""
        self._everything = everything
        self._limit = limit
        self._part = ""
        self._source = ""
        self._line_starts: list[int] | None = None

    def begin(self, part: str, source: str) -> None:
        """What is added from now on stands in `source`."""
        self._part, self._source, self._line_starts = part, source, None

    def add(self, decision: Decision, url: str, at: int, slot: int | None = None) -> None:
        """
        Args:
            at: where it stands, in characters from 0.
        """
        refused = decision.action is Action.REFUSED
        if not (self._everything or refused or decision.cautions):
            return
        room = len(self.links) < self._limit
        if not room:
            self.left_out += 1
        room_to_refuse = refused and len(self.refused) < MAX_REFUSALS
        if not room and not room_to_refuse:
            return
        line, column = self._place(at)
        destination = decision.destination if slot is not None else None
        found = Finding(
            self._part, line, column, url, decision.action, decision.reason, decision.cautions, slot, destination
        )
        if room:
            self.links.append(found)
        if room_to_refuse:
            self.refused.append(found)

    def note(self, caution: Caution, line: int = 1, column: int = 1) -> None:
        """Something about the part that was begun last."""
        if len(self.notes) < self._limit:
            self.notes.append(PartNote(self._part, line, column, caution))

    def mark(self) -> tuple[int, int, int, int]:
        """For `back_to`."""
        return len(self.links), len(self.notes), len(self.refused), self.left_out

    def back_to(self, mark: tuple[int, int, int, int]) -> None:
        """Forget what was added since."""
        del self.links[mark[0] :]
        del self.notes[mark[1] :]
        del self.refused[mark[2] :]
        self.left_out = mark[3]

    def warnings(self, limit: int = MAX_WARNINGS) -> list[dict[str, str | int]]:
        """What somebody should look at: part, line, column, code, detail. Quotes nothing of the content."""
        found = self.part_warnings()[:limit]
        for link in self.links:
            if len(found) >= limit:
                break
            found += [_warning(link.part, link.line, link.column, caution) for caution in link.cautions]
        return found[:limit]

    def part_warnings(self) -> list[dict[str, str | int]]:
        """Those about whole parts."""
        return [_warning(note.part, note.line, note.column, note.caution) for note in self.notes]

    def _place(self, at: int) -> tuple[int, int]:
        if self._line_starts is None:
            lines = self._source.split("\n")
            self._line_starts = [0, *accumulate(len(line) + 1 for line in lines[:-1])]
        line = bisect_right(self._line_starts, at)
        return line, at - self._line_starts[line - 1] + 1


def _warning(part: str, line: int, column: int, caution: Caution) -> dict[str, str | int]:
    return {"part": part, "line": line, "column": column, "code": caution.value, "detail": CAUTIONS[caution]}

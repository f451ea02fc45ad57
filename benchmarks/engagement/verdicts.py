"""What the copy says of each request of a plan, read from its events."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from app.models.block import FIRST_LINK_SLOT, Slot
from app.models.event import EventKind, Judgement
from app.storage.event_documents import KIND_CODES, VERDICTS
from benchmarks.engagement.copy import Copy
from benchmarks.engagement.messages import Messages
from benchmarks.engagement.plan import Hit
from benchmarks.engagement.scenario import Truth
from benchmarks.engagement.score import Said

_KINDS = {
    "open": KIND_CODES[EventKind.OPENED],
    "click": KIND_CODES[EventKind.CLICKED],
    "page": KIND_CODES[EventKind.VIEWED],
    "unsubscribe": KIND_CODES[EventKind.UNSUBSCRIBED],
}
_CHUNK = 1000
_POLL_SECONDS = 0.05

Place = tuple[int, int, int]
"""(message, kind, slot)"""


class Events:
    """The events of a plan's requests. Those of one message, kind and slot are told apart by their order."""

    def __init__(self, copy: Copy, messages: Messages, hits: Sequence[Hit]) -> None:
        self._events = copy.services.database["events"]
        self._hits: dict[Place, list[Hit]] = defaultdict(list)
        for hit in hits:
            message = copy.services.codes.message_number(messages.of(hit.sending).message_id)
            if message is None:
                raise SystemExit("the API gave a message an id that nobody can read")
            self._hits[message, _KINDS[hit.target.kind], _slot(hit)].append(hit)
        self.numbers = sorted({place[0] for place in self._hits})

    def read(self) -> dict[str, Said]:
        """Hit → what is said of it now; hits without an event are left out."""
        found: dict[Place, list[Mapping[str, Any]]] = defaultdict(list)
        for first in range(0, len(self.numbers), _CHUNK):
            # Implied opens have the slot of a pixel and no request.
            query = {"m": {"$in": self.numbers[first : first + _CHUNK]}, "im": {"$ne": True}}
            for row in self._events.find(query, {"m": 1, "k": 1, "s": 1, "at": 1, "v": 1, "n": 1, "r": 1}):
                found[int(row["m"]), row["k"], row["s"]].append(row)
        return {
            hit.id: _said(row)
            for place, hits in self._hits.items()
            for hit, row in zip(hits, sorted(found[place], key=lambda row: row["at"]), strict=False)
        }


class Watch:
    """Notes when the verdict of each hit changed last, by looking again and again."""

    def __init__(self, events: Events) -> None:
        self._events = events
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._last: dict[str, Truth] = {}
        self.changed: dict[str, float] = {}
        """Hit → when another verdict than its first was seen, on the wall clock."""

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        self._look()

    def _run(self) -> None:
        while not self._over.wait(_POLL_SECONDS):
            self._look()

    def _look(self) -> None:
        said = self._events.read()
        now = time.time()
        for hit, one in said.items():
            if self._last.setdefault(hit, one.verdict) is not one.verdict:
                self._last[hit] = one.verdict
                self.changed[hit] = now


def _slot(hit: Hit) -> int:
    kind, place = hit.target.kind, hit.target.place
    if kind == "open":
        return Slot.PIXEL_HEADER if place == "header" else Slot.PIXEL_FOOTER
    if kind == "click":
        # The hidden link is the last of all.
        return FIRST_LINK_SLOT + (hit.sending.scenario.links if place == "trap" else int(place) - 1)
    return Slot.UNSUBSCRIBE


def _said(row: Mapping[str, Any]) -> Said:
    judgement = Judgement(VERDICTS[row["v"]], row["n"], tuple(row["r"]))
    return Said(Truth(judgement.share.value), judgement.counted, judgement.reasons)

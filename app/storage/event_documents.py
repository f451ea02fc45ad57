"""Events as documents of `events`, with names of a letter or two, because there are millions of them.

_id id   b brand   m message   k kind   f rank, or the event's own id   bl block   s slot   at hit   rt recorded
v verdict   n counted   r reasons   rv rule set   bt digest of its batch   sg signals   c campaign   ua user agent
ip client   um method   q query   p personal   im implied   x stripped by an erasure
cr, ck, ov, on, or   of a correction: the corrected event, its kind, and the judgement before
o   of a corrected event: [verdict, counted, reasons, rank] as it was first stored
"""

from __future__ import annotations

from typing import Any

from app.models.event import AGAIN, Event, EventKind, Judgement, Verdict
from app.storage.client import Document

# Stored as small integers: the values are part of the data, only ever add to them.
KIND_CODES = {
    EventKind.SENT: 1,
    EventKind.OPENED: 2,
    EventKind.CLICKED: 3,
    EventKind.UNSUBSCRIBED: 4,
    EventKind.RECLASSIFIED: 5,
    EventKind.VIEWED: 6,
}
KINDS = {code: kind for kind, code in KIND_CODES.items()}
VERDICT_CODES = {Verdict.HUMAN: 1, Verdict.PROXY: 2, Verdict.MACHINE: 3}
VERDICTS = {code: verdict for verdict, code in VERDICT_CODES.items()}


def to_document(event: Event, batch: bytes) -> Document:
    """Args:
    batch: the digest of the id of the batch that stores it.
    """
    judgement = event.judgement
    # Plain bytes and integers: the driver picks the smallest type that holds them, and MongoDB compares by value.
    event_id = event.id
    document: dict[str, Any] = {
        "_id": event_id,
        "b": event.brand_id,
        "m": event.message,
        "k": KIND_CODES[event.kind],
        "f": event_id if event.rank == AGAIN else event.rank,
        "bl": event.block,
        "s": event.slot,
        "at": event.at_ms,
        "rt": event.recorded_ms,
        "v": VERDICT_CODES[judgement.verdict],
        "n": judgement.counted,
        "r": judgement.reasons,
        "rv": event.rules_version,
        "bt": batch,
    }
    if event.signals:
        document["sg"] = event.signals
    if event.campaign_id is not None:
        document["c"] = event.campaign_id
    if event.user_agent:
        document["ua"] = event.user_agent
    if event.client:
        document["ip"] = event.client
    if event.method is not None:
        document["um"] = event.method
    if event.query:
        document["q"] = event.query
    if event.personal:
        document["p"] = event.personal
    if event.implied:
        document["im"] = True
    if event.before is not None and event.corrects_kind is not None:
        before = event.before
        document["cr"] = event.corrects
        document["ck"] = KIND_CODES[event.corrects_kind]
        document["ov"], document["on"], document["or"] = VERDICT_CODES[before.verdict], before.counted, before.reasons
    return document


def from_document(document: Document) -> Event:
    corrects = document.get("cr")
    return Event(
        id=bytes(document["_id"]),
        kind=KINDS[document["k"]],
        brand_id=document["b"],
        message=int(document["m"]),
        block=int(document["bl"]),
        slot=document["s"],
        at_ms=int(document["at"]),
        recorded_ms=int(document["rt"]),
        judgement=judgement_of(document),
        rank=rank_of(document),
        rules_version=document["rv"],
        campaign_id=document.get("c"),
        user_agent=document.get("ua", ""),
        client=document.get("ip", ""),
        method=document.get("um"),
        query=document.get("q", ""),
        personal=bytes(document.get("p", b"")),
        signals=int(document.get("sg", 0)),
        implied=document.get("im", False),
        corrects=b"" if corrects is None else bytes(corrects),
        corrects_kind=None if corrects is None else KINDS[document["ck"]],
        before=None if corrects is None else _judgement(document["ov"], document["on"], document["or"]),
    )


def judgement_of(document: Document) -> Judgement:
    return _judgement(document["v"], document["n"], document["r"])


def rank_of(document: Document) -> int:
    rank = document["f"]
    return AGAIN if isinstance(rank, bytes) else int(rank)


def as_first_stored(event: Event, document: Document) -> Event:
    """An event with the judgement and rank it was first stored with, whatever has been corrected since: that is what
    its batch counts. The correction has counted the difference."""
    original = document.get("o")
    if original is None:
        return event._replace(judgement=judgement_of(document), rank=rank_of(document))
    return event._replace(judgement=_judgement(*original[:3]), rank=int(original[3]))


def correction_of(before: Event, after: Event, document: Document) -> Document:
    """The update that makes `before` what `after` says.

    Args:
        document: the event as it is stored now.
    """
    judgement = after.judgement
    changed: Document = {
        "v": VERDICT_CODES[judgement.verdict],
        "n": judgement.counted,
        "r": judgement.reasons,
        "rv": after.rules_version,
        "f": after.id if after.rank == AGAIN else after.rank,
    }
    if "o" not in document:
        was = before.judgement
        changed["o"] = [VERDICT_CODES[was.verdict], was.counted, was.reasons, before.rank]
    return {"$set": changed}


def _judgement(verdict: int, counted: bool, reasons: list[str]) -> Judgement:
    return Judgement(VERDICTS[verdict], counted, tuple(reasons))

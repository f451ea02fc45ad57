"""What became of a message as a whole, in a few sentences; `explain` shows it above the single events."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from app.lib import clock
from app.models.event import Event, EventKind, Share, Verdict

_BY_COUNTED = {
    (EventKind.OPENED, Verdict.HUMAN): "opened by a person",
    (EventKind.OPENED, Verdict.PROXY): "opened by a person behind a mail provider's proxy",
    (EventKind.CLICKED, Verdict.HUMAN): "clicked by a person",
    (EventKind.CLICKED, Verdict.PROXY): "clicked by a person behind a mail provider's proxy",
}
_IMPLIED = "opened (a click shows it)"
_NOUNS = {EventKind.OPENED: ("open", "opens"), EventKind.CLICKED: ("click", "clicks")}
_BY_OTHERS = {
    Share.APPLE: (" by Apple Mail Privacy Protection", " by Apple Mail Privacy Protection"),
    Share.MACHINE: (" by a machine", " by machines"),
    Share.PROXY: (" through a proxy", " through proxies"),
    Share.HUMAN: (" that ended at a page of ours", " that ended at a page of ours"),
}


def conclude(events: Sequence[Event]) -> str:
    """Args:
    events: of one message, in order of time.
    """
    sentences = [_counted(events), _not_counted(events), _corrections(events)]
    return " ".join(sentence for sentence in sentences if sentence)


def _counted(events: Sequence[Event]) -> str:
    found = [text for kind in (EventKind.OPENED, EventKind.CLICKED) if (text := _first_of(events, kind))]
    left = next((event for event in events if event.kind is EventKind.UNSUBSCRIBED), None)
    if left is not None:
        found.append(f"as unsubscribed {_at(left)}")
    if not found:
        return "Nothing is counted as opened or clicked."
    *before, last = found
    return f"Counted {', '.join(before)}{' and ' if before else ''}{last}."


def _first_of(events: Sequence[Event], kind: EventKind) -> str:
    """The first counted event of a kind: a person's own before one behind a proxy, and what happened before what only
    follows from something else."""
    counted = [event for event in events if event.kind is kind and event.judgement.counted]
    if not counted:
        return ""
    first = min(counted, key=lambda event: (event.implied, event.judgement.verdict is not Verdict.HUMAN, event.id))
    words = _IMPLIED if first.implied else _BY_COUNTED[kind, first.judgement.verdict]
    return f"as {words} {_at(first)}"


def _at(event: Event) -> str:
    return clock.from_ms(event.at_ms).strftime("on %Y-%m-%d at %H:%M:%S UTC")


def _not_counted(events: Sequence[Event]) -> str:
    others = Counter(
        (event.kind, event.judgement.share)
        for event in events
        if event.kind in _NOUNS and not event.judgement.counted and not event.implied
    )
    if not others:
        return ""
    groups = [
        f"{number} {_NOUNS[kind][number != 1]}{_BY_OTHERS[share][number != 1]}"
        for (kind, share), number in sorted(others.items())
    ]
    return f"Not counted: {', '.join(groups)}."


def _corrections(events: Sequence[Event]) -> str:
    number = sum(event.kind is EventKind.RECLASSIFIED for event in events)
    if not number:
        return ""
    return "1 verdict was corrected later." if number == 1 else f"{number} verdicts were corrected later."

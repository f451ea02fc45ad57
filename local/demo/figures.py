"""Expected against seen: pure functions over what should have happened, the events and the webhooks; `story` calls."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

SENT, OPENED, CLICKED, UNSUBSCRIBED = (f"message.{kind}" for kind in ("sent", "opened", "clicked", "unsubscribed"))
TYPES = (SENT, OPENED, CLICKED, UNSUBSCRIBED)
RECLASSIFIED = "message.reclassified"
HUMAN, PROXY, MACHINE = "human", "proxy", "machine"

Key = tuple[str, str]
"""Brand id and event type."""


class Happened(NamedTuple):
    """What happened to a message, without what differs from run to run (ids, times)."""

    brand: str
    type: str
    message: str
    detail: str = ""
    """The pixel's position, the link's id, how somebody unsubscribed."""
    verdict: str = HUMAN
    counted: bool = True

    @property
    def key(self) -> Key:
        return self.brand, self.type

    def __str__(self) -> str:
        detail = f" {self.detail}" if self.detail else ""
        return f"{self.type}{detail} of {self.message} ({self.verdict}, {'counted' if self.counted else 'not counted'})"


class Seen(NamedTuple):
    """An event as the API or a webhook told it."""

    happened: Happened
    """Of a correction: with the verdict that the corrected event has from now on."""
    first: bool
    corrects: str = ""
    """Of a correction: the corrected event's id."""


class Figures(NamedTuple):
    """What a brand reads for one type of event."""

    events: int = 0
    counted: int = 0
    first: int = 0
    """How many messages have a counted event of this type."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table."""

    brand: str
    type: str
    expected: Figures
    seen: Figures
    webhooks: int
    """Different webhooks that arrived and whose signature was right."""
    differences: tuple[str, ...]

    @property
    def ok(self) -> bool:
        return self.expected == self.seen and self.webhooks == self.expected.events and not self.differences


def from_api(brand: str, event: Mapping[str, Any]) -> Seen:
    """An event of `GET /v1/events`."""
    happened = Happened(
        brand, event["type"], event["message_id"], _detail(event), event["verdict"], bool(event["counted"])
    )
    return Seen(happened, bool(event["first"]), event.get("event_id", ""))


def from_webhook(body: Mapping[str, Any]) -> Seen:
    """A webhook's body. `sent` and `unsubscribed` carry no verdict there: both always count and are always first."""
    data = body["data"]
    corrects = data["event_id"] if body["type"] == RECLASSIFIED else ""
    judged = data["after"] if corrects else data
    happened = Happened(
        data["brand_id"],
        body["type"],
        data["message_id"],
        _detail(data),
        judged.get("verdict", HUMAN),
        bool(judged.get("counted", True)),
    )
    return Seen(happened, not corrects and bool(data.get("first", True)), corrects)


def compare(
    brands: Iterable[str], expected: Sequence[Happened], events: Mapping[str, Seen], webhooks: Mapping[str, Seen]
) -> list[Row]:
    """A row per brand and type, each with the differences that totals alone would hide.

    Args:
        events, webhooks: by event id. What has been corrected is compared as it was corrected.
    """
    events, webhooks = corrected(events), corrected(webhooks)
    found = {event.happened.key for event in (*events.values(), *webhooks.values())}
    keys = [(brand, kind) for brand in brands for kind in TYPES]
    keys += sorted(({happened.key for happened in expected} | found) - set(keys))
    return [_row(key, expected, events, webhooks) for key in keys]


def corrected(seen: Mapping[str, Seen]) -> dict[str, Seen]:
    """The events with what corrections say of them; ids of events are in order of time."""
    found = dict(seen)
    for _, correction in sorted(seen.items()):
        event = found.get(correction.corrects)
        if event is not None:
            judged = event.happened._replace(verdict=correction.happened.verdict, counted=correction.happened.counted)
            found[correction.corrects] = Seen(judged, event.first and judged.counted)
    return found


def _row(key: Key, expected: Sequence[Happened], events: Mapping[str, Seen], webhooks: Mapping[str, Seen]) -> Row:
    """Corrections are not planned: whether one is needed depends on which hits are judged together. They must be told,
    and what they correct is compared in the rows of its own type."""
    seen = {event_id: event for event_id, event in events.items() if event.happened.key == key}
    told = {event_id: event for event_id, event in webhooks.items() if event.happened.key == key}
    if key[1] == RECLASSIFIED:
        figures = Figures(len(seen))
        return Row(*key, figures, figures, len(told), tuple(_webhook_differences(seen, told)))
    wanted = [happened for happened in expected if happened.key == key]
    happened = [event.happened for event in seen.values()]
    differences = (
        *_event_differences(wanted, happened),
        *_first_differences(list(seen.values()), _known_to_be_open(events) if key[1] == OPENED else set()),
        *_webhook_differences(seen, told),
    )
    return Row(
        *key,
        expected=figures_of(wanted),
        seen=figures_of(happened),
        webhooks=len(told),
        differences=differences,
    )


def figures_of(happened: Sequence[Happened]) -> Figures:
    """The figures of one brand and type: of several counted events of a message, one is the first."""
    counted = [one for one in happened if one.counted]
    return Figures(len(happened), len(counted), len({one.message for one in counted}))


def _known_to_be_open(events: Mapping[str, Seen]) -> set[str]:
    """Messages with a counted click. When that is stored before the pixel's open, an implied open is the first one,
    which nobody is told of."""
    return {
        event.happened.message for event in events.values() if event.happened.type == CLICKED and event.happened.counted
    }


def _event_differences(wanted: Sequence[Happened], seen: Sequence[Happened]) -> Iterable[str]:
    planned, present = Counter(wanted), Counter(seen)
    for happened, times in sorted((planned - present).items()):
        yield f"missing{_times(times)}: {happened}"
    for happened, times in sorted((present - planned).items()):
        yield f"too many{_times(times)}: {happened}"


def _first_differences(seen: Sequence[Seen], may_lack_one: set[str]) -> Iterable[str]:
    """Of several counted events of a message, one is the first."""
    firsts = Counter(event.happened.message for event in seen if event.first)
    for message in sorted({event.happened.message for event in seen if event.happened.counted} | set(firsts)):
        if firsts[message] > 1 or (firsts[message] == 0 and message not in may_lack_one):
            yield f"{firsts[message]} events are the first of {message}"
    for event in seen:
        if event.first and not event.happened.counted:
            yield f"first, but not counted: {event.happened}"


def _webhook_differences(seen: Mapping[str, Seen], told: Mapping[str, Seen]) -> Iterable[str]:
    for event_id in sorted(seen.keys() - told.keys()):
        yield f"no webhook for {event_id}, {seen[event_id].happened}"
    for event_id in sorted(told.keys() - seen.keys()):
        yield f"a webhook for {event_id}, which is no event of the API: {told[event_id].happened}"
    for event_id in sorted(told.keys() & seen.keys()):
        if told[event_id] != seen[event_id]:
            yield f"the webhook of {event_id} says {told[event_id]}, the API {seen[event_id]}"


def _times(times: int) -> str:
    return "" if times == 1 else f" ({times} times)"


def _detail(fields: Mapping[str, Any]) -> str:
    # Of a click both forms carry `link_id`; `position` is the pixel's in one form and the link's place in the other.
    return str(fields.get("link_id") or fields.get("position") or fields.get("method") or "")


def table(rows: Sequence[Row], most_differences: int = 5) -> str:
    """The comparison for a person; under a row that differs, why."""
    names = ("events", "counted", "first")
    lines = [
        f"  {'':<13}{'':<14}{'expected':^26}  {'seen':^26}".rstrip(),
        f"  {'brand':<13}{'type':<14}"
        + "  ".join(f"{names[0]:>8} {names[1]:>8} {names[2]:>8}" for _ in range(2))
        + "  webhooks",
    ]
    brand = ""
    for row in rows:
        figures = "  ".join(f"{one.events:>8} {one.counted:>8} {one.first:>8}" for one in (row.expected, row.seen))
        name, brand = "" if row.brand == brand else row.brand, row.brand
        kind = row.type.removeprefix("message.")
        lines.append(f"  {name:<13}{kind:<14}{figures}  {row.webhooks:>8}  {'ok' if row.ok else 'MISMATCH'}")
    for row in rows:
        if not row.ok:
            lines += ["", f"  {row.brand}, {row.type}:"]
            lines += [f"    {difference}" for difference in row.differences[:most_differences]]
            if len(row.differences) > most_differences:
                lines.append(f"    and {len(row.differences) - most_differences} more")
    return "\n".join(lines)

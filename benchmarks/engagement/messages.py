"""Registers a plan's messages as a brand's platform does (`POST /v1/messages`), and knows where their links lead."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from typing import Any
from urllib.parse import urlsplit

from benchmarks.engagement.copy import Copy
from benchmarks.engagement.plan import Hit, Sending
from benchmarks.engagement.scenario import Scenario

_PIXEL = re.compile(r'src="https?://[^/"]+(/o/[^"]+)"')
_LINK = re.compile(r'href="https?://[^/"]+(/c/[^"]+)"')
_BATCH = 500


@dataclass(frozen=True, slots=True)
class Registered:
    """A message as the system under test made it."""

    message_id: str
    host: str
    paths: Mapping[tuple[str, str], str]
    """(kind, place) of a target → path."""

    def path(self, hit: Hit) -> str:
        target = hit.target
        return self.paths["page" if target.kind == "unsubscribe" else target.kind, target.place]


class Messages:
    """The messages of one plan, by (scenario, recipient)."""

    def __init__(self, copy: Copy, sendings: Sequence[Sending], pool: Executor) -> None:
        self._copy = copy
        self._pool = pool
        self._known: dict[tuple[str, int], Registered] = {}
        ordered = sorted(sendings, key=lambda sending: sending.key)
        batches = [
            (scenario, recipients[first : first + _BATCH])
            for scenario, group in groupby(ordered, key=lambda sending: sending.scenario)
            for recipients in [[sending.recipient for sending in group]]
            for first in range(0, len(recipients), _BATCH)
        ]
        for made in pool.map(lambda batch: dict(self._register(*batch)), batches):
            self._known.update(made)

    def of(self, sending: Sending) -> Registered:
        return self._known[sending.key]

    def report_sent(self, sendings: Iterable[Sending], start: float) -> None:
        """Tell when they were handed over.

        Args:
            start: the plan's 0 on the wall clock.
        """
        list(self._pool.map(lambda sending: self._report(sending, start), sendings))

    def _report(self, sending: Sending, start: float) -> None:
        message = self.of(sending)
        moment = datetime.fromtimestamp(start + sending.at, UTC).isoformat(timespec="milliseconds")
        body = {"type": "sent", "at": moment}
        self._call(self._copy.brand_of(sending.scenario), f"/v1/messages/{message.message_id}/events", body)

    def _register(self, scenario: Scenario, recipients: Sequence[int]) -> Iterator[tuple[tuple[str, int], Registered]]:
        brand = self._copy.brand_of(scenario)
        answer = self._call(brand, "/v1/messages", _body(scenario, recipients))
        for recipient, message in zip(recipients, answer["messages"], strict=True):
            paths = dict(_paths(scenario, message))
            yield (scenario.name, recipient), Registered(message["id"], brand[1], paths)

    def _call(self, brand: tuple[str, str], path: str, body: Mapping[str, Any]) -> Any:
        brand_id, host = brand
        headers = {
            "Host": host,
            "Authorization": f"Bearer {self._copy.keys[brand_id]}",
            "Content-Type": "application/json",
            "Idempotency-Key": secrets.token_hex(16),
        }
        answer = self._copy.uwsgi.ask("POST", path, headers, "127.0.0.1", "", json.dumps(body).encode())
        if answer.status >= 300:
            raise SystemExit(f"{path.rpartition('/')[2]} was refused with {answer.status}: {answer.body[:500]!r}")
        return json.loads(answer.body)


def _body(scenario: Scenario, recipients: Sequence[int]) -> dict[str, Any]:
    urls = [f"https://shop.example/{scenario.name}/{number}" for number in range(1, scenario.links + 1)]
    sms = scenario.channel == "sms"
    content = {"text": "New: " + " ".join(urls)} if sms else {"html": _html(urls)}
    return {
        "channel": scenario.channel,
        "content": content,
        "pixel": scenario.pixel,
        "campaign_id": scenario.name,
        "recipients": [
            {"address": f"+4915555{number:06d}" if sms else f"p{number}@{scenario.name.replace('_', '-')}.example"}
            for number in recipients
        ],
    }


def _html(urls: Sequence[str]) -> str:
    links = "".join(f'<p><a href="{url}">Offer {number}</a></p>' for number, url in enumerate(urls, 1))
    return f'<html><body>{links}<p><a href="{{{{unsubscribe_url}}}}">Unsubscribe</a></p></body></html>'


def _paths(scenario: Scenario, message: Mapping[str, Any]) -> Iterator[tuple[tuple[str, str], str]]:
    html = message.get("html", "")
    pixels = _PIXEL.findall(html)
    places = ("header", "footer") if scenario.pixel == "both" else (scenario.pixel,)
    yield from ((("open", place), path) for place, path in zip(places, pixels, strict=False))
    links = [urlsplit(link["tracked_url"]).path for link in message["links"]]
    yield from ((("click", str(number)), path) for number, path in enumerate(links[: scenario.links], 1))
    # The hidden link is the one that the answer's html has beside those the author wrote.
    yield from ((("click", "trap"), path) for path in _LINK.findall(html) if path not in links[: scenario.links])
    yield ("page", ""), urlsplit(message["unsubscribe_url"]).path

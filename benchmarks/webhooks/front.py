"""From an open to its webhook, through everything: nginx, uWSGI, journal, shipper, ingest worker, webhooks worker.

Opens come at a steady mean rate with random gaps, whatever happens to those before (`benchmarks.loads.Stream`), and
the time counts from the moment an open was due: no delay hides another.
"""

from __future__ import annotations

import contextlib
import itertools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.models.block import Block, Slot
from benchmarks.loads import Latencies, Stream
from benchmarks.receiver import Receiver
from benchmarks.webhooks.copy import Copy, brand

_BRANDS = 5
_CONNECTIONS = 64
_WARM_UP_SECONDS = 4
_SECONDS = 120.0
_HEADERS = (
    "User-Agent: Mozilla/5.0 (iPhone; CPU iPhone OS 17_4 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Version/17.4 Mobile/15E148 Safari/604.1",
    "Accept: image/avif,image/webp,image/png,image/*;q=0.8",
    "Accept-Language: en-GB,en;q=0.9",
    "Accept-Encoding: gzip, deflate, br",
)


@dataclass(frozen=True, slots=True)
class OpenToWebhook:
    sorted_ms: list[float]
    answers: Latencies
    """What the people saw, and how late the load itself was."""
    cpu_us: dict[str, float]
    """Processor time per open, by program."""


def measure(folder: Path, rate: float, seconds: int, **endpoint: Any) -> OpenToWebhook:
    """Args:
    rate: opens per second.
    endpoint: further fields of the endpoints in brands.yaml.
    """
    with contextlib.ExitStack() as stack:
        receiver = Receiver()
        stack.callback(receiver.stop)
        names = [f"live{number}" for number in range(_BRANDS)]
        brands = [brand(name, receiver.url("ok", name), **endpoint) for name in names]
        copy = Copy(stack, folder, brands, receiver, front=True)
        most = int(rate * (seconds + _WARM_UP_SECONDS) * 1.2)
        blocks = copy.mailing(names, most // _BRANDS)
        requests = _mixed([_requests(copy, block) for block in blocks.values()])
        told = _mixed([copy.message_ids(block) for block in blocks.values()])
        warm_up = int(rate * _WARM_UP_SECONDS * 1.1)
        _play(copy, requests[:warm_up], told[:warm_up], rate, _WARM_UP_SECONDS)
        before = copy.cpu_seconds()
        answers, sorted_ms = _play(copy, requests[warm_up:], told[warm_up:], rate, seconds)
        after = copy.cpu_seconds()
        cpu_us = {name: round((after[name] - before[name]) / len(sorted_ms) * 1e6, 1) for name in before}
        return OpenToWebhook(sorted_ms, answers, cpu_us)


def _play(
    copy: Copy, requests: list[bytes], told: list[str], rate: float, seconds: int
) -> tuple[Latencies, list[float]]:
    stream = Stream(copy.side.port, requests, b"HTTP/1.1 200", _CONNECTIONS)
    answers = stream.run(rate, seconds, seed=seconds)
    due = dict(zip(told, answers.due, strict=False))
    if len(due) < len(answers.due):
        raise SystemExit("more opens than messages; this measures nothing")
    return answers, copy.latencies_ms(due, _SECONDS)


def _requests(copy: Copy, block: Block) -> list[bytes]:
    numbers = [block.start + index * block.stride + Slot.PIXEL_FOOTER for index in range(block.count)]
    lines = "\r\n".join((f"Host: {block.brand_id}.example", *_HEADERS))
    return [
        f"GET /o/{code}.gif HTTP/1.1\r\n{lines}\r\n\r\n".encode() for code in copy.services.codes.encode_many(numbers)
    ]


def _mixed(lists: list[list[Any]]) -> list[Any]:
    return list(itertools.chain.from_iterable(zip(*lists, strict=True)))

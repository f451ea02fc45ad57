"""`make bench-links`: rewriting a newsletter, reserving a block for a million recipients, registering batches.

Rewriting is what one process does for one recipient: analyse the html, make the codes, splice. A block is reserved and
stored as the API does it (Valkey's counter, MongoDB's mark, majority write). Batches go through the real front: nginx,
two uWSGI workers, a replica set of one with majority and journaled writes, Valkey, and the program that asks, all on
the same two cores. What was registered is recounted afterwards, followed, and looked at for addresses in the clear.

The headline batch is what a platform sends that has its own renderer: a mail of 10 KB with eight links, and only the
links back. Rounds alternate, and the figures are medians.
"""

from __future__ import annotations

import argparse
import contextlib
import cProfile
import http.client
import itertools
import json
import os
import pstats
import secrets
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import bson

from app.factory import create_app
from app.lib import clock
from app.messages import planning, register
from app.messages.draft import Addressee, Draft
from app.models.api_key import Scope
from app.models.block import FIRST_LINK_SLOT, Block, Channel, Link
from app.models.message import Recipient
from app.services import Services, build_services
from app.storage.indexes import create_indexes
from benchmarks.mailings import Shape, newsletter
from benchmarks.sides import Side, application_environment, cpu_seconds
from config.settings import load_settings
from local.ports import LOOPBACK
from local.servers import start_mongod, start_redis

_HOST = "t.example"
_BRAND = {"id": "brand", "name": "Brand", "channels": ["email"], "tracking_hosts": [_HOST], "page": {"title": "Brand"}}
_NEWSLETTER = (60_000, 40)
"""Bytes and links."""
_REWRITES = 60
"""In a round."""
_BLOCKS = 20
_BLOCK_RECIPIENTS = 1_000_000
_SHAPES = (
    Shape("10 KB, 8 links, links back", 10_000, 8, "links", batches=16),
    Shape("10 KB, 8 links, content back", 10_000, 8, "content", batches=8),
    Shape("60 KB, 40 links, links back", *_NEWSLETTER, "links", batches=4),
    Shape("60 KB, 40 links, content", *_NEWSLETTER, "content", batches=8, recipients=200),
)
_CLIENTS = 4
"""Batches under way at once: two that a worker is at, two that wait."""


@dataclass(slots=True)
class Results:
    rewrite_mb_per_min: list[float] = field(default_factory=list)
    block_seconds: list[float] = field(default_factory=list)
    recipients_per_s: dict[str, list[float]] = field(default_factory=lambda: {shape.name: [] for shape in _SHAPES})
    cpu_us: dict[str, list[dict[str, float]]] = field(default_factory=lambda: {shape.name: [] for shape in _SHAPES})
    """Processor time per recipient, by program."""


class Bench:
    """A front with everything behind it, and services of our own on the same stores.

    Args:
        stack: ends what is started here.
    """

    def __init__(self, stack: contextlib.ExitStack, folder: Path) -> None:
        self._mongod = start_mongod(folder / "mongod", cache_gb=2.0)
        stack.callback(self._mongod.stop)
        self._valkey = start_redis(folder / "valkey")
        stack.callback(self._valkey.stop)
        environment = {
            **application_environment(folder, [_BRAND], self._mongod, self._valkey),
            "TELLTALE_WEB_PROCESSES": "2",
        }
        settings = load_settings({**environment, "TELLTALE_STATE_DIR": str(folder / "cli")})
        self.services = build_services(settings, role="web")
        stack.callback(self.services.close)
        create_indexes(self.services.database)
        self.key = self.services.api_keys.create("brand", frozenset(Scope), "bench")[1]
        self._side = Side("app.wsgi:application", folder / "front", environment)
        stack.callback(self._side.stop)
        self._side.wait_until_ready("/healthz", _HOST)
        self._people = itertools.count()
        self._registered = 0

    def batches(self, shape: Shape, results: Results) -> None:
        """One round of one shape."""
        bodies = shape.bodies(self._people)
        before = self._cpu_seconds()
        started = time.perf_counter()
        with ThreadPoolExecutor(_CLIENTS) as pool:
            answers = list(pool.map(self._post, bodies))
        seconds = time.perf_counter() - started
        after = self._cpu_seconds()
        people = shape.batches * shape.recipients
        self._registered += people
        results.recipients_per_s[shape.name].append(people / seconds)
        results.cpu_us[shape.name].append({name: (after[name] - before[name]) / people * 1e6 for name in before})
        self._check(shape, [json.loads(answer)["messages"] for answer in answers])

    def _post(self, body: bytes) -> bytes:
        connection = http.client.HTTPConnection(LOOPBACK, self._side.port, timeout=60)
        headers = {
            "Host": _HOST,
            "Authorization": f"Bearer {self.key}",
            "Content-Type": "application/json",
            "Idempotency-Key": secrets.token_hex(16),
        }
        with contextlib.closing(connection):
            connection.request("POST", "/v1/messages", body, headers)
            response = connection.getresponse()
            answer = response.read()
        if response.status != 201:
            raise SystemExit(f"a batch was answered {response.status}: {answer[:300]!r}")
        return answer

    def _check(self, shape: Shape, batches: list[list[dict[str, Any]]]) -> None:
        """Everybody is there with every link, everything is stored, nobody is stored in the clear, links lead home."""
        links = {
            (message["id"], link["id"]): link
            for messages in batches
            for message in messages
            for link in message["links"]
        }
        if len(links) != shape.batches * shape.recipients * shape.links:
            raise SystemExit(f"{shape.name}: {len(links)} links")
        if (stored := self.services.database["messages"].count_documents({})) != self._registered:
            raise SystemExit(f"{stored} messages are stored, {self._registered} were registered")
        for document in self.services.database["messages"].find().sort("_id", -1).limit(50):
            if b"people.example" in (raw := bson.encode(document)) or b"Person" in raw:
                raise SystemExit("a message is stored in the clear")
        for link in list(links.values())[:: max(1, len(links) // 20)]:
            answer = self._side.ask(urlsplit(link["tracked_url"]).path, _HOST)
            if answer.status != 302 or answer.headers["Location"] != link["url"]:
                raise SystemExit(f"{shape.name}: a link is answered {answer}")

    def _cpu_seconds(self) -> dict[str, float]:
        servers = {"mongod": cpu_seconds(self._mongod.pid), "valkey": cpu_seconds(self._valkey.pid)}
        return {**self._side.cpu_seconds(), **servers, "client": time.process_time()}


def rewrite(services: Services, results: Results) -> None:
    """One round: plan and render, nothing stored."""
    html = newsletter(*_NEWSLETTER)
    brand = services.brands.by_id("brand")
    if brand is None:
        raise SystemExit("the brand is not there")
    draft = Draft(Channel.EMAIL, [Addressee(Recipient("person@people.example"))], html=html)
    started = time.perf_counter()
    for number in range(_REWRITES):
        planned = planning.plan(brand, draft, with_content=True)
        found = register.render(planned, 1000 * number, codes=services.codes, urls=services.urls, with_content=True)
    seconds = time.perf_counter() - started
    rewritten = found[0].html or ""
    if rewritten.count(f"//{_HOST}/c/") != _NEWSLETTER[1] or f"//{_HOST}/o/" not in rewritten:
        raise SystemExit("the newsletter was not rewritten")
    results.rewrite_mb_per_min.append(_REWRITES * len(html.encode()) / 1e6 / seconds * 60)


def reserve(services: Services, results: Results) -> None:
    """One round: numbers for a million recipients of 40 links, the block stored by a majority and found again."""
    stride = FIRST_LINK_SLOT + _NEWSLETTER[1]
    links = tuple(Link(f"https://shop.example/{place}?utm_source=mail", "A link") for place in range(_NEWSLETTER[1]))
    for _ in range(_BLOCKS):
        started = time.perf_counter()
        start = services.numbers.reserve(_BLOCK_RECIPIENTS * stride)
        block = Block(
            start=start,
            count=_BLOCK_RECIPIENTS,
            stride=stride,
            brand_id="brand",
            channel=Channel.EMAIL,
            links=links,
            created_at=clock.now(),
        )
        services.blocks.insert(block)
        results.block_seconds.append(time.perf_counter() - started)
        last = services.codes.decode(services.codes.encode(block.end - 1))
        if last is None or services.blocks.find(last) is None:
            raise SystemExit("the last recipient's last link is not found")


def profile(bench: Bench) -> None:
    """Where one process spends its time on the headline batch, by function."""
    client = create_app(services=bench.services).test_client()
    bodies = _SHAPES[0].bodies(itertools.count(10**9))
    recorder = cProfile.Profile()
    headers = {"Authorization": f"Bearer {bench.key}", "Content-Type": "application/json"}
    for place, body in enumerate(bodies):
        if place > 1:  # the first ones warm up
            recorder.enable()
        status = client.post("/v1/messages", data=body, headers=headers).status_code
        recorder.disable()
        if status != 201:
            raise SystemExit(f"a batch was answered {status}")
    for order in ("cumulative", "tottime"):
        pstats.Stats(recorder).strip_dirs().sort_stats(order).print_stats(45)


def main() -> None:
    parser = argparse.ArgumentParser(description="Rewriting, blocks, and batches through the whole front.")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--profile", action="store_true", help="only say where a batch's time goes")
    options = parser.parse_args()
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, cores[:2])
    # As Ctrl-C does: through the stack below, which ends the servers.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="telltale-bench-")))
        bench = Bench(stack, folder)
        if options.profile:
            profile(bench)
            return
        steps: list[Callable[[Results], None]] = [
            lambda results: rewrite(bench.services, results),
            lambda results: reserve(bench.services, results),
            *(_batches(bench, shape) for shape in _SHAPES),
        ]
        for step in steps:
            step(Results())  # to warm up
        results = Results()
        for _ in range(options.rounds):
            for step in steps:
                step(results)
    report(results)


def _batches(bench: Bench, shape: Shape) -> Callable[[Results], None]:
    return lambda results: bench.batches(shape, results)


def report(results: Results) -> None:
    """A table for people; the last line for programs."""
    size = f"{len(newsletter(*_NEWSLETTER)) // 1000} KB, {_NEWSLETTER[1]} links"
    seconds = results.block_seconds
    block_ms = [1000 * statistics.median(seconds[first : first + _BLOCKS]) for first in range(0, len(seconds), _BLOCKS)]
    print(f"{'':<34}{'median':>9}   rounds")
    print(f"rewriting, MB/min per core\n  {size:<32}{_row(results.rewrite_mb_per_min, ',.0f')}")
    print(f"block for {_BLOCK_RECIPIENTS:,} recipients, ms\n  {'reserved and stored':<32}{_row(block_ms, '.2f')}")
    print("batches, recipients/s stored and sealed (two cores with everything on them)")
    for name, values in results.recipients_per_s.items():
        print(f"  {name:<32}{_row(values, ',.0f')}")
    print("\nCPU µs per recipient           sum   medians by program")
    for name, rounds in results.cpu_us.items():
        parts = {program: statistics.median(item[program] for item in rounds) for program in rounds[0]}
        said = "   ".join(f"{program} {cost:.0f}" for program, cost in parts.items())
        print(f"  {name:<28}{sum(parts.values()):4.0f}   {said}")
    print()
    print(json.dumps(figures(results)))


def _row(values: list[float], form: str) -> str:
    return f"{statistics.median(values):9{form}}   " + " ".join(format(value, f"8{form}") for value in values)


def figures(results: Results) -> dict[str, float]:
    return {
        "rewrite_mb_per_min": round(statistics.median(results.rewrite_mb_per_min)),
        "block_1m_seconds": round(statistics.median(results.block_seconds), 4),
        "batch_recipients_per_s": round(statistics.median(results.recipients_per_s[_SHAPES[0].name])),
    }


if __name__ == "__main__":
    main()

"""`make bench-ingest`: journal → shipper → broker → ingest workers → MongoDB, events per second with everything.

Real processes on this machine share its cores: mongod (replica set, majority and journaled writes, two secondary
indexes), Valkey, the shipper, one Celery worker with three children. Everything runs and has ingested a few thousand
events when full segments appear in the journal; from then until every batch has its marker the clock runs. One tenth
of the hits are clicks and make a webhook delivery; a click on a message that nobody opened stores an implied open too.
Afterwards the figures are recounted from the events: a fast wrong answer is no answer.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import random
import secrets
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pymongo.database import Database

from app.brands import new_webhook_secret
from app.journal.segments import list_segments
from app.journal.writer import JournalWriter
from app.lib import ids
from app.models.block import FIRST_LINK_SLOT, Block, Channel, Link
from app.models.event import FIRST, EventKind
from app.models.message import Message, Recipient
from app.models.record import RECORD_VERSION, HitKind, Record
from app.services import Services, build_services
from app.storage.event_documents import KIND_CODES
from app.storage.indexes import create_indexes
from app.storage.recount import recount
from config.settings import load_settings
from local.servers import start_mongod, start_redis

_OPENED, _CLICKED = KIND_CODES[EventKind.OPENED], KIND_CODES[EventKind.CLICKED]
_HIT_CODES = [_OPENED, _CLICKED]
_BRANDS = 5
_LINKS = 5
_WARM_UP = 4000
_WORKERS = 3  # one more than cores: while one waits for the disk another computes
_CACHE_GB = (
    8.0  # near what MongoDB takes by itself on such a machine; the half gigabyte of `make run` evicts all the time
)
_STAGES = ("decode", "attribute", "suppress", "classify", "look_back", "seal", "store", "correct", "tell", "mark")
_AGENTS = [
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_{n} like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148",
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/1{n}.0.0.0 Safari/537.36",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:1{n}.0) Gecko/20100101 Firefox/1{n}.0",
]
_BROWSER_FACTS = "shlm"
"""What the front writes down of a current browser over https."""
_IMAGE_PROXY = "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)"
_PROXIED = 0.25
"""The share of opens that come through it."""
_SPAN_MS = 3_600_000
"""The hits are those of one hour: put into one moment, every second click would look like a scanner's."""


def brands_file(folder: Path) -> Path:
    """Five brands; each wants its clicks, which are a tenth of the events, at one endpoint."""
    (folder / "secrets").mkdir()
    brands = []
    for number in range(_BRANDS):
        (folder / "secrets" / f"b{number}").write_text(new_webhook_secret())
        brands.append(
            {
                "id": f"brand{number}",
                "name": f"Brand {number}",
                "channels": ["email"],
                "tracking_hosts": [f"t{number}.example"],
                "page": {"title": "Brand"},
                "endpoints": [
                    {
                        "id": f"main{number}",
                        "url": f"https://hooks{number}.example/t",
                        "secrets": [f"file:b{number}"],
                        "events": ["message.clicked"],
                    }
                ],
            }
        )
    path = folder / "brands.yaml"
    path.write_text(json.dumps({"version": 1, "brands": brands}))  # JSON is YAML
    return path


def register(services: Services, recipients: int) -> list[Block]:
    """One campaign per brand, its block and its messages stored as the API stores them."""
    now = datetime.now(UTC)
    blocks = []
    for number in range(_BRANDS):
        brand = f"brand{number}"
        stride = FIRST_LINK_SLOT + _LINKS
        block = Block(
            start=services.numbers.reserve(recipients * stride),
            count=recipients,
            stride=stride,
            brand_id=brand,
            channel=Channel.EMAIL,
            links=tuple(Link(f"https://shop.example/p/{link}?a=1&b=2", f"Link {link}") for link in range(_LINKS)),
            created_at=now,
            campaign_id="spring",
        )
        services.blocks.insert(block)
        for first in range(0, recipients, 1000):
            services.messages.insert_many(
                [
                    Message(
                        number=block.start + index * stride,
                        brand_id=brand,
                        channel=Channel.EMAIL,
                        recipient=Recipient(f"person{index}@people.example", id=f"c-{index}"),
                        address_hash=secrets.token_hex(32),
                        created_at=now,
                        campaign_id="spring",
                        metadata={"order": str(index)},
                    )
                    for index in range(first, min(first + 1000, recipients))
                ]
            )
        blocks.append(block)
    return blocks


def fill_journal(folder: Path, services: Services, blocks: list[Block], events: int, seed: int) -> None:
    """The last hour: nine opens to one click; half of the opens are repeats. Two writers, as two uWSGI workers would
    be."""
    chance = random.Random(seed)
    writers = [JournalWriter(folder, max_bytes=32 * 1024 * 1024, max_seconds=3600, low_bytes=0) for _ in range(2)]
    agents = [agent.format(n=number) for agent in _AGENTS for number in range(25, 50)]
    start_ms = time.time_ns() // 1_000_000 - _SPAN_MS
    for index in range(events):
        at_ms = start_ms + index * _SPAN_MS // events
        block = chance.choice(blocks)
        click = chance.random() < 0.1
        slot = FIRST_LINK_SLOT + chance.randrange(_LINKS) if click else 1
        number = block.start + chance.randrange(block.count) * block.stride + slot
        proxied = not click and chance.random() < _PROXIED
        record = Record(
            RECORD_VERSION,
            ids.new_id(at_ms).hex(),
            HitKind.CLICK if click else HitKind.OPEN,
            at_ms,
            f"t{block.brand_id[-1]}.example",
            services.codes.encode(number),
            "GET",
            f"66.249.81.{chance.randrange(256)}"
            if proxied
            else f"198.51.{chance.randrange(256)}.{chance.randrange(256)}",
            _IMAGE_PROXY if proxied else chance.choice(agents),
            number=number,
            facts="s" if proxied else _BROWSER_FACTS,
        )
        writers[index % 2].append(record)
    for writer in writers:
        writer.close()


def run_round(
    folder: Path, environment: dict[str, str], *, events: int, seed: int, recipients: int, servers: dict[str, int]
) -> dict[str, Any]:
    """One round on a database of its own."""
    environment = {
        **environment,
        "TELLTALE_MONGO_DATABASE": f"bench_{secrets.token_hex(4)}",
        "TELLTALE_STATE_DIR": str(folder / f"state{seed}"),
    }
    settings = load_settings(environment)
    services = build_services(settings, role="cli")
    create_indexes(services.database)
    blocks = register(services, recipients)
    prepared = folder / f"prepared{seed}"
    fill_journal(prepared, services, blocks, events, seed)
    log = folder / f"worker{seed}.log"
    inherited = {**{key: value for key, value in os.environ.items() if not key.startswith("TELLTALE_")}, **environment}
    worker = _start(
        [
            *("-m", "celery", "-A", "tasks.celery_app", "worker", "-Q", "ingest", "-c", str(_WORKERS)),
            *("--without-gossip", "--without-mingle", "-l", "DEBUG"),
        ],
        inherited,
        log,
    )
    _wait_for(log, b"ready", 60)
    shipper = _start(["-m", "app.shipper"], inherited, folder / f"shipper{seed}.log")
    try:
        deadline = time.monotonic() + 300
        fill_journal(settings.journal_dir, services, blocks, _WARM_UP, seed + 1000)
        _wait_until_stored(services, _WARM_UP, deadline)
        # What registering wrote is on disk before the clock runs, so that its checkpoint is not counted here.
        services.database.client.admin.command("fsync")
        processes = {**servers, "worker": worker.pid, "shipper": shipper.pid}
        cpu = {name: cpu_seconds(pid) for name, pid in processes.items()}
        started = time.perf_counter()
        for segment in list_segments(prepared):
            segment.rename(settings.journal_dir / segment.name)
        _wait_until_stored(services, _WARM_UP + events, deadline)
        seconds = time.perf_counter() - started
        cpu = {name: cpu_seconds(pid) - cpu[name] for name, pid in processes.items()}
        while list_segments(settings.journal_dir) and time.monotonic() < deadline:
            time.sleep(0.05)
    finally:
        for process in (shipper, worker):
            process.send_signal(signal.SIGTERM)
        for process in (shipper, worker):
            process.wait(60)
    check(services, _WARM_UP + events)
    result = {"seconds": seconds, "events_per_s": events / seconds, "stages": read_stages(log)}
    result["cpu"] = {name: round(spent / events * 1e6, 2) for name, spent in cpu.items()}
    services.database.client.drop_database(services.database.name)
    services.close()
    return result


def check(services: Services, hits: int) -> None:
    """Recount: every hit once, one first per message and kind, an open behind every click, counts as the events say,
    a delivery per click."""
    database = services.database
    stored = database["events"].count_documents({"k": {"$in": _HIT_CODES}, "im": {"$exists": False}})
    clicks = database["events"].count_documents({"k": _CLICKED})
    ranked = _messages(database, {"f": FIRST})
    opened, clicked = (_messages(database, {"n": True, "k": code}) for code in (_OPENED, _CLICKED))
    brands = [f"brand{number}" for number in range(_BRANDS)]
    counted = [{key: n for key, n in services.batches.figures(brand).items() if n} for brand in brands]
    problems = [
        name
        for name, seen, expected in (
            ("hits", stored, hits),
            ("firsts", database["events"].count_documents({"f": FIRST}), len(opened) + len(clicked)),
            ("firsts of messages", ranked, opened | clicked),
            ("implied opens", clicked - opened, set()),
            ("counts", counted, [dict(recount(database, brand)) for brand in brands]),
            ("deliveries", database["deliveries"].count_documents({}), clicks),
        )
        if seen != expected
    ]
    if problems:
        raise SystemExit(f"the figures do not add up: {', '.join(problems)}")


def _messages(database: Database[dict[str, Any]], query: dict[str, Any]) -> set[int]:
    """The messages that have such an event."""
    return {row["_id"] for row in database["events"].aggregate([{"$match": query}, {"$group": {"_id": "$m"}}])}


def read_stages(log: Path) -> dict[str, float]:
    """Microseconds of one process's time per event and stage, from what the workers logged."""
    totals, events = dict.fromkeys(_STAGES, 0), 0
    for line in log.read_bytes().splitlines():
        if b"batch_stored" in line:
            fields = json.loads(line)
            events += fields["records"]
            for stage in _STAGES:
                totals[stage] += fields.get(f"us_{stage}", 0)
    return {stage: round(total / events, 2) for stage, total in totals.items()}


def cpu_seconds(pid: int) -> float:
    """Processor time of a process and its children, from /proc: what a busy neighbour cannot blur."""
    ticks = 0
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it ended while we looked
        if int(path.parent.name) == pid or int(fields[1]) == pid:
            ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def _wait_until_stored(services: Services, records: int, deadline: float) -> None:
    while time.monotonic() < deadline:
        # First a number that MongoDB has at hand: a look is paid by the server that is measured.
        if services.database["events"].estimated_document_count() >= records:
            stored = services.database["batches"].aggregate([{"$group": {"_id": None, "n": {"$sum": "$records"}}}])
            if sum(row["n"] for row in stored) >= records:
                return
        time.sleep(0.02)
    raise SystemExit("the journal was not ingested in five minutes")


def _start(arguments: list[str], environment: dict[str, str], log: Path) -> subprocess.Popen[bytes]:
    with log.open("wb") as output:
        return subprocess.Popen([sys.executable, *arguments], env=environment, stdout=output, stderr=output)


def _wait_for(log: Path, text: bytes, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while text not in log.read_bytes():
        if time.monotonic() > deadline:
            raise SystemExit(f"the worker did not start; see {log}")
        time.sleep(0.1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=200_000)
    parser.add_argument("--recipients", type=int, default=20_000, help="per brand")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--keep", type=Path, help="work in this folder and keep its logs")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="telltale-bench-") as temporary:
        folder = options.keep or Path(temporary)
        folder.mkdir(exist_ok=True)
        mongod, valkey = start_mongod(folder / "mongod", cache_gb=_CACHE_GB), start_redis(folder / "valkey")
        environment = {
            "TELLTALE_BRANDS_FILE": str(brands_file(folder)),
            "TELLTALE_SECRETS_DIR": str(folder / "secrets"),
            "TELLTALE_MONGO_URL": mongod.url,
            "TELLTALE_REDIS_URL": valkey.url,
            "TELLTALE_CODE_KEY": _base64(),
            "TELLTALE_MASTER_KEYS": f"k1:{_base64()}",
            "TELLTALE_LOG_LEVEL": "DEBUG",
        }
        servers = {"mongod": mongod.pid, "valkey": valkey.pid}
        try:
            rounds = [
                run_round(
                    folder,
                    environment,
                    events=options.events,
                    seed=seed,
                    recipients=options.recipients,
                    servers=servers,
                )
                for seed in range(options.rounds)
            ]
        finally:
            valkey.stop()
            mongod.stop()
    report(rounds, options.events)


def report(rounds: list[dict[str, Any]], events: int) -> None:
    middle = sorted(rounds, key=lambda item: item["events_per_s"])[len(rounds) // 2]
    print(f"{events:,} events, {len(rounds)} rounds; the recount agreed in every round\n")
    for number, item in enumerate(rounds, 1):
        print(f"  round {number}   {item['seconds']:7.2f} s   {item['events_per_s']:10,.0f} events/s")
    print("\n  µs of one worker process per event, by stage (median round)")
    for stage, cost in middle["stages"].items():
        print(f"    {stage:<12}{cost:8.2f}")
    print("\n  µs of processor time per event, by process (median round)")
    for name, cost in middle["cpu"].items():
        print(f"    {name:<12}{cost:8.2f}")
    figures = {
        "events_per_s": round(statistics.median(item["events_per_s"] for item in rounds)),
        "us_per_event": middle["stages"],
        "cpu_us_per_event": middle["cpu"],
    }
    print()
    print(json.dumps(figures))


def _base64() -> str:
    return base64.b64encode(secrets.token_bytes(32)).decode()


if __name__ == "__main__":
    main()

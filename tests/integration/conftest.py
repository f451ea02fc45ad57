"""A small world on real stores: two brands, one block, its messages, and the front's WSGI callable in front of it."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from pymongo.database import Database

from app.brands import new_webhook_secret
from app.journal.segments import list_segments
from app.lib import clock
from app.models import record_line
from app.models.block import FIRST_LINK_SLOT, Block, Channel, Link
from app.models.message import Message, Recipient
from app.models.record import Record
from app.services import Services, build_services
from app.web.tracking.front import Front
from config.settings import load_settings

# Years from now too, or it would be a stale browser.
CHROME = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/199.0.0.0 Safari/537.36"
LINKS = ("https://shop.alder.example/?a=1&b=2", "https://bücher.alder.example/straße", "https://shop.alder.example/3")


def _brand(brand_id: str, **fields: Any) -> dict[str, Any]:
    return {
        "id": brand_id,
        "name": brand_id.title(),
        "channels": ["email", "sms"],
        "tracking_hosts": [f"t.{brand_id}.example"],
        "metadata_keys": ["lead"],
        "client_address": "prefix",
        "endpoints": [
            {"id": f"{brand_id}-main", "url": f"https://hooks.{brand_id}.example/t", "secrets": [f"file:{brand_id}"]}
        ],
        **fields,
    }


@dataclass
class World:
    """Services, a block of brand `alder` with `count` messages, and what the front answers."""

    services: Services
    block: Block
    front: Front
    passed_on: list[str] = field(default_factory=list)
    counted: list[tuple[str, str]] = field(default_factory=list)

    def code(self, slot: int, message: int = 0) -> str:
        return self.services.codes.encode(self.block.start + message * self.block.stride + slot)

    def number(self, message: int = 0) -> int:
        return self.block.start + message * self.block.stride

    def hit(
        self, path: str, method: str = "GET", host: str = "t.alder.example", body: bytes = b"", **environ: Any
    ) -> tuple[str, dict[str, str], bytes]:
        answer: list[Any] = []
        request = {
            "PATH_INFO": path,
            "REQUEST_METHOD": method,
            "HTTP_HOST": host,
            "QUERY_STRING": "",
            "REMOTE_ADDR": "192.0.2.77",
            "HTTP_USER_AGENT": CHROME,
            "HTTP_ACCEPT_LANGUAGE": "en-GB,en;q=0.9",
            "CONTENT_LENGTH": str(len(body)) if body else "",
            "wsgi.input": io.BytesIO(body),
            **environ,
        }
        content = b"".join(self.front(request, lambda status, headers: answer.append((status, dict(headers)))))
        return answer[0][0], answer[0][1], content

    def journal_lines(self) -> bytes:
        return b"".join(path.read_bytes() for path in list_segments(self.services.settings.journal_dir))

    def records(self) -> list[Record]:
        return [record_line.decode(line) for line in self.journal_lines().split(b"\n") if line]

    def ingest(self, batch_id: str = "batch-1") -> Any:
        return self.services.ingest.run(batch_id, self.journal_lines())


@pytest.fixture
def world(environment: dict[str, str], tmp_path: Path, database: Database[dict[str, Any]]) -> Iterator[World]:
    secrets = tmp_path / "state" / "secrets"
    secrets.mkdir(parents=True)
    for brand_id in ("alder", "birch"):
        (secrets / brand_id).write_text(new_webhook_secret())
    file = tmp_path / "brands.yaml"
    file.write_text(json.dumps({"version": 1, "brands": [_brand("alder"), _brand("birch", client_address="none")]}))
    services = build_services(load_settings({**environment, "TELLTALE_BRANDS_FILE": str(file)}), role="worker")
    block = store_block(services)
    found = World(services, block, None)  # type: ignore[arg-type]  # the front is made of the world's own lists

    def elsewhere(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        found.passed_on.append(environ["PATH_INFO"])
        start_response("200 OK", [])
        return [b"flask"]

    found.front = Front(
        elsewhere,
        codes=services.codes,
        blocks=services.block_cache,
        brands=services.brands,
        journal=services.journal,
        tokens=services.token_keys,
        values=services.messages,
        unsubscribes=services.unsubscribes,
        count=lambda kind, outcome: found.counted.append((kind, outcome)),
    )
    yield found
    services.close()


def store_block(
    services: Services,
    *,
    count: int = 20,
    list_id: str | None = "news",
    track_opens: bool = True,
    track_clicks: bool = True,
    links: tuple[Link, ...] = tuple(Link(link) for link in LINKS),
) -> Block:
    now = clock.now()
    block = Block(
        start=services.numbers.reserve(count * (FIRST_LINK_SLOT + len(links))),
        count=count,
        stride=FIRST_LINK_SLOT + len(links),
        brand_id="alder",
        channel=Channel.EMAIL,
        links=links,
        created_at=now,
        campaign_id="spring",
        list_id=list_id,
        track_opens=track_opens,
        track_clicks=track_clicks,
    )
    services.blocks.insert(block)
    services.messages.insert_many(
        [
            Message(
                number=block.start + index * block.stride,
                brand_id="alder",
                channel=Channel.EMAIL,
                recipient=Recipient(f"p{index}@people.example", id=f"c-{index}"),
                address_hash=services.keyring.address_hash("alder", Channel.EMAIL, f"p{index}@people.example"),
                created_at=now,
                campaign_id="spring",
                list_id=list_id,
            )
            for index in range(count)
        ]
    )
    return block

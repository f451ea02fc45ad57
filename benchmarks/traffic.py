"""What recipients ask for in `benchmarks.front`, and the stored mailing that it belongs to."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from app.models.block import FIRST_LINK_SLOT, Block, Channel, Link, Slot
from app.models.record import HitKind
from app.services import build_services
from app.storage.indexes import create_indexes
from config.settings import Settings

HOST = "t.example"
BRAND = {"id": "brand", "name": "Brand", "channels": ["email"], "tracking_hosts": [HOST], "page": {"title": "Brand"}}

_RECIPIENTS = 100_000
_LINKS = 8
_REQUESTS = 20_000
_HEADERS = (
    f"Host: {HOST}",
    "User-Agent: Mozilla/5.0 (iPhone; CPU iPhone OS 17_4 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Version/17.4 Mobile/15E148 Safari/604.1",
    "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8",
    "Accept-Language: en-GB,en;q=0.9",
    "Accept-Encoding: gzip, deflate, br",
)


@dataclass(frozen=True, slots=True)
class Traffic:
    """Pixels and clicks of a mailing, one of each for recipients picked by chance. The same for both sides."""

    pixels: tuple[str, ...]
    """Codes."""
    clicks: dict[str, str]
    """Code → destination."""

    def paths(self, kind: HitKind) -> list[str]:
        if kind is HitKind.OPEN:
            return [f"/o/{code}.gif" for code in self.pixels]
        return [f"/c/{code}" for code in self.clicks]

    def requests(self, kind: HitKind) -> list[bytes]:
        """Whole requests, as a phone sends them."""
        lines = "\r\n".join(_HEADERS)
        return [f"GET {path} HTTP/1.1\r\n{lines}\r\n\r\n".encode() for path in self.paths(kind)]

    def write(self, kind: HitKind, path: Path) -> Path:
        """The requests as the file that wrk plays."""
        path.write_bytes(b"\0".join(self.requests(kind)))
        return path


def store_mailing(settings: Settings) -> Traffic:
    """Store the block of one mailing as the API does, and pick recipients and links from all of it."""
    services = build_services(settings, role="cli")
    create_indexes(services.database)
    stride = FIRST_LINK_SLOT + _LINKS
    links = tuple(Link(f"https://shop.example/offers/{n}?utm_source=mail&utm_campaign=spring") for n in range(_LINKS))
    block = Block(
        start=services.numbers.reserve(_RECIPIENTS * stride),
        count=_RECIPIENTS,
        stride=stride,
        brand_id=str(BRAND["id"]),
        channel=Channel.EMAIL,
        links=links,
        created_at=datetime.now(UTC),
    )
    services.blocks.insert(block)
    chance = random.Random(1)
    people = [block.start + index * stride for index in chance.sample(range(_RECIPIENTS), _REQUESTS)]
    picked = [chance.randrange(_LINKS) for _ in people]
    numbers = [person + FIRST_LINK_SLOT + link for person, link in zip(people, picked, strict=True)]
    clicks = services.codes.encode_many(numbers)
    pixels = services.codes.encode_many([person + Slot.PIXEL_FOOTER for person in people])
    services.database.client.close()
    return Traffic(tuple(pixels), {code: links[link].destination for code, link in zip(clicks, picked, strict=True)})

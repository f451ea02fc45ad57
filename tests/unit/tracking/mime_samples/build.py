"""Messages built byte by byte, a planner that finds `https://` URLs, and the standard library as independent reader."""

from __future__ import annotations

import email
import html
import re
from dataclasses import dataclass, field
from email.message import Message

from app.tracking.mime_parts import PartKind
from app.tracking.rewrite_mime import MimeTemplate, plan_mime
from app.tracking.template import Template

URL = re.compile(r"https://[^\s\"<>]+")
LINK = "https://shop.example/a?b=1"
HTML = f'<p>Hi <a href="{LINK}">go</a></p>\r\n'.encode()
TEXT = f"See {LINK} now\r\n".encode()


@dataclass
class Planned:
    """A planned message with everything the planner was told."""

    template: MimeTemplate
    seen: list[tuple[PartKind, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def render(self, **headers: str) -> bytes:
        return self.template.render(tracked_urls(), {name.replace("_", "-"): value for name, value in headers.items()})


def tracked_urls() -> dict[int, str]:
    return {slot: f"https://t.example/c/{slot:06d}" for slot in range(300)}


def with_slots(kind: PartKind, text: str) -> Template:
    """Every `https://` URL becomes slot 4: one link, wherever it stands."""
    parts: list[str | int] = []
    for literal in URL.split(text):
        parts += [literal, 4]
    return Template(tuple(parts[:-1]), kind is PartKind.HTML)


def rewritten(text: str) -> str:
    return URL.sub(html.escape(tracked_urls()[4]), text)


def planned(raw: bytes, *, change: bool = True) -> Planned:
    seen: list[tuple[PartKind, str]] = []
    notes: list[str] = []

    def plan_part(kind: PartKind, text: str) -> Template | None:
        seen.append((kind, text))
        return with_slots(kind, text) if change else None

    template = plan_mime(raw, plan_part=plan_part, notes=lambda code, detail: notes.append(str(code)))
    return Planned(template, seen, notes)


def entity(kind: str | None, body: bytes, *fields: str, eol: bytes = b"\r\n") -> bytes:
    """A part or message: Content-Type (None for none), other fields, empty line, body."""
    lines = [*([f"Content-Type: {kind}"] if kind else []), *fields]
    return b"".join(line.encode("latin-1") + eol for line in lines) + eol + body


def multipart(subtype: str, *parts: bytes, boundary: str = "b1", eol: bytes = b"\r\n", top: bool = False) -> bytes:
    dashed = b"--" + boundary.encode()
    body = b"".join(dashed + eol + part + eol for part in parts) + dashed + b"--" + eol
    fields = ["Subject: Hello", "From: a@brand.example", "MIME-Version: 1.0"] if top else []
    return entity(f'multipart/{subtype}; boundary="{boundary}"', body, *fields, eol=eol)


def leaves(raw: bytes) -> list[Message]:
    """The parts that are no multiparts, as the standard library reads them."""
    return [part for part in email.message_from_bytes(raw).walk() if not part.is_multipart()]


def payload(part: Message) -> bytes:
    decoded = part.get_payload(decode=True)
    assert isinstance(decoded, bytes)
    return decoded

"""The newsletters of the corpus inside whole messages, in their own charsets: rewritten there as by themselves."""

from __future__ import annotations

import base64
import email
import quopri

import pytest

from app.tracking.findings import Findings
from app.tracking.link_rules import LinkRules
from app.tracking.link_table import LinkTable
from app.tracking.mime_parts import PartKind
from app.tracking.rewrite_html import plan_html
from app.tracking.rewrite_mime import plan_mime
from app.tracking.template import Template
from tests.corpus.load import Newsletter, newsletters
from tests.unit.tracking.rewriting import HOST, UrlOfSlot

_TEXT = b"Dear reader, this is for those who do not read HTML.\r\n"


def _planned(html: str) -> Template:
    rules = LinkRules(own_hosts=frozenset({HOST}), trap=True)
    return plan_html(html, LinkTable(), rules, Findings(), header_pixel=True, footer_pixel=True)


def _source(newsletter: Newsletter) -> bytes:
    """With the line ends of mail."""
    return newsletter.content.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


def _message(newsletter: Newsletter, encoding: str) -> bytes:
    """A multipart/alternative of two, as it would be sent."""
    source = _source(newsletter)
    body = {
        "base64": base64.encodebytes(source).replace(b"\n", b"\r\n"),
        "quoted-printable": quopri.encodestring(source.replace(b"\r\n", b"\n")).replace(b"\n", b"\r\n"),
        "8bit": source,
    }[encoding]
    lines = [
        b"From: a@brand.example",
        b"Subject: News",
        b"MIME-Version: 1.0",
        b'Content-Type: multipart/alternative; boundary="=_b"',
        b"",
        b"--=_b",
        b"Content-Type: text/plain; charset=us-ascii",
        b"",
        _TEXT,
        b"--=_b",
        f"Content-Type: text/html; charset={newsletter.charset}".encode(),
        f"Content-Transfer-Encoding: {encoding}".encode(),
        b"",
        body,
        b"--=_b--",
        b"",
    ]
    return b"\r\n".join(lines)


@pytest.mark.parametrize("encoding", ["base64", "quoted-printable", "8bit"])
@pytest.mark.parametrize("newsletter", newsletters(), ids=lambda newsletter: newsletter.name)
def test_a_newsletter_in_a_message_is_rewritten_as_by_itself(newsletter: Newsletter, encoding: str) -> None:
    notes: list[str] = []

    def plan_part(kind: PartKind, text: str) -> Template | None:
        return _planned(text) if kind is PartKind.HTML else None

    raw = _message(newsletter, encoding)
    template = plan_mime(raw, plan_part=plan_part, notes=lambda note, detail: notes.append(f"{note}: {detail}"))
    rendered = template.render(UrlOfSlot(), {})
    text, html = (part.get_payload(decode=True) for part in list(email.message_from_bytes(rendered).walk())[1:])
    assert notes == []
    assert text.rstrip() == _TEXT.rstrip()
    alone = _planned(_source(newsletter).decode(newsletter.charset)).render(UrlOfSlot())
    assert html.decode(newsletter.charset).rstrip("\r\n") == alone.rstrip("\r\n")
    assert max(map(len, rendered.split(b"\r\n"))) <= 998 or encoding == "8bit"

"""What registering and the linter do with a content alike: whole MIME messages, the cost of an SMS, a slot's URL."""

from __future__ import annotations

from collections.abc import Callable

from app.messages.sms_preview import SmsPreview, preview
from app.models.block import Slot
from app.tracking.codes import MAX_LENGTH
from app.tracking.findings import MAX_WARNINGS, Findings
from app.tracking.link_rules import LinkRules
from app.tracking.link_table import LinkTable
from app.tracking.mime_parts import PartKind
from app.tracking.rewrite_html import plan_html_or_keep
from app.tracking.rewrite_mime import MimeTemplate, plan_mime
from app.tracking.rewrite_text import plan_text
from app.tracking.template import Template
from app.tracking.urls import TrackingUrls

Note = dict[str, str | int]
"""Something the author should look at: part, code, detail, and where there is one line and column."""
UrlWriter = Callable[[str, str], str]
"""From host and code to the URL."""


def plan_message(
    raw: bytes,
    table: LinkTable,
    rules: LinkRules,
    findings: Findings,
    notes: list[Note],
    *,
    header_pixel: bool,
    footer_pixel: bool,
) -> MimeTemplate:
    """Analyse a whole MIME message. Pixels go into the first html body only, or one opening would be two.

    Args:
        notes: takes what is said about parts that stay as they are, at most `MAX_WARNINGS`.

    Raises:
        InvalidRequest: too many links.
    """
    first = True

    def plan_part(kind: PartKind, text: str) -> Template:
        nonlocal first
        if kind is PartKind.TEXT:
            return plan_text(text, table, rules, findings)
        header, footer, first = header_pixel and first, footer_pixel and first, False
        return plan_html_or_keep(text, table, rules, findings, header_pixel=header, footer_pixel=footer)

    def note(code: str, detail: str) -> None:
        if len(notes) < MAX_WARNINGS:
            notes.append({"part": "mime", "code": code, "detail": detail})

    return plan_mime(raw, plan_part=plan_part, notes=note)


def preview_of(text: str, template: Template, host: str, urls: TrackingUrls) -> SmsPreview:
    """What an SMS costs with its author's links and with ours. At most: reckoned with the longest codes."""
    longest = "m" * MAX_LENGTH
    url_of = {slot: write_url(urls, slot)(host, longest) for slot in template.slots}
    return preview(text, template.render(url_of))


def write_url(urls: TrackingUrls, slot: int) -> UrlWriter:
    """What makes a slot's URL of host and code."""
    if slot in (Slot.PIXEL_HEADER, Slot.PIXEL_FOOTER):
        return urls.pixel
    return urls.unsubscribe if slot == Slot.UNSUBSCRIBE else urls.click

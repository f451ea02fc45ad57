"""The linter: what would happen to each link of a content, and why. Stores nothing, reserves nothing.

The decisions are those of `app.messages.register`, by the same code; here nothing is refused, only shown.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from app.brands.brand import Brand
from app.messages.content import Note, plan_message, preview_of
from app.messages.destinations import rules_of
from app.messages.sms_preview import SmsPreview
from app.models.block import Channel, link_id
from app.tracking.findings import Finding, Findings
from app.tracking.link_reasons import CAUTIONS, EXPLANATIONS, Action
from app.tracking.link_table import LinkTable
from app.tracking.rewrite_html import plan_html_or_keep
from app.tracking.rewrite_mime import MimeTemplate
from app.tracking.rewrite_text import plan_text
from app.tracking.template import Template
from app.tracking.trap import TRAP_SLOT
from app.tracking.urls import TrackingUrls

_URLS = TrackingUrls("https")


@dataclass(frozen=True, slots=True)
class LintDraft:
    """A content to look at."""

    channel: Channel
    html: str | None = field(default=None, repr=False)
    text: str | None = field(default=None, repr=False)
    mime: bytes | None = field(default=None, repr=False)
    """A whole message, instead of html and text."""
    values: frozenset[str] = frozenset()
    """The names of the values that every recipient will have."""
    campaign_id: str | None = None
    list_id: str | None = None
    job_source: str | None = None


@dataclass(frozen=True, slots=True)
class LintReport:
    links: tuple[Finding, ...]
    """By part, in the order of the content."""
    warnings: tuple[Note, ...]
    """About whole parts: part, line, column, code, detail."""
    left_out: int
    """Links for which there was no room in `links`."""
    trap_link: bool = False
    """Whether the html gets a hidden link that only machines follow."""
    segments: SmsPreview | None = None
    """SMS only."""

    @property
    def counts(self) -> Counter[Action]:
        return Counter(link.action for link in self.links)

    def as_json(self) -> dict[str, Any]:
        """As the API and `flask links lint --json` give it."""
        return {
            "links": [_link_json(link) for link in self.links],
            "warnings": list(self.warnings),
            "left_out": self.left_out,
            "trap_link": self.trap_link,
            **({} if self.segments is None else {"segments": self.segments.as_json()}),
        }


def lint(brand: Brand, draft: LintDraft, urls: TrackingUrls = _URLS) -> LintReport:
    """Look at every link of a content.

    Args:
        urls: makes the links whose length an SMS is reckoned with.

    Raises:
        InvalidRequest: (422) too many links, half of a surrogate pair.
    """
    rules = rules_of(
        brand,
        draft.channel,
        campaign_id=draft.campaign_id,
        list_id=draft.list_id,
        job_source=draft.job_source,
        values=draft.values,
    )
    table, findings = LinkTable(), Findings(everything=True)
    notes: list[Note] = []
    content: MimeTemplate | Template | None = None
    segments = None
    if draft.mime is not None:
        content = plan_message(draft.mime, table, rules, findings, notes, header_pixel=False, footer_pixel=False)
    if draft.html is not None:
        content = plan_html_or_keep(draft.html, table, rules, findings, header_pixel=False, footer_pixel=False)
    if draft.text is not None:
        template = plan_text(draft.text, table, rules, findings)
        if draft.channel is Channel.SMS:
            segments = preview_of(draft.text, template, brand.sms_host, urls)
    has_trap = content is not None and TRAP_SLOT in content.slots
    return report_of(findings, notes, segments, trap_link=has_trap)


def report_of(
    findings: Findings, notes: list[Note], segments: SmsPreview | None = None, *, trap_link: bool = False
) -> LintReport:
    """The report of findings that were collected with `everything`."""
    parts = {part: place for place, part in enumerate(dict.fromkeys(link.part for link in findings.links))}
    links = sorted(findings.links, key=lambda link: (parts[link.part], link.line, link.column))
    return LintReport(tuple(links), (*notes, *findings.part_warnings()), findings.left_out, trap_link, segments)


def _link_json(link: Finding) -> dict[str, Any]:
    found = {
        "part": link.part,
        "line": link.line,
        "column": link.column,
        "url": link.url,
        "action": link.action.value,
        "reason": link.reason.value,
        "explanation": EXPLANATIONS[link.reason],
        "warnings": [{"code": caution.value, "detail": CAUTIONS[caution]} for caution in link.cautions],
    }
    if link.slot is not None:
        found["link_id"] = link_id(link.slot)
        found["destination"] = link.destination
    return found

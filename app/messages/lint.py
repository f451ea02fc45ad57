"""The linter: what would happen to each link of a content, and why. Stores nothing, reserves nothing.

The decisions are those of `app.messages.register`, by the same code; here nothing is refused, only shown.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from app.brands.brand import Brand
from app.messages.destinations import rules_of
from app.models.block import FIRST_LINK_SLOT, Channel
from app.tracking.findings import Finding, Findings
from app.tracking.link_reasons import CAUTIONS, EXPLANATIONS, Action
from app.tracking.link_table import LinkTable
from app.tracking.rewrite_html import plan_html_or_keep
from app.tracking.rewrite_text import plan_text


@dataclass(frozen=True, slots=True)
class LintDraft:
    """A content to look at."""

    channel: Channel
    html: str | None = field(default=None, repr=False)
    text: str | None = field(default=None, repr=False)
    values: frozenset[str] = frozenset()
    """The names of the values that every recipient will have."""
    campaign_id: str | None = None
    list_id: str | None = None
    job_source: str | None = None


@dataclass(frozen=True, slots=True)
class LintReport:
    links: tuple[Finding, ...]
    """By part, in the order of the content."""
    warnings: tuple[dict[str, str | int], ...]
    """About whole parts: part, line, column, code, detail."""
    left_out: int
    """Links for which there was no room in `links`."""

    @property
    def counts(self) -> Counter[Action]:
        return Counter(link.action for link in self.links)

    def as_json(self) -> dict[str, Any]:
        """As the API and `flask links lint --json` give it."""
        return {
            "links": [_link_json(link) for link in self.links],
            "warnings": list(self.warnings),
            "left_out": self.left_out,
        }


def lint(brand: Brand, draft: LintDraft) -> LintReport:
    """Look at every link of a content.

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
    if draft.html is not None:
        plan_html_or_keep(draft.html, table, rules, findings, header_pixel=False, footer_pixel=False)
    if draft.text is not None:
        plan_text(draft.text, table, rules, findings)
    return report_of(findings)


def report_of(findings: Findings) -> LintReport:
    """The report of findings that were collected with `everything`."""
    parts = {part: place for place, part in enumerate(dict.fromkeys(link.part for link in findings.links))}
    links = sorted(findings.links, key=lambda link: (parts[link.part], link.line, link.column))
    return LintReport(tuple(links), tuple(findings.part_warnings()), findings.left_out)


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
        found["link_id"] = f"lnk_{link.slot - FIRST_LINK_SLOT + 1}"
        found["destination"] = link.destination
    return found

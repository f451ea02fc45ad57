"""What the tests of rewriting share: one call that plans, renders and says what was found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from app.models.block import Link
from app.tracking.findings import Findings
from app.tracking.link_rules import LinkRules
from app.tracking.link_table import LinkTable
from app.tracking.rewrite_html import plan_html, plan_html_or_keep
from app.tracking.rewrite_text import plan_text
from app.tracking.trap import TRAP_SLOT

HOST = "t.example"
RULES: dict[str, Any] = {"own_hosts": frozenset({HOST})}


class UrlOfSlot(dict[int, str]):
    """Slot n leads to https://t.example/n, the pixels to /o/n and the trap to /c/trap, as ours do."""

    def __missing__(self, slot: int) -> str:
        if slot == TRAP_SLOT:
            return f"https://{HOST}/c/trap"
        return f"https://{HOST}/o/{slot}.gif" if slot < 2 else f"https://{HOST}/{slot}"


@dataclass(frozen=True)
class Rewritten:
    output: str
    links: tuple[Link, ...]
    findings: Findings

    @property
    def destinations(self) -> tuple[str, ...]:
        return tuple(link.destination for link in self.links)

    @property
    def codes(self) -> list[str]:
        """Of the warnings."""
        return [str(warning["code"]) for warning in self.findings.warnings()]


def rewritten(html: str | None, text: str | None = None, *, keep: bool = False, **options: Any) -> Rewritten:
    """The html for one recipient, or the text when there is one (the html is then planned first).

    Args:
        keep: html without a sensible reading is kept.
        options: fields of `LinkRules`, and `header_pixel`, `footer_pixel`.
    """
    table, findings = LinkTable(), Findings(everything=True)
    pixels = {name: options.pop(name, False) for name in ("header_pixel", "footer_pixel")}
    rules = LinkRules(**(RULES | options))
    plan = plan_html_or_keep if keep else plan_html
    template = None if html is None else plan(html, table, rules, findings, **pixels)
    if text is not None:
        template = plan_text(text, table, rules, findings)
    if template is None:
        raise ValueError("neither html nor text")
    return Rewritten(template.render(UrlOfSlot()), table.links, findings)

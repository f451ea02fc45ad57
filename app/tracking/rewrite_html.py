"""HTML rewriting: reads a document once and splices slots in. `html_scan` reads, `html_links` and `pixels` find the
places, `link_rules` decides, `template` renders.

Only the values of tracked `href` attributes, `data-track="off"` and `{{unsubscribe_url}}` are touched, pixels and the
trap are added; every other character of the document stays as it is.
"""

from __future__ import annotations

from app.tracking.findings import Findings
from app.tracking.html_links import HtmlLinks
from app.tracking.html_scan import Token, UnparsableHtml, attributes, tokens
from app.tracking.link_reasons import Caution
from app.tracking.link_rules import LinkRules
from app.tracking.link_table import LinkTable
from app.tracking.pixels import Pixels
from app.tracking.placeholders import unsubscribe_splices
from app.tracking.template import Template, assemble, refuse_lone_surrogates
from app.tracking.trap import Trap

# `<html ⚡4email>`: AMP for Email, "Required markup"; the plain ones are AMP pages. U+FE0F asks for a coloured flash.
_AMP = frozenset({"⚡4email", "amp4email", "⚡", "amp"})


def plan_html(
    html: str,
    table: LinkTable,
    rules: LinkRules,
    findings: Findings,
    *,
    header_pixel: bool,
    footer_pixel: bool,
    part: str = "html",
) -> Template:
    """Analyse one HTML document or fragment.

    Tracked: `<a href>` and `<area href>` as `link_rules.decide` says, outside comments, CDATA and raw text; VML shapes
    in Outlook's conditional comments when the rules say so. The placeholder `{{unsubscribe_url}}` is filled wherever it
    stands, in comments too (Outlook's own copy). An AMP document stays as it is. Refused links are left alone here:
    look at `findings.refused`. A document with a link that leads everybody to one place gets a trap when the rules say
    so: its slot is `TRAP_SLOT`, and the caller adds its link to the table once everything is planned.

    Args:
        table: takes the links, one per anchor.
        findings: takes what happens to each link, under the name `part`.
        header_pixel: a pixel right after `<body>`, without one after the head, else first.
        footer_pixel: a pixel before the last `</body>`, without one at the end.

    Raises:
        UnparsableHtml: the document has no sensible reading; table and findings are as before.
        InvalidRequest: too many links, half of a surrogate pair.
    """
    refuse_lone_surrogates(html)
    findings.begin(part, html)
    links_before, findings_before = len(table.links), findings.mark()
    try:
        return _plan(html, table, rules, findings, header_pixel=header_pixel, footer_pixel=footer_pixel)
    except UnparsableHtml:
        table.back_to(links_before)
        findings.back_to(findings_before)
        raise


def plan_html_or_keep(
    html: str,
    table: LinkTable,
    rules: LinkRules,
    findings: Findings,
    *,
    header_pixel: bool,
    footer_pixel: bool,
    part: str = "html",
) -> Template:
    """As `plan_html`, but a document without a sensible reading is kept as it is, with a note in the findings.

    It gets neither tracked links nor a pixel; `{{unsubscribe_url}}` is filled, because an unsubscribe always works.

    Raises:
        InvalidRequest: too many links, half of a surrogate pair.
    """
    try:
        return plan_html(html, table, rules, findings, header_pixel=header_pixel, footer_pixel=footer_pixel, part=part)
    except UnparsableHtml as error:
        findings.note(Caution.UNPARSABLE_HTML, error.line, error.column)
        return assemble(html, unsubscribe_splices(html), escape=True)


def _plan(
    html: str, table: LinkTable, rules: LinkRules, findings: Findings, *, header_pixel: bool, footer_pixel: bool
) -> Template:
    known = len(table.links)
    pixels = Pixels(html, rules.own_hosts)
    trap = Trap(html, rules.own_hosts) if rules.trap else None
    links = HtmlLinks(html, table, rules, findings)
    previous_end = pixels.header
    for token in tokens(html):
        if token.name == "html" and _is_amp(html, token):
            findings.note(Caution.AMP_DOCUMENT)
            return Template((html,), escape=True)
        pixels.see(token, previous_end)
        links.see(token, previous_end)
        if trap is not None:
            trap.see(token)
        previous_end = token.end
    links.finish(len(html), previous_end)
    has_target = any(not link.personal for link in table.links[known:])
    splices = trap.splices(pixels.footer) if trap is not None and has_target else []
    splices += pixels.splices(header=header_pixel, footer=footer_pixel)
    splices += links.splices
    splices += unsubscribe_splices(html)
    return assemble(html, splices, escape=True)


def _is_amp(html: str, tag: Token) -> bool:
    return any(attribute.name.replace("\ufe0f", "") in _AMP for attribute in attributes(html, tag))

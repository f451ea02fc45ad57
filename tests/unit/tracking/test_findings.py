"""Findings: their places, their bounds, and that they quote nothing they should not."""

from __future__ import annotations

from app.tracking.findings import MAX_FINDINGS, MAX_REFUSALS, Findings
from app.tracking.link_reasons import Action, Caution, Reason
from app.tracking.link_rules import Decision
from tests.unit.tracking.rewriting import rewritten

TRACKED = Decision(Action.TRACKED, Reason.WEB, "https://x.example/")
WARNED = Decision(Action.LEFT, Reason.RELATIVE, cautions=(Caution.RELATIVE_URL,))
REFUSED = Decision(Action.REFUSED, Reason.NOT_ALLOWED)


def test_lines_and_columns_count_characters_from_one() -> None:
    html = '<p>\r\n  😀é<a title=x href="/1"><a href="/2">\n\n<A HREF=/3><map>\r<area\nhref="/4">'
    found = rewritten(html).findings.links
    assert [(link.url, link.line, link.column) for link in found] == [
        ("/1", 2, 16),
        ("/2", 2, 29),
        ("/3", 4, 4),
        ("/4", 5, 1),
    ]
    text = rewritten(None, "https://x.example/1\n\n é https://x.example/2.\r\n<https://x.example/3>").findings.links
    assert [(link.line, link.column) for link in text] == [(1, 1), (3, 4), (4, 2)]


def test_without_everything_only_what_needs_a_look_is_kept() -> None:
    findings = Findings()
    findings.begin("html", "abc")
    for decision in (TRACKED, WARNED, REFUSED):
        findings.add(decision, "u", 0)
    assert [link.action for link in findings.links] == [Action.LEFT, Action.REFUSED]
    assert [link.reason for link in findings.refused] == [Reason.NOT_ALLOWED]
    assert findings.left_out == 0


def test_a_flood_of_findings_is_bounded_and_hides_no_refusal() -> None:
    html = "<a href='/x'>\n" * 5000 + "<a href='https://x.example/'>" * 100
    found = rewritten(html, allows=lambda host: False).findings
    assert len(found.links) == MAX_FINDINGS
    assert found.left_out == 5100 - MAX_FINDINGS
    assert len(found.refused) == MAX_REFUSALS
    assert (found.refused[0].line, found.refused[0].column) == (5001, 4)
    assert len(found.warnings()) == 50


def test_warnings_name_the_place_and_quote_nothing() -> None:
    html = '<a href="javascript:steal(\'secret\')">x</a>\n<a href="https://ada:secret@x.example/?secret">y</a>'
    warnings = rewritten(html).findings.warnings()
    assert [(one["part"], one["line"], one["column"], one["code"]) for one in warnings] == [
        ("html", 1, 4, "unsafe_scheme"),
        ("html", 2, 4, "user_info"),
    ]
    assert "secret" not in str(warnings)
    assert "x.example" not in str(warnings)


def test_a_finding_shows_no_url_in_a_log() -> None:
    (link,) = rewritten('<a href="https://x.example/ada">x</a>').findings.links
    assert "ada" not in repr(link)


def test_going_back_forgets_what_came_since() -> None:
    findings = Findings(limit=2)
    findings.begin("html", "x")
    findings.add(WARNED, "1", 0)
    mark = findings.mark()
    findings.begin("html", "y")
    for decision in (REFUSED, WARNED, WARNED):
        findings.add(decision, "2", 0)
    findings.note(Caution.AMP_DOCUMENT)
    findings.back_to(mark)
    assert [link.url for link in findings.links] == ["1"]
    assert (findings.notes, findings.refused, findings.left_out) == ([], [], 0)

"""Text and SMS rewriting, case by case: where a URL ends, and what stays as it was."""

from __future__ import annotations

import pytest

from app.errors import InvalidRequest
from app.tracking.findings import Findings
from app.tracking.link_rules import LinkRules
from app.tracking.link_table import LinkTable
from app.tracking.rewrite_text import plan_text


def rewrite(text: str, *, track_clicks: bool = True) -> tuple[str, tuple[str, ...]]:
    """The text with `[n]` in place of slot n, and the destinations."""
    table = LinkTable()
    template = plan_text(text, table, LinkRules(track_clicks=track_clicks), Findings())
    return template.render([f"[{slot}]" for slot in range(100)]), tuple(link.destination for link in table.links)


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("See @.", "https://x.example/a"),
        ("See @", "https://x.example/a/"),
        ("<@>", "https://x.example/a"),
        ("<URL:@>", "https://x.example/a"),
        ("(@)", "https://x.example/a"),
        ("(see @).", "https://x.example/a"),
        ("[@]", "https://x.example/a"),
        ("[text](@)[more]", "https://x.example/a"),
        ("(@),next", "https://x.example/a"),
        ("@?! @", "https://x.example/a"),
        ("@...", "https://x.example/a"),
        ("'@', \"@\"", "https://x.example/a"),
        ("@)))", "https://x.example/wiki/A_(b)"),
        ("(@)", "https://x.example/wiki/A_(b)"),
        ("@)", "https://x.example/?ids[]=1&ids[]=2"),
        ("@;", "https://x.example/?a=1;b=2&c=%26#d"),
        ("@", "https://x.example/a)b"),
        ("@", "http://x.example:8080/a;v=1?x"),
        ("@!", "HTTPS://X.Example/Path"),
        ("Read:@, -@ 。@。谢谢「@」", "https://x.example/a"),
        ("@\u00a0x\r\n\t@\u2028", "https://x.example/a"),
        ("@ @", "https://bücher.example/straße?x=😀"),
        ("@", "https://x.example/&amp;b"),
        ("@", "https://x.example/?u=https://y.example/z"),
        ("**@** _@_ ~@~ *@*", "https://x.example/a"),
        ("@", "https://x.example/a_"),
        ("@\x00@", "https://x.example/a"),
        ("`@`", "https://x.example/a"),
        ("@…", "https://x.example"),
    ],
)
def test_punctuation_of_the_sentence_stays_outside_the_url(text: str, url: str) -> None:
    assert rewrite(text.replace("@", url)) == (text.replace("@", "[4]"), (url,))


@pytest.mark.parametrize(
    "text",
    [
        "www.x.example x.example/a",
        "https:// http:// https://. https://) https://'",
        "https:x.example https:/x.example //x.example",
        "ftp://x.example shop://open?to=https://x.example git+https://x.example view-https://x.example",
        "mailto:a@x.example?body=https://x.example MAILTO:a@x.example?body=https://x.example",
        "xhttps://x.example httpss://x.example",
        "https://x.example/{{ id }} https://x.example/*|ID|* {{ web_view }}",
        "https://x.example\\@y.example/",
        "",
        "a@x.example\r\n\ttel:+49 30\u200b \x00",
    ],
)
def test_what_is_no_plain_web_url_is_untouched(text: str) -> None:
    assert rewrite(text) == (text, ())


def test_unsubscribe_placeholder_is_filled_and_never_tracked() -> None:
    text = "Stop: {{unsubscribe_url}}. ({{ unsubscribe_url }})"
    assert rewrite(text) == ("Stop: [2]. ([2])", ())
    assert rewrite("https://x.example " + text, track_clicks=False) == ("https://x.example Stop: [2]. ([2])", ())


def test_urls_are_not_escaped_in_text() -> None:
    template = plan_text("https://x.example", LinkTable(), LinkRules(), Findings())
    assert template.render({4: "https://t.example/?a&b"}) == "https://t.example/?a&b"


def test_forbidden_destination_is_among_the_refused() -> None:
    findings = Findings()
    rules = LinkRules(allows=lambda host: False)
    template = plan_text("See https://x.example/a.", LinkTable(), rules, findings)
    assert template.parts == ("See https://x.example/a.",)
    assert [(found.url, found.column) for found in findings.refused] == [("https://x.example/a", 5)]


def test_lone_surrogate_is_refused() -> None:
    with pytest.raises(InvalidRequest) as error:
        rewrite("\udc00")
    assert error.value.code == "invalid_text"

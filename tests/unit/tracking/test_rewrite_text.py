"""Text and SMS rewriting, case by case: where a URL ends, and what stays as it was."""

from __future__ import annotations

import pytest

from app.errors import InvalidRequest
from app.tracking.findings import Findings
from app.tracking.link_rules import LinkRules
from app.tracking.link_table import LinkTable
from app.tracking.rewrite_text import plan_text
from app.tracking.utm import UtmParameters
from tests.unit.tracking.rewriting import rewritten


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


def test_a_placeholder_within_a_url_belongs_to_it() -> None:
    text = "Go to https://x.example/o/{{ id }}/edit?a={{b}}, or (https://x.example/{{id}})."
    found = rewritten(None, text, values=frozenset({"id", "b"}))
    assert found.output == "Go to https://t.example/4, or (https://t.example/5)."
    assert [(link.destination, link.personal) for link in found.links] == [
        ("https://x.example/o/{{id}}/edit?a={{b}}", True),
        ("https://x.example/{{id}}", True),
    ]


def test_a_placeholder_alone_is_a_link_when_it_is_called_one() -> None:
    text = "Hello {{ name }}: {{ apply_url }} <{{link}}> {{url}}. {{ LinkedIn }} {{ other_link }} {{ unsubscribe_url }}"
    values = frozenset({"name", "apply_url", "link", "url", "LinkedIn"})
    found = rewritten(None, text, values=values)
    assert found.output == (
        "Hello {{ name }}: https://t.example/4 <https://t.example/5> https://t.example/6. {{ LinkedIn }} "
        "{{ other_link }} https://t.example/2"
    )
    triple = rewritten(None, "{{{ url }}} https://x.example/{{{ url }}}/ {{{ unsubscribe_url }}}", values=values)
    assert triple.output == "https://t.example/5 https://t.example/4 https://t.example/2"
    assert rewritten(None, text).output == text.replace("{{ unsubscribe_url }}", "https://t.example/2")


def test_a_placeholder_alone_is_the_link_that_the_html_says_it_is() -> None:
    found = rewritten('<a href="{{ shop }}">x</a>', "{{shop}} {{ town }}", values=frozenset({"shop", "town"}))
    assert found.output == "https://t.example/4 {{ town }}"


def test_a_placeholder_in_a_url_that_is_left_stays_with_it() -> None:
    text = "shop://open?to={{ url }} https://{{url}}/x mailto:{{ url }} https://x.example/{{ url }}/{{ other }}"
    assert rewritten(None, text, values=frozenset({"url"})).output == text


def test_own_links_and_untracked_domains_are_left_in_text_too() -> None:
    text = "https://t.example/4 https://open.example/x https://a:b@x.example/ https://x.example/\u200bz"
    found = rewritten(None, text, untracked_domains=frozenset({"open.example"}))
    assert found.output == text.replace("https://x.example/\u200bz", "https://t.example/4")
    assert found.codes == ["user_info", "invisible_characters"]


def test_campaign_parameters_keep_text_and_html_one_link() -> None:
    utm = UtmParameters((("utm_source", "news"),))
    found = rewritten('<a href="https://x.example/?a&amp;b">x</a>', "https://x.example/?a&b.", utm=utm)
    assert found.output == "https://t.example/4."
    assert found.destinations == ("https://x.example/?a&b&utm_source=news",)


def test_a_url_with_letters_outside_ascii_ends_where_a_reader_sees_its_end() -> None:
    text = "Mehr: https://bücher.example/straße?x=ä, 詳しくは https://例え.example/ページ。次へ"
    found = rewritten(None, text)
    assert found.output == "Mehr: https://t.example/4, 詳しくは https://t.example/5。次へ"
    assert found.destinations == ("https://bücher.example/straße?x=ä", "https://例え.example/ページ")

"""`flask links lint`: a table or JSON, exit code 1 when a link is refused; without servers, settings or secrets."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from app.commands.links import group

BRANDS = """version: 1
brands:
  - id: alder
    name: Alder
    channels: [email, sms]
    tracking_hosts: [t.alder.example]
    destinations: [alder.example]
    links: {utm: {source: news}}
    endpoints: [{id: alder-main, url: "https://hooks.alder.example/", secrets: ["file:missing"]}]
"""


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("BRANDS_FILE", "SECRETS_DIR", "STATE_DIR", "MONGO_URL", "REDIS_URL"):
        monkeypatch.delenv(f"TELLTALE_{name}", raising=False)
    monkeypatch.chdir(tmp_path)
    Path("brands.yaml").write_text(BRANDS)


def lint(content: str | bytes, *arguments: str, name: str = "letter.html") -> Result:
    Path(name).write_bytes(content.encode() if isinstance(content, str) else content)
    return CliRunner().invoke(group, ["lint", name, "--brand", "alder", *arguments])


def test_each_link_has_its_place_what_happens_and_why() -> None:
    result = lint('<p>\n<a href="https://alder.example/?a&amp;b">x</a> <a href="/local">y</a>')
    assert result.exit_code == 0
    assert result.output.splitlines() == [
        "html 2:4      tracked   https://alder.example/?a&b",
        "              web: A web link: a click is recorded and lands exactly where the author said.",
        "              leads to https://alder.example/?a&b&utm_source=news",
        "html 2:51     left      /local",
        "              relative: It has no scheme and no host, so only the message's own place could complete it.",
        "              WARNING relative_url: A relative link leads nowhere in a message.",
        "1 tracked, 1 left, 0 refused",
    ]


def test_a_refused_link_makes_the_exit_code_1() -> None:
    result = lint("Go to https://evil.example/x", name="letter.txt")
    assert result.exit_code == 1
    assert "text 1:7      refused   https://evil.example/x" in result.output


def test_the_json_is_the_answer_of_the_api() -> None:
    result = lint('<a href="https://alder.example/{{ id }}">x</a>', "--json", "--value", "id")
    assert json.loads(result.output) == {
        "links": [
            {
                "part": "html",
                "line": 1,
                "column": 4,
                "url": "https://alder.example/{{ id }}",
                "action": "tracked",
                "reason": "personal",
                "explanation": "Tracked as one link; where it lands is filled in from each recipient's own values.",
                "warnings": [],
                "link_id": "lnk_1",
                "destination": "https://alder.example/{{id}}?utm_source=news",
            }
        ],
        "warnings": [],
        "left_out": 0,
        "trap_link": False,
    }


def test_text_and_sms_are_read_as_text() -> None:
    for option in ("--text", "--sms"):
        assert "text 1:1      tracked" in lint("https://alder.example/<b>", option).output


def test_what_a_terminal_would_obey_is_shown_as_an_escape() -> None:
    output = lint("<a href='https://alder.example/\u202e\x9b31m\u200b'>x</a>").output
    assert r"\u202e\x9b31m\u200b" in output
    assert output.isascii()


def test_unreadable_html_is_a_warning_with_its_place() -> None:
    result = lint('<a href="https://alder.example/">x</a>\n <!-- never ends')
    assert result.exit_code == 0
    first = result.output.splitlines()[0]
    assert first.startswith("html 2:2  WARNING unparsable_html: The html has no sensible reading")
    assert result.output.splitlines()[-1] == "0 tracked, 0 left, 0 refused"


@pytest.mark.parametrize(
    ("content", "arguments", "said"),
    [
        (b"\xff", [], "letter.html is not UTF-8 text."),
        (b"<p>", ["--brand", "nobody"], 'There is no brand "nobody" in brands.yaml.'),
        (b"<p>", ["--brands-file", "letter.html"], "letter.html is refused; flask brands check says why."),
        (b"<a href='https://alder.example/'>" * 501, [], "more than 500 links"),
        (b" " * (8 * 1024 * 1024 + 1), [], "letter.html is larger than 8 MiB."),
    ],
)
def test_what_cannot_be_looked_at_is_said(content: bytes, arguments: list[str], said: str) -> None:
    result = lint(content, *arguments)
    assert result.exit_code == 1
    assert said in result.output


MESSAGE = b"""Subject: Hi\r
MIME-Version: 1.0\r
Content-Type: multipart/mixed; boundary=b\r
\r
--b\r
Content-Type: text/html; charset=utf-8\r
\r
<a href="https://alder.example/a">A</a>\r
--b\r
Content-Type: text/html; name=notes.html\r
Content-Disposition: attachment; filename=notes.html\r
\r
<a href="https://alder.example/b">B</a>\r
--b--\r
"""


def test_a_whole_message_is_read_part_by_part() -> None:
    result = lint(MESSAGE, name="letter.eml")
    assert result.exit_code == 0
    assert "https://alder.example/a" in result.output
    assert "https://alder.example/b" not in result.output
    assert "mime  WARNING attachment" in result.output
    assert lint(MESSAGE, "--mime", name="letter.bin").output == result.output


def test_a_text_message_says_what_it_costs() -> None:
    result = lint("x" * 130 + " https://alder.example/1", "--sms", name="sms.txt")
    assert "2 segments (1 with the author's links), GSM-7" in result.output


def test_without_a_brand_every_public_domain_is_allowed() -> None:
    Path("letter.html").write_text('<a href="https://birch.example/">B</a>')
    result = CliRunner().invoke(group, ["lint", "letter.html"])
    assert (result.exit_code, result.output.splitlines()[-1]) == (0, "1 tracked, 0 left, 0 refused")


def test_a_trap_that_will_be_added_is_said() -> None:
    brands = Path("brands.yaml")
    brands.write_text(BRANDS.replace("    links:", "    bots: {trap_link: true}\n    links:"))
    says = "A hidden link that only machines follow will be added (trap_link)."
    tracked = '<a href="https://alder.example/">x</a>'
    assert says in lint(tracked).output.splitlines()
    assert json.loads(lint(tracked, "--json").output)["trap_link"] is True
    assert says not in lint('<a href="/local">x</a>').output
    assert says not in lint("https://alder.example/", "--text").output

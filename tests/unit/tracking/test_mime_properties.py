"""What must hold for every message. The independent reader is the standard library's parser."""

from __future__ import annotations

import base64
import email.policy
import quopri
import re
from dataclasses import dataclass
from email.message import EmailMessage

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.tracking.mime_parts import PartKind
from app.tracking.rewrite_mime import plan_mime
from app.tracking.template import Template
from tests.unit.tracking.mime_samples.build import (
    LINK,
    entity,
    leaves,
    multipart,
    payload,
    planned,
    rewritten,
    tracked_urls,
)

EOLS = st.sampled_from([b"\r\n", b"\n"])
CHARSETS = ["utf-8", "iso-8859-1", "windows-1251", "iso-2022-jp", "shift_jis", "euc-kr", "gb18030", "big5", "koi8-r"]


@dataclass(frozen=True)
class Leaf:
    """A body as its author meant it. `mark` names it, whatever is done to it."""

    source: bytes
    text: str
    charset: str
    kind: str
    untouched: bool = False


@st.composite
def bodies(draw: st.DrawFn, eol: bytes) -> Leaf:
    charset = draw(st.sampled_from(CHARSETS))
    alphabet = st.one_of(
        st.sampled_from("ab <>=.-\t\"'&éßПр日本안你許"), st.characters(codec="utf-8", exclude_characters="\0\r\x1b")
    )
    text = draw(st.text(alphabet, max_size=40)).encode(charset, "ignore").decode(charset)
    text = "".join(character for character in text if character.encode(charset).decode(charset) == character)
    text += draw(st.sampled_from(["", "\n", "x" * 1200]))
    text = re.sub("\r*\n", eol.decode(), text.replace("\r", ""))
    # Two tildes or backslashes of a Japanese charset do not come back; controls of ISO 8859 are taken for cp1252.
    if text.encode(charset).decode(charset) != text or re.search("[\x80-\x9f]", text):
        text = "plain"
    data = text.encode(charset)
    encoding = draw(st.sampled_from(["7bit", "8bit", "binary", "quoted-printable", "base64", "Base64"]))
    body = data
    if encoding == "quoted-printable":
        body = (
            quopri.encodestring(data).replace(b"\n", eol)
            if eol == b"\n"
            else b"\r\n".join(quopri.encodestring(line) for line in data.split(b"\r\n")).replace(b"=\n", b"=\r\n")
        )
    elif encoding.lower() == "base64":
        width = draw(st.sampled_from([4, 7, 76]))
        packed = base64.b64encode(data)
        body = eol.join(packed[at : at + width] for at in range(0, len(packed), width))
    kind = draw(st.sampled_from(["html", "plain", "html", "plain", "calendar"]))
    disposition = draw(st.sampled_from([None, None, "inline", "attachment", "inline; filename=x.html"]))
    fields = [f"Content-Transfer-Encoding: {encoding}"]
    fields += [f"Content-Disposition: {disposition}"] if disposition else []
    source = entity(f'text/{kind}; charset="{charset}"', body, *draw(st.permutations(fields)), eol=eol)
    return Leaf(source, text, charset, kind, kind == "calendar" or disposition not in (None, "inline"))


@st.composite
def trees(draw: st.DrawFn) -> tuple[bytes, list[Leaf]]:
    """A message and its leaves in order."""
    eol = draw(EOLS)
    found: list[Leaf] = []

    def tree(depth: int, name: str) -> bytes:
        if depth == 0 or draw(st.integers(0, 2)) == 0:
            leaf = draw(bodies(eol))
            found.append(leaf)
            return leaf.source
        parts = [tree(depth - 1, f"{name}.{index}") for index in range(draw(st.integers(1, 3)))]
        subtype = draw(st.sampled_from(["mixed", "alternative", "related"]))
        whole = multipart(subtype, *parts, boundary=f"=_{name}", eol=eol)
        return whole + draw(st.sampled_from([b"", b"epilogue", eol]))

    return b"Subject: x" + eol + b"MIME-Version: 1.0" + eol + tree(3, "b"), found


@given(trees())
@settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large], deadline=None)
def test_a_tree_whose_parts_stay_is_byte_identical_and_every_body_was_seen(drawn: tuple[bytes, list[Leaf]]) -> None:
    raw, parts = drawn
    message = planned(raw, change=False)
    assert message.render() == raw
    texts = {
        kind: [part.text for part in parts if not part.untouched and part.kind == kind] for kind in ("html", "plain")
    }
    assert [text for _, text in message.seen] == texts["html"] + texts["plain"]


@given(trees(), st.data())
@settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large], deadline=None)
def test_a_slot_anywhere_gives_the_text_with_the_url_and_leaves_all_other_parts(
    drawn: tuple[bytes, list[Leaf]], data: st.DataObject
) -> None:
    raw, parts = drawn
    changes = data.draw(st.lists(st.booleans(), min_size=len(parts), max_size=len(parts)))
    places = [
        data.draw(st.integers(0, len(part.text))) if change else None
        for part, change in zip(parts, changes, strict=True)
    ]
    order = [i for i, p in enumerate(parts) if p.kind == "html" and not p.untouched]
    order += [i for i, p in enumerate(parts) if p.kind == "plain" and not p.untouched]
    asked = iter(order)

    def plan_part(kind: PartKind, text: str) -> Template | None:
        place = places[next(asked)]
        return None if place is None else Template((text[:place], 4, text[place:]))

    notes: list[str] = []
    template = plan_mime(raw, plan_part=plan_part, notes=lambda code, detail: notes.append(code))
    assert set(notes) <= {"attachment"}
    rendered = template.render(tracked_urls(), {})
    for part, place, before, after in zip(parts, places, leaves(raw), leaves(rendered), strict=True):
        if place is None or part.untouched:
            assert after.as_bytes() == before.as_bytes()
            continue
        expected = part.text[:place] + tracked_urls()[4] + part.text[place:]
        assert payload(after).decode(part.charset) == expected
        assert [item for item in after.items() if item[0] != "Content-Transfer-Encoding"] == [
            item for item in before.items() if item[0] != "Content-Transfer-Encoding"
        ]
        assert all(len(line) <= 998 for line in re.split("\r?\n", after.as_string()))


POLICIES = [
    email.policy.SMTP,
    email.policy.default,
    email.policy.SMTPUTF8,
    email.policy.SMTP.clone(max_line_length=998, cte_type="7bit"),
]


@given(
    st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), max_size=60),
    st.sampled_from(POLICIES),
    st.sampled_from([None, "quoted-printable", "base64"]),
    st.booleans(),
)
def test_messages_made_by_the_standard_library(
    words: str, policy: email.policy.EmailPolicy, cte: str, attach: bool
) -> None:
    message = EmailMessage(policy=policy)
    message["Subject"] = "Grüße"
    message.set_content(f"{words} {LINK}\n", cte=cte)
    message.add_alternative(f'<p>{words} <a href="{LINK}">x</a></p>\n', subtype="html", cte=cte)
    if attach:
        message.add_attachment(LINK.encode(), maintype="text", subtype="html", filename="notes.html")
    raw = message.as_bytes()
    plan = planned(raw)
    assert plan.notes == ["attachment"] * attach
    assert [kind for kind, _ in plan.seen] == [PartKind.HTML, PartKind.TEXT]
    before, after = leaves(raw), leaves(plan.render())
    for old, new in zip(before[:2], after[:2], strict=True):
        assert payload(new).decode() == rewritten(payload(old).decode())
    assert [part.as_bytes() for part in after[2:]] == [part.as_bytes() for part in before[2:]]
    assert planned(raw, change=False).render() == raw


SOUP_LINES = r"""
Subject: x\r\n
x: y
From x\n
Content-Type: text/html\r\n
Content-Type: text/html; charset=utf-8\r\n\r\n
Content-Type: multipart/mixed; boundary=b\r\n
Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n
Content-Type: multipart/alternative;\n boundary="c"\r\n\r\n--c\n
Content-Type: multipart/signed; boundary=c\n\n--c\n
Content-Type: message/rfc822\r\n\r\n
Content-Transfer-Encoding: base64\r\n
Content-Transfer-Encoding: quoted-printable\r\n
Content-Disposition: attachment\r\n
--b\r\n
--b--\r\n
--c\n
aHR0cHM6Ly94LmV4YW1wbGUv\r\n
<a href="https://x.example/">
https://x.example/\x20
=\r\n
"""
SOUP_WORDS = r"""\r\n \n \r\n \n \r \x20 \t --b --c -- = \xff \xc3\xbc ( " ; charset boundary*0=c; \0 :"""
SOUP = st.lists(
    st.sampled_from(
        [
            piece.encode().decode("unicode_escape").encode("latin-1")
            for piece in [*SOUP_LINES.strip().split("\n"), *SOUP_WORDS.split(" ")]
        ]
    ),
    max_size=30,
).map(b"".join)


@given(SOUP)
@settings(max_examples=500, deadline=None)
def test_any_soup_is_rendered_and_its_readers_find_nothing_but_new_urls(raw: bytes) -> None:
    assert planned(raw, change=False).render() == raw
    rendered = planned(raw).render()
    if rendered == raw:
        return
    before, after = leaves(raw), leaves(rendered)
    assert len(after) == len(before)
    for old, new in zip(before, after, strict=True):
        # Without a closing boundary, it is open whether the last line break belongs to the text.
        text = payload(old).decode("utf-8", "surrogateescape").rstrip("\r\n")
        assert payload(new).decode("utf-8", "surrogateescape").rstrip("\r\n") in (text, rewritten(text))

"""One shape of message, one claim: what is rewritten, what stays, and what is said about it."""

from __future__ import annotations

import base64

import pytest

from tests.unit.tracking.mime_samples.build import (
    HTML,
    LINK,
    TEXT,
    entity,
    leaves,
    multipart,
    payload,
    planned,
    rewritten,
)

UTF8_HTML = entity("text/html; charset=utf-8", HTML)
UTF8_TEXT = entity("text/plain; charset=utf-8", TEXT)
B64 = "Content-Transfer-Encoding: base64"
QP = "Content-Transfer-Encoding: quoted-printable"
QP_HTML = HTML.replace(b"=", b"=3D")
SIGNATURE = entity("application/pgp-signature", b"-----BEGIN PGP SIGNATURE-----\r\n")


def mixed(*parts: bytes) -> bytes:
    return multipart("mixed", *parts, top=True)


# claim, message, which leaves are rewritten (as the standard library counts them), notes
SHAPES: list[tuple[str, bytes, set[int], list[str]]] = [
    ("html alone", UTF8_HTML, {0}, []),
    ("text alone", UTF8_TEXT, {0}, []),
    ("no content type is text", entity(None, TEXT, "Subject: x"), {0}, []),
    ("alternative", multipart("alternative", UTF8_TEXT, UTF8_HTML, top=True), {0, 1}, []),
    ("upper case names", entity("TEXT/HTML; CHARSET=UTF-8", HTML), {0}, []),
    ("folded content type", entity('text/html;\r\n\tcharset="utf-8"', HTML), {0}, []),
    ("comment in content type", entity("text/html; charset=us-ascii (Plain (old) text)", HTML), {0}, []),
    ("comment in encoding", entity("text/html", HTML, "Content-Transfer-Encoding: 7bit (really)"), {0}, []),
    ("RFC 2231 charset", entity("text/html; charset*=us-ascii'en'utf-8", HTML), {0}, []),
    ("RFC 2231 continuation", entity("text/html; charset*0=ut; charset*1=f-8", HTML), {0}, []),
    ("RFC 2231 that cannot be", entity("text/html; charset*=a''b; charset*0=c", HTML), set(), ["part_unreadable"]),
    ("mixed with related with alternative",
     mixed(multipart("related", multipart("alternative", UTF8_TEXT, UTF8_HTML, boundary="b3"),
                     entity("image/png", b"AAAA", B64), boundary="b2")), {0, 1}, []),
    ("bare LF", multipart("alternative", entity("text/html", HTML.replace(b"\r", b""), eol=b"\n"), top=True, eol=b"\n"),
     {0}, []),
    ("quoted-printable", entity("text/html", QP_HTML, QP), {0}, []),
    ("soft break inside a URL", entity("text/html", QP_HTML.replace(b"shop", b"sh=\r\nop"), QP), {0}, []),
    ("quoted-printable in lower case", entity("text/html", QP_HTML.replace(b"=3D", b"=3d"), QP), {0}, []),
    ("blanks behind a soft break", entity("text/html", QP_HTML.replace(b"shop", b"sh= \r\nop"), QP), set(),
     ["encoding_broken"]),
    ("base64", entity("text/html", base64.encodebytes(HTML), B64), {0}, []),
    ("base64 with odd lines", entity("text/html", b"\r\n\t ".join(base64.b64encode(HTML)[i : i + 7]
                                                              for i in range(0, 99, 7)), B64), {0}, []),
    ("base64 without padding", entity("text/html", base64.b64encode(HTML + b"x").rstrip(b"="), B64), {0}, []),
    ("base64 with a footer", entity("text/html", base64.encodebytes(HTML) + b"_____\r\nThe list\r\n", B64), set(),
     ["encoding_broken"]),
    ("base64 cut off", entity("text/html", b"PGEgaHJlZ", B64), set(), ["encoding_broken"]),
    ("two base64 streams", entity("text/html", b"YQ==\r\nYQ==\r\n", B64), set(), ["encoding_broken"]),
    ("unknown encoding", entity("text/html", HTML, "Content-Transfer-Encoding: x-uuencode"), set(),
     ["encoding_unknown"]),
    ("attachment", mixed(UTF8_HTML, entity("text/html", HTML, "Content-Disposition: attachment; filename=notes.html")),
     {0}, ["attachment"]),
    ("attachment without a name", mixed(UTF8_HTML, entity("text/plain", TEXT, "Content-Disposition: ATTACHMENT")),
     {0}, ["attachment"]),
    ("inline with a file name", mixed(UTF8_HTML, entity("text/plain", TEXT, "Content-Disposition: inline;\r\n"
                                                        " filename*0*=utf-8''n%C3%B6; filename*1=.txt")), {0},
     ["attachment"]),
    ("inline without a file name", mixed(entity("text/html", HTML, "Content-Disposition: inline")), {0}, []),
    ("a name in the content type", mixed(UTF8_HTML, entity("text/html; name=notes.html", HTML)), {0},
     ["attachment"]),
    ("unknown disposition", mixed(UTF8_HTML, entity("text/plain", TEXT, "Content-Disposition: x-other")), {0},
     ["attachment"]),
    ("attached multipart", mixed(UTF8_HTML, multipart("alternative", UTF8_TEXT, boundary="b2").replace(
        b"\r\n\r\n", b"\r\nContent-Disposition: attachment\r\n\r\n", 1)), {0}, ["attachment"]),
    ("signed", multipart("signed", UTF8_HTML, SIGNATURE, top=True), set(), ["signed_or_encrypted"]),
    ("signed inside mixed", mixed(UTF8_TEXT, multipart("signed", UTF8_HTML, SIGNATURE, boundary="b2")), {0},
     ["signed_or_encrypted"]),
    ("encrypted", multipart("encrypted", entity("application/pgp-encrypted", b"V: 1"), UTF8_TEXT, top=True), set(),
     ["signed_or_encrypted"]),
    ("S/MIME", entity("application/pkcs7-mime; smime-type=signed-data", b"AAAA", B64), set(), ["signed_or_encrypted"]),
    ("PGP inline", entity("text/plain", b"-----BEGIN PGP SIGNED MESSAGE-----\r\n" + TEXT), set(), ["pgp_inline"]),
    ("PGP behind a line of words", entity("text/plain", b"Hi\r\n-----BEGIN PGP MESSAGE-----\r\n" + TEXT), set(),
     ["pgp_inline"]),
    ("forwarded message", mixed(UTF8_TEXT, entity("message/rfc822", UTF8_HTML)), {0}, []),
    ("AMP and calendar", multipart("alternative", UTF8_TEXT, entity("text/x-amp-html", HTML), UTF8_HTML,
                                   entity("text/calendar", TEXT), top=True), {0, 2}, ["amp"]),
    ("digest and report", mixed(UTF8_TEXT, multipart("digest", entity(None, UTF8_TEXT), boundary="b2"),
                                multipart("report", UTF8_TEXT, boundary="b3")), {0}, []),
    ("preamble and epilogue",
     mixed(UTF8_HTML).replace(b"\r\n\r\n--b1", b"\r\n\r\nIgnored " + LINK.encode() + b"\r\n--b1", 1) + TEXT, {0}, []),
    ("blanks behind a boundary", mixed(UTF8_TEXT, UTF8_HTML).replace(b"--b1\r\n", b"--b1 \t\r\n"), {0, 1}, []),
    ("boundary lookalikes", mixed(entity("text/plain", b"--b1x\r\n --b1\r\n--b\r\n" + TEXT), UTF8_HTML), {0, 1}, []),
    ("one boundary starts like another", mixed(multipart("alternative", UTF8_TEXT, boundary="b12"), UTF8_HTML), {0, 1},
     []),
    ("blanks and brackets in a boundary", multipart("mixed", UTF8_HTML, boundary="a (b)'+_,-./:=?c"), {0}, []),
    ("boundary in RFC 2231", mixed(UTF8_HTML).replace(b'boundary="b1"', b"boundary*0=b; boundary*1=1"), {0}, []),
    ("closing boundary missing", mixed(UTF8_TEXT, UTF8_HTML).replace(b"--b1--\r\n", b""), {0, 1},
     ["closing_boundary_missing"]),
    ("inner closing boundary missing",
     mixed(multipart("alternative", UTF8_TEXT, UTF8_HTML, boundary="b2").replace(b"--b2--\r\n", b""), UTF8_TEXT),
     {0, 1, 2}, ["closing_boundary_missing"]),
    ("part without a header", mixed(b"\r\n" + TEXT, UTF8_HTML), {0, 1}, []),
    ("empty parts", mixed(b"", b"\r\n", b"Content-Type: text/html\r\n", UTF8_HTML), {3}, []),
    ("no boundary parameter", mixed(UTF8_HTML).replace(b'; boundary="b1"', b""), set(), ["mime_broken"]),
    ("boundary that does not occur", mixed(UTF8_HTML).replace(b"--b1", b"--b9"), set(), ["mime_broken"]),
    ("boundary after a bare CR", mixed(entity("text/plain", TEXT + b"x\r--b1\r\n"), UTF8_HTML), set(), ["mime_broken"]),
    ("a part's header without its end", mixed(UTF8_HTML, b"just text\r\n"), set(), ["mime_broken"]),
    ("encoded multipart", entity('multipart/mixed; boundary="b1"', b"--b1\r\n\r\nx\r\n--b1--", B64), set(),
     ["mime_broken"]),
    ("two content types", entity("text/html", HTML, "Content-Type: text/plain"), set(), ["part_unreadable"]),
    ("two encodings", entity("text/html", HTML, QP, B64), set(), ["part_unreadable"]),
    ("a content type nobody can read", entity("text", HTML), set(), ["part_unreadable"]),
    ("a header line that is none", b"Subject: x\r\nnot a field\r\n\r\n" + TEXT, set(), ["header_broken"]),
    ("a header that is cut off", b"Subject: x\r\nContent-Type: text/html", set(), ["header_broken"]),
    ("bare CR in the header", b"Subject: x\rContent-Type: text/html\r\n\r\n" + HTML, set(), ["header_broken"]),
    ("a header and no body", b"Subject: x\r\nContent-Type: text/html\r\n", set(), []),
    ("nothing at all", b"", set(), ["header_broken"]),
    ("mbox From line", b"From a@x.example Mon Jan  1 00:00:00 2024\r\n" + UTF8_HTML, {0}, []),
    ("From in the body", entity("text/plain", b"From here:\r\n" + TEXT), {0}, []),
    ("DKIM", entity("text/html", HTML, "DKIM-Signature: v=1; b=abc"), {0}, ["dkim_signature_will_break"]),
    ("ARC and nothing to rewrite", entity("text/html", b"<p>", "ARC-Seal: i=1"), set(), []),
    ("flowed", entity("text/plain; format=flowed", b"See \r\n" + TEXT + b"and \r\nso on\r\n"), {0}, []),
    ("flowed with DelSp and a broken URL",
     entity("text/plain; format=flowed; delsp=yes", b"https://x.example/long \r\nand-on\r\n"), set(), ["flowed_delsp"]),
    ("flowed with DelSp and whole URLs",
     entity("text/plain; format=flowed; delsp=yes", b"Go  \r\nto https://x.example/ and  \r\non\r\n"), {0}, []),
]  # fmt: skip


@pytest.mark.parametrize(("raw", "changed", "notes"), [shape[1:] for shape in SHAPES], ids=[s[0] for s in SHAPES])
def test_only_bodies_that_may_be_rewritten_are(raw: bytes, changed: set[int], notes: list[str]) -> None:
    message = planned(raw)
    assert message.notes == notes
    before, after = leaves(raw), leaves(message.render())
    assert len(after) == len(before)
    for index, (old, new) in enumerate(zip(before, after, strict=True)):
        expected = payload(old)
        if index in changed:
            assert b"https://" in expected
            expected = rewritten(expected.decode("latin-1")).encode("latin-1")
        assert payload(new) == expected, index
    if not changed:
        assert message.render() == raw


@pytest.mark.parametrize("raw", [shape[1] for shape in SHAPES], ids=[shape[0] for shape in SHAPES])
def test_a_message_with_nothing_to_change_stays_byte_identical(raw: bytes) -> None:
    assert planned(raw, change=False).render() == raw


@pytest.mark.parametrize("raw", [shape[1] for shape in SHAPES], ids=[shape[0] for shape in SHAPES])
def test_rewriting_twice_changes_nothing_more(raw: bytes) -> None:
    once = planned(raw).render()
    twice = planned(once).render()
    assert [payload(part) for part in leaves(twice)] == [payload(part) for part in leaves(once)]

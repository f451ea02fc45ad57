"""Transfer encodings of rewritten bodies: right for the reader, short lines, nothing that looks like a boundary."""

from __future__ import annotations

import base64
import binascii

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.tracking.mime_encodings import decode_body, encode_base64, encode_qp, encode_qp_url, lines_fit
from app.tracking.rewrite_mime import plan_mime
from app.tracking.template import Template
from tests.unit.tracking.mime_samples.build import (
    HTML,
    LINK,
    entity,
    leaves,
    multipart,
    payload,
    planned,
    rewritten,
    tracked_urls,
)

EOL = st.sampled_from([b"\r\n", b"\n"])
BYTES = st.lists(
    st.one_of(
        st.sampled_from([b"\r\n", b"\n", b"\r", b" ", b"\t", b"=", b".", b"--", b"x" * 75, b"\xc3"]), st.binary()
    ),
    max_size=12,
).map(b"".join)


@example([b" " + b"x" * 75 + b"\n"], b"\r\n")
@given(st.lists(BYTES, min_size=1, max_size=5), EOL)
def test_pieces_of_quoted_printable_decode_together_to_exactly_their_bytes(pieces: list[bytes], eol: bytes) -> None:
    encoded = b"".join(encode_qp(piece, eol, continued=True) for piece in pieces[:-1])
    encoded += encode_qp(pieces[-1], eol, continued=False)
    assert binascii.a2b_qp(encoded) == b"".join(pieces)
    assert encoded.isascii()
    for line in encoded.split(eol):
        assert len(line) <= 76
        assert not line.endswith((b" ", b"\t"))
        assert b"\r" not in line
        assert b"\n" not in line


@given(BYTES, EOL, st.booleans())
def test_a_url_is_a_piece_like_any_other(url: bytes, eol: bytes, continued: bool) -> None:
    encoded = encode_qp_url(url, eol, continued=continued)
    assert binascii.a2b_qp(encoded) == url
    assert all(len(line) <= 76 for line in encoded.split(eol))
    assert not encoded or not continued or encoded.endswith(eol)


@given(BYTES, EOL)
def test_base64_comes_back_from_lines_of_76(data: bytes, eol: bytes) -> None:
    encoded = encode_base64(data, eol)
    assert decode_body(encoded, "base64") == base64.b64decode(encoded) == data
    assert all(len(line) <= 76 for line in encoded.split(eol))


@given(
    st.lists(st.tuples(st.sampled_from([0, 1, 500, 996, 997, 998, 999, 1000]), EOL), max_size=6), st.integers(0, 999)
)
def test_lines_are_measured_without_their_line_breaks(lines: list[tuple[int, bytes]], last: int) -> None:
    body = b"".join(b"x" * length + eol for length, eol in lines) + b"y" * last
    assert lines_fit(body) == all(length <= 998 for length in [*(length for length, _ in lines), last])


def encoding_after(body: bytes, encoding: str, charset: str = "utf-8") -> str | None:
    raw = entity(f"text/html; charset={charset}", body, f"Content-Transfer-Encoding: {encoding}", "MIME-Version: 1.0")
    (before,), (after,) = leaves(raw), leaves(planned(raw).render())
    assert payload(after).decode(charset) == rewritten(payload(before).decode(charset))
    assert all(len(line.rstrip(b"\r")) <= 998 for line in planned(raw).render().split(b"\n"))
    value = after["Content-Transfer-Encoding"]
    assert value is None or isinstance(value, str)
    return value


@pytest.mark.parametrize(
    ("body", "before", "after"),
    [
        (HTML, "7bit", "7bit"),
        (HTML, "8BIT", "8BIT"),
        (HTML, "binary", "binary"),
        (HTML + "ü".encode(), "8bit", "8bit"),
        (HTML + "ü".encode(), "7bit", "quoted-printable"),
        (HTML + ("ü" * 99).encode(), "7bit", "base64"),
        (HTML + b"x" * 999, "7bit", "quoted-printable"),
        (HTML + b"x" * 999, "8bit", "quoted-printable"),
        (HTML + b"x" * 999, "binary", "quoted-printable"),
        (HTML + ("日" * 999).encode(), "8bit", "base64"),
        (HTML.replace(b"=", b"=3D"), "quoted-printable", "quoted-printable"),
        (HTML.replace(b"=", b"=3D") + b"x=\r\n" * 999, "Quoted-Printable", "Quoted-Printable"),
        (base64.b64encode(HTML), "base64", "base64"),
    ],
)
def test_the_encoding_stays_while_it_fits(body: bytes, before: str, after: str) -> None:
    assert encoding_after(body, before) == after


def test_a_line_that_grows_past_998_octets_for_one_recipient_is_encoded_for_that_one() -> None:
    template = planned(
        entity("text/plain", b"x" * 950 + LINK.encode() + b"\r\n", "Content-Transfer-Encoding: 7bit")
    ).template
    short = template.render({4: "https://t.example/c/1"}, {})
    assert b"7bit" in short
    long = template.render({4: "https://t.example/c/" + "1" * 29}, {})
    assert b"quoted-printable" in long
    assert max(map(len, long.splitlines())) <= 76


def test_a_wide_charset_is_always_base64() -> None:
    raw = entity("text/html; charset=utf-16le", LINK.encode("utf-16-le"), "Content-Transfer-Encoding: 8bit")
    (part,) = leaves(planned(raw).render())
    assert part["Content-Transfer-Encoding"] == "base64"
    assert payload(part).decode("utf-16-le") == rewritten(LINK)


@pytest.mark.parametrize("encoding", ["7bit", "quoted-printable"])
def test_a_line_that_would_look_like_a_boundary_makes_the_body_base64(encoding: str) -> None:
    """What stood in front of `--b1` goes away (`data-track="off"` does), or wrapping puts it first."""
    part = entity("text/plain", b"gone--b1\r\nrest", f"Content-Transfer-Encoding: {encoding}")
    raw = multipart("mixed", part, entity("image/png", b"x"), top=True)
    template = plan_mime(
        raw,
        plan_part=lambda kind, text: Template((text.removeprefix("gone"), 4, "--b1")),
        notes=lambda code, detail: None,
    )
    changed, image = leaves(template.render(tracked_urls(), {}))
    assert changed["Content-Transfer-Encoding"] == "base64"
    assert payload(changed).decode() == f"--b1\r\nrest{tracked_urls()[4]}--b1"
    assert payload(image) == b"x"


def test_line_breaks_in_quoted_printable_are_the_messages_own_and_others_survive() -> None:
    raw = entity(
        "text/html",
        b"one\ntwo=0Athree=0D=0Afour " + LINK.encode() + b"\n",
        "Content-Transfer-Encoding: quoted-printable",
        eol=b"\n",
    )
    rendered = planned(raw).render()
    assert b"\r" not in rendered
    (part,) = leaves(rendered)
    assert payload(part) == rewritten(f"one\ntwo\nthree\r\nfour {LINK}\n").encode()


def test_urls_are_escaped_in_html_and_only_there() -> None:
    url = "https://t.example/?a=1&b='2'"
    for kind, shown in (("html", "https://t.example/?a=1&amp;b=&#x27;2&#x27;"), ("plain", url)):
        for encoding in ("7bit", "quoted-printable", "base64"):
            body = base64.b64encode(LINK.encode()) if encoding == "base64" else LINK.encode()
            raw = entity(f"text/{kind}", body, f"Content-Transfer-Encoding: {encoding}")
            (part,) = leaves(planned(raw).template.render({4: url}, {}))
            assert payload(part).decode() == shown


def test_a_change_without_any_slot_is_rendered_too() -> None:
    template = plan_mime(
        entity("text/html", b"<p data-track=off>"),
        plan_part=lambda kind, text: Template(("<p>",), True),
        notes=lambda code, detail: None,
    )
    assert template.slots == frozenset()
    assert template.render({}, {}).endswith(b"\r\n\r\n<p>")

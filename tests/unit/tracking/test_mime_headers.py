"""The header section: our two fields are set, nothing else moves but what the new body makes untrue."""

from __future__ import annotations

import email

import pytest

from tests.unit.tracking.mime_samples.build import HTML, TEXT, entity, multipart, planned

URL = "<https://t.example/u/1>"
ONE_CLICK = "List-Unsubscribe=One-Click"
BOTH = {"List_Unsubscribe": URL, "List_Unsubscribe_Post": ONE_CLICK}


def test_both_headers_are_there_once_and_replace_the_callers_own_folded_ones() -> None:
    raw = entity(
        "text/html",
        HTML,
        "list-unsubscribe: <mailto:a@brand.example>,\r\n\t<https://brand.example/u>",
        "Subject: x",
        "LIST-UNSUBSCRIBE: <https://brand.example/other>",
        "List-Unsubscribe-Post:\r\n List-Unsubscribe=One-Click",
    )
    rendered = email.message_from_bytes(planned(raw).render(**BOTH))
    assert rendered.get_all("List-Unsubscribe") == [URL]
    assert rendered.get_all("List-Unsubscribe-Post") == [ONE_CLICK]
    assert rendered["Subject"] == "x"


def test_headers_are_added_at_the_end_and_the_rest_is_byte_identical() -> None:
    raw = entity("application/pdf", b"body", "X-Odd:  \t odd\r\n  folded", "subject:no blank")
    head, _, body = raw.partition(b"\r\n\r\n")
    added = f"\r\nList-Unsubscribe: {URL}\r\nList-Unsubscribe-Post: {ONE_CLICK}\r\n\r\n".encode()
    assert planned(raw).render(**BOTH) == head + added + body


def test_only_the_headers_that_are_given_are_replaced() -> None:
    raw = entity("text/html", b"<p>", "List-Unsubscribe: <mailto:a@brand.example>", "List-Unsubscribe-Post: x")
    rendered = email.message_from_bytes(planned(raw).render(List_Unsubscribe=URL))
    assert rendered.get_all("List-Unsubscribe") == [URL]
    assert rendered.get_all("List-Unsubscribe-Post") == ["x"]
    assert planned(raw).render() == raw


def test_headers_are_set_on_signed_and_on_broken_bodies_too() -> None:
    signed = multipart("signed", entity("text/html", HTML), entity("application/pgp-signature", b"x"), top=True)
    for raw in (signed, signed.replace(b"--b1", b"--b2")):
        rendered = planned(raw).render(**BOTH)
        assert rendered.partition(b"\r\n\r\n")[2] == raw.partition(b"\r\n\r\n")[2]
        assert email.message_from_bytes(rendered).get_all("List-Unsubscribe") == [URL]


def test_a_header_section_nobody_can_read_takes_no_headers_and_says_so() -> None:
    message = planned(b"no field\r\n\r\nx")
    assert not message.template.accepts_headers
    assert message.render(**BOTH) == b"no field\r\n\r\nx"
    assert planned(b"A: b\r\n\r\nx").template.accepts_headers


def test_a_parts_own_header_of_that_name_is_not_ours() -> None:
    part = entity("text/html", HTML, "List-Unsubscribe: <https://brand.example/forwarded>")
    rendered = planned(multipart("mixed", part, top=True)).render(**BOTH)
    assert rendered.count(b"List-Unsubscribe: ") == 2
    assert b"List-Unsubscribe: <https://brand.example/forwarded>" in rendered


def test_headers_follow_the_line_ends_of_the_message() -> None:
    raw = entity("text/html", HTML.replace(b"\r", b""), eol=b"\n")
    assert f"\nList-Unsubscribe: {URL}\n\n".encode() in planned(raw).render(List_Unsubscribe=URL)
    assert b"\r" not in planned(raw).render(**BOTH)


def test_a_message_of_header_lines_alone_gets_them_as_well() -> None:
    assert planned(b"A: b\r\n").render(List_Unsubscribe=URL) == f"A: b\r\nList-Unsubscribe: {URL}\r\n".encode()


@pytest.mark.parametrize("value", ["", "a\r\nBcc: x@y.example", "a\n", "a\r", "ü", "a\x00", "x" * 990])
def test_a_value_that_cannot_stand_in_a_header_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match="cannot stand in a header"):
        planned(entity("text/html", HTML)).render(List_Unsubscribe=value)


def test_other_headers_and_the_same_header_twice_are_refused() -> None:
    template = planned(entity("text/html", HTML)).template
    with pytest.raises(ValueError, match="ours to set"):
        template.render({4: "x"}, {"Bcc": "x@y.example"})
    with pytest.raises(ValueError, match="twice"):
        template.render({4: "x"}, {"List-Unsubscribe": "x", "list-unsubscribe": "y"})


def test_a_missing_url_is_a_lookup_error() -> None:
    with pytest.raises(LookupError):
        planned(entity("text/html", HTML)).template.render({}, {})


def test_lengths_and_checksums_of_the_old_body_are_dropped_only_when_it_changes() -> None:
    top = entity("text/html", HTML, "Content-Length: 5", "Lines: 1", "Content-MD5: Q2hlY2sgSW50ZWdyaXR5IQ==", "X: y")
    rendered = planned(top).render()
    assert rendered.startswith(b"Content-Type: text/html\r\nX: y\r\n\r\n")
    assert planned(top, change=False).render() == top
    image = entity("image/png", b"x", "Content-MD5: kept")
    rendered = planned(multipart("mixed", entity("text/html", HTML, "Content-MD5: gone"), image, top=True)).render()
    assert b"kept" in rendered
    assert b"gone" not in rendered


def test_a_new_encoding_replaces_the_field_in_its_place_or_is_added() -> None:
    long_line = b"x" * 999 + b"\r\n" + HTML
    field = "content-transfer-encoding:\r\n 7bit"
    replaced = planned(entity("text/html", long_line, field, "X-After: 1", "MIME-Version: 1.0")).render()
    assert replaced.startswith(b"Content-Type: text/html\r\nContent-Transfer-Encoding: quoted-printable\r\nX-After: 1")
    added = planned(entity("text/html", long_line, "X-After: 1", "MIME-Version: 1.0")).render()
    assert b"X-After: 1\r\nMIME-Version: 1.0\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n" in added


def test_a_message_that_was_no_mime_becomes_mime_when_its_body_is_encoded() -> None:
    rendered = planned(entity(None, b"x" * 999 + b"\r\n" + TEXT, "Subject: x")).render()
    assert rendered.startswith(
        b"Subject: x\r\nMIME-Version: 1.0\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nxxx"
    )
    assert planned(entity(None, TEXT, "Subject: x")).render().startswith(b"Subject: x\r\n\r\nSee")

"""What a server sends, read in whatever pieces it comes: against `http.client`, and against what is no HTTP."""

from __future__ import annotations

import http.client
import io
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.webhooks.http_answer import MAX_BODY_BYTES, MAX_HEADER_BYTES, MAX_KEPT_BYTES, AnswerReader, BrokenAnswer

OK = b"HTTP/1.1 200 OK\r\n"


def read(*pieces: bytes, end: bool = False) -> AnswerReader:
    reader = AnswerReader()
    for piece in pieces:
        reader.feed(piece)
    if end:
        reader.end()
    return reader


class _Socket:
    def __init__(self, data: bytes) -> None:
        self._data = data

    def makefile(self, mode: str) -> io.BytesIO:
        return io.BytesIO(self._data)


def chunked(pieces: list[bytes], extension: bytes) -> bytes:
    return b"".join(b"%X%s\r\n%s\r\n" % (len(piece), extension, piece) for piece in pieces if piece) + b"0\r\n\r\n"


_NAMES = st.sampled_from([b"retry-after", b"X-Thing", b"Location", b"content-type", b"Connection"])
_VALUES = st.sampled_from([b"", b"120", b"close", b"keep-alive", b'text/plain; a="b"', b"\xe9\t\xff", b"a:b"])
_FIELDS = st.dictionaries(_NAMES, _VALUES, max_size=5)


@given(
    status=st.integers(200, 599),
    fields=_FIELDS,
    body=st.lists(st.binary(max_size=40), max_size=4),
    framing=st.sampled_from(["length", "chunked", "close"]),
    extension=st.sampled_from([b"", b";a=b"]),
    early_hints=st.booleans(),
    cuts=st.lists(st.integers(0, 400), max_size=6),
)
def test_it_reads_what_the_standard_library_reads_however_it_is_cut(
    *,
    status: int,
    fields: dict[bytes, bytes],
    body: list[bytes],
    framing: str,
    extension: bytes,
    early_hints: bool,
    cuts: list[int],
) -> None:
    data = b"HTTP/1.1 %d Thing\r\n" % status + b"".join(b"%s: %s\r\n" % field for field in fields.items())
    data += {
        "length": b"Content-Length: %d\r\n" % len(b"".join(body)),
        "chunked": b"Transfer-Encoding: chunked\r\n",
    }.get(framing, b"")
    data += b"\r\n"
    if status not in (204, 304):
        data += chunked(body, extension) if framing == "chunked" else b"".join(body)
    expected = http.client.HTTPResponse(_Socket(data), method="POST")  # type: ignore[arg-type]
    expected.begin()
    if early_hints:
        data = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n" + data
    marks = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    reader = read(*(data[a:b] for a, b in itertools.pairwise(marks) if a < b), end=framing == "close")
    assert (reader.status, reader.kept, reader.done) == (expected.status, expected.read(), True)
    assert all(reader.headers[name.lower()] == value.strip(" \t") for name, value in expected.getheaders())
    closes = framing == "close" and status not in (204, 304)
    assert reader.clean == (b"close" not in fields.get(b"Connection", b"") and not closes and framing != "close")


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"<html>", id="not http"),
        pytest.param(b"HTTP/0.9 200 OK\r\n\r\n", id="http/0.9"),
        pytest.param(b"HTTP/2 200\r\n\r\n", id="http/2"),
        pytest.param(b"HTTP/1.1 two hundred OK\r\n\r\n", id="a status in words"),
        pytest.param(b"HTTP/1.1 20\r\n\r\n", id="two digits"),
        pytest.param(b"HTTP/1.1 2000 OK\r\n\r\n", id="four digits"),
        pytest.param(b"HTTP/1.1  200 OK\r\n\r\n", id="two blanks"),
        pytest.param(b"HTTP/1.1 \xb2\xb9\xb9 OK\r\n\r\n", id="digits outside ascii"),
        pytest.param(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n", id="another protocol"),
        pytest.param(OK + b"X: a\0b\r\n\r\n", id="nul"),
        pytest.param(OK + b"X: a\rY: b\r\n\r\n", id="a lone cr"),
        pytest.param(OK + b"X: a\r\n folded\r\n\r\n", id="a folded line"),
        pytest.param(OK + b"X : a\r\n\r\n", id="a blank before the colon"),
        pytest.param(OK + b": a\r\n\r\n", id="no name"),
        pytest.param(OK + b"no colon\r\n\r\n", id="no colon"),
        pytest.param(OK + b"Content-Length: -1\r\n\r\n", id="a negative length"),
        pytest.param(OK + b"Content-Length: 1, 1\r\n\r\n", id="a list of lengths"),
        pytest.param(OK + b"Content-Length: \xb2\r\n\r\n", id="a length outside ascii"),
        pytest.param(OK + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n", id="two lengths"),
        pytest.param(OK + b"X: " + b"a" * MAX_HEADER_BYTES, id="a header without end"),
        pytest.param(OK + b"X: a\r\n" * (MAX_HEADER_BYTES // 6) + b"\r\n", id="too many headers"),
    ],
)
def test_what_is_not_http_is_refused(data: bytes) -> None:
    with pytest.raises(BrokenAnswer):
        read(data)
    with pytest.raises(BrokenAnswer):
        read(*(data[at : at + 7] for at in range(0, len(data), 7)))


@given(
    st.lists(st.binary(max_size=60), max_size=8), st.sampled_from([b"", OK, OK + b"Transfer-Encoding: chunked\r\n\r\n"])
)
def test_any_bytes_are_an_answer_or_a_broken_one(pieces: list[bytes], first: bytes) -> None:
    try:
        reader = read(first, *pieces, end=True)
    except BrokenAnswer:
        return
    assert reader.done == bool(reader.status)
    assert len(reader.kept) <= MAX_KEPT_BYTES


def test_a_body_is_read_to_its_limit_and_kept_to_a_smaller_one() -> None:
    reader = read(OK + b"Content-Length: 10000000\r\n\r\n", b"x" * MAX_BODY_BYTES)
    assert not reader.done
    reader.feed(b"x")
    assert (reader.done, reader.clean, len(reader.kept)) == (True, False, MAX_KEPT_BYTES)


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"zz\r\n", id="not a size"),
        pytest.param(b"-1\r\n", id="a negative size"),
        pytest.param(b"1" * 16 + b"\r\n", id="a size beyond sense"),
        pytest.param(b"1;" + b"a" * 2000, id="a size line without end"),
        pytest.param(b"1\r\nab\r\n", id="more than the chunk's size"),
        pytest.param(b"0\r\nTrailer: a\r\n\r\n", id="trailers"),
        pytest.param(b"0\r\n\r\nHTTP/1.1 200 OK\r\n", id="an answer nobody asked for"),
    ],
)
def test_behind_a_broken_or_odd_chunked_body_the_answer_stands_and_the_connection_goes(body: bytes) -> None:
    reader = read(OK + b"Transfer-Encoding: chunked\r\n\r\n", body)
    assert (reader.status, reader.done, reader.clean) == (200, True, False)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(OK + b"Content-Length: 1\r\n\r\nab", id="more than announced"),
        pytest.param(OK + b"Content-Length: 0\r\n\r\na", id="something instead of nothing"),
        pytest.param(b"HTTP/1.1 204 No Content\r\n\r\na", id="a body where none may be"),
        pytest.param(OK + b"Content-Length: 1\r\nConnection: close\r\n\r\na", id="closing"),
        pytest.param(b"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\na", id="http/1.0"),
        pytest.param(OK + b"Content-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", id="two framings"),
    ],
)
def test_no_request_follows_on_a_connection_that_may_be_out_of_step(data: bytes) -> None:
    reader = read(data)
    assert (reader.done, reader.clean) == (True, False)


def test_informational_answers_without_end_are_not_an_answer() -> None:
    reader = read(*([b"HTTP/1.1 103 Early Hints\r\n\r\n" * 100] * 100))
    assert (reader.status, reader.done, reader.flooded) == (0, False, True)


def test_lines_may_end_with_a_bare_lf() -> None:
    reader = read(b"HTTP/1.1 503 Busy\nRetry-After: 7\nContent-Length: 0\n\n")
    assert (reader.status, reader.headers["retry-after"], reader.clean) == (503, "7", True)

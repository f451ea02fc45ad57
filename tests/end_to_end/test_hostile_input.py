"""Hostile and broken requests to links through nginx: each gets a clear answer, stores nothing by half, shows no trace.

The API's part is `test_hostile_api`.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from PIL import Image
from pymongo.database import Database

from app.models.event import EventKind
from app.storage.event_documents import KIND_CODES
from tests.end_to_end.client import Client
from tests.end_to_end.hostile import DESTINATION, HERON, IBIS, UNWANTED, answer_to, ask, counts, message, shows_nothing

Link = dict[str, str]
"""The paths of a message: `o` the pixel, `c` the link, `u` the unsubscribe page; `id` the message."""


def _paths(client: Client, campaign: str) -> Link:
    (registered,) = client.register("heron", message("heron", campaign_id=campaign))
    urls = {
        "o": registered["pixel_url"],
        "c": registered["links"][0]["tracked_url"],
        "u": registered["unsubscribe_url"],
    }
    return {"id": registered["id"], **{kind: urlsplit(url).path for kind, url in urls.items()}}


@pytest.fixture(scope="module")
def heron(client: Client, database: Database[Any]) -> Iterator[Link]:
    """A message whose links are only asked for in ways of which no event may come."""
    yield _paths(client, UNWANTED)
    client.wait_until_stored()
    assert list(database["events"].find({"c": UNWANTED})) == []


@pytest.fixture(scope="module")
def wanted(client: Client) -> Link:
    """A message whose links are asked for as they may be."""
    return _paths(client, "hostile-wanted")


@pytest.fixture(scope="module")
def heads(client: Client) -> Link:
    return _paths(client, "hostile-head")


@pytest.fixture(scope="module")
def looked_at(client: Client) -> Link:
    return _paths(client, "hostile-looks")


@pytest.fixture(scope="module")
def addressed(client: Client) -> Link:
    return _paths(client, "hostile-address")


@pytest.fixture(autouse=True)
def nothing_stored(database: Database[Any], heron: Link, wanted: Link) -> Iterator[None]:
    before = counts(database)
    yield
    assert counts(database) == before


# Codes and paths.

CODES = {
    "unknown": "bdfgh2345J",
    "empty": "",
    "truncated": lambda code: code[:-1],
    "extended": lambda code: code + "x",
    "in lower case": lambda code: code.swapcase(),
    "with a slash": lambda code: code + "/",
    "with a parameter": lambda code: code + ";a=b",
    "with an image's suffix": lambda code: code + ".gif.gif",
    "10 KB": "A" * 10_240,
    "percent-encoded bytes": "%ff%fe",
    "bytes": "\xe9\xff",
    "line feed": lambda code: code + "%0d%0aSet-Cookie:%20a=b",
    "percent": "%25",
    "markup": "%3Cscript%3Ealert(1)%3C/script%3E",
    "other letters": "%D0%BA%D0%BE%D0%B4",
    "space": lambda code: code + "%20",
}


@pytest.mark.parametrize("code", CODES)
def test_a_code_that_is_none_is_404_and_on_the_pixel_an_image(client: Client, heron: Link, code: str) -> None:
    made = CODES[code]
    for kind in "ocu":
        real = heron[kind][3:].removesuffix(".gif")
        asked = f"/{kind}/{made if isinstance(made, str) else made(real)}"
        for method in ("GET", "POST") if kind == "u" else ("GET",):
            answer = answer_to(
                client, ask(f"{method} {asked}", more="Content-Length: 0\r\n" if method == "POST" else "")
            )
            assert answer.status == (200 if kind == "o" else 404), (kind, answer.status)
            assert "Location" not in answer.headers
            assert b"<script" not in answer.body


@pytest.mark.parametrize(
    "path", ["/c/%00", "/o/%00.gif", "/o/..%2f..%2fetc/passwd", "/u/a%00b", "/c/%", "/c/%zz", "*", "c/x", "/c/a b"]
)
def test_a_path_that_is_none_is_400(client: Client, path: str) -> None:
    assert answer_to(client, ask(f"GET {path}")).status in (400, 505)


@pytest.mark.parametrize("around", ["//c/{}", "/c//{}", "/c/./{}", "/x/../c/{}", "http://t.heron.example/c/{}"])
def test_other_spellings_of_a_path_are_the_same_path(client: Client, wanted: Link, around: str) -> None:
    answer = answer_to(client, ask(f"GET {around.format(wanted['c'][3:])}"))
    assert (answer.status, answer.headers["Location"]) == (302, DESTINATION)


@pytest.mark.parametrize(
    "query",
    ["?url=https://evil.example", "?next=//evil.example&to=https://evil.example", "?", "?%0d%0aLocation:x=1", "?%ff"],
)
def test_a_redirect_leads_only_where_its_author_said(client: Client, wanted: Link, query: str) -> None:
    answer = answer_to(client, ask(f"GET {wanted['c']}{query}"))
    assert (answer.status, answer.headers.get_all("Location")) == (302, [DESTINATION])
    assert answer.body == b""


# Hosts.


@pytest.mark.parametrize(
    "host", ["T.HERON.Example", "t.heron.example.", "t.heron.example:1", "T.heron.example.:80", "h.heron.example"]
)
def test_a_host_is_known_in_all_its_spellings(client: Client, wanted: Link, host: str) -> None:
    assert answer_to(client, ask(f"GET {wanted['c']}", host)).status == 302
    assert answer_to(client, ask(f"GET {wanted['u']}", host)).status == 200


@pytest.mark.parametrize(
    "host",
    [IBIS, "evil.example", "x.t.heron.example", "heron.example", "127.0.0.1", "[::1]", "a" * 300, "t.heron.example.."],
)
def test_on_another_host_a_code_is_nobodys(client: Client, heron: Link, host: str) -> None:
    for kind, method, status in (
        ("c", "GET", 404),
        ("c", "HEAD", 404),
        ("u", "GET", 404),
        ("u", "POST", 404),
        ("o", "GET", 200),
    ):
        answer = answer_to(
            client, ask(f"{method} {heron[kind]}", host, "Content-Length: 0\r\n" if method == "POST" else "")
        )
        # Two dots are no host at all: nginx says so first.
        assert answer.status in (status, *([400] if host.endswith("..") else [])), (kind, method)
        assert "Location" not in answer.headers


def test_without_a_host_nothing_is_found(client: Client, heron: Link) -> None:
    assert answer_to(client, ask(f"GET {heron['c']}", None)).status == 400
    assert answer_to(client, ask(f"GET {heron['c']}", None, version="HTTP/1.0")).status == 404
    assert answer_to(client, ask(f"GET {heron['c']}", "")).status == 400


@pytest.mark.parametrize(
    "host", ["t.heron.example, t.ibis.example", "t.heron.example@x", "a/b", "a:b:c", "a b", "\xe9.example", "a\x00"]
)
def test_a_host_that_is_none_is_400(client: Client, heron: Link, host: str) -> None:
    assert answer_to(client, ask(f"GET {heron['c']}", host)).status == 400


def test_two_hosts_are_400(client: Client, heron: Link) -> None:
    assert answer_to(client, ask(f"GET {heron['c']}", more=f"Host: {IBIS}\r\n")).status == 400


# Methods and versions.

METHODS = ("PUT", "DELETE", "PATCH", "OPTIONS", "PROPFIND", "BREW")


@pytest.mark.parametrize("method", [*METHODS, "POST"])
def test_a_method_that_is_not_allowed_is_405_and_says_which_are(client: Client, heron: Link, method: str) -> None:
    for kind, allowed in (("o", "GET, HEAD"), ("c", "GET, HEAD"), ("u", "GET, HEAD, POST")):
        if method in allowed:
            continue
        answer = answer_to(client, ask(f"{method} {heron[kind]}", more="Content-Length: 3\r\n", body=b"abc"))
        assert (answer.status, answer.headers["Allow"]) == (405, allowed)


def test_trace_echoes_nothing(client: Client, heron: Link) -> None:
    for path in (heron["o"], heron["c"], heron["u"], "/v1/messages", "/unknown"):
        answer = answer_to(client, ask(f"TRACE {path}", more="Cookie: secret=1\r\n"))
        assert answer.status == 405
        assert "GET" in answer.headers["Allow"]
        assert b"secret" not in answer.body


@pytest.mark.parametrize(
    "request_line",
    ["get {} HTTP/1.1", "CONNECT {} HTTP/1.1", "GET {} HTTP/2.0", "GET {} HTTQ/1.1", "\x16\x03\x01 {} x"],
)
def test_a_request_line_that_is_none_is_refused(client: Client, heron: Link, request_line: str) -> None:
    (answer,) = client.raw(
        f"{request_line.format(heron['c'])}\r\nHost: {HERON}\r\nConnection: close\r\n\r\n".encode("latin-1")
    )
    shows_nothing(answer)
    assert answer.status in (400, 405, 505)


def test_http_1_0_is_answered_and_closed(client: Client, wanted: Link) -> None:
    assert answer_to(client, ask(f"GET {wanted['c']}", version="HTTP/1.0")).status == 302
    assert answer_to(client, ask(f"GET {wanted['o']}", version="HTTP/1.0")).headers["Content-Length"] == "43"


def test_pipelined_requests_are_answered_in_order(client: Client, wanted: Link) -> None:
    first = [ask(f"GET {wanted[kind]}").replace(b"Connection: close\r\n", b"") for kind in "oco"]
    answers = client.raw(b"".join([*first, ask(f"GET {wanted['u']}")]))
    assert [answer.status for answer in answers] == [200, 302, 200, 200]
    assert [len(answer.body) > 500 for answer in answers] == [False, False, False, True]


# Headers and bodies.


def test_headers_that_are_too_large_are_431_and_many_are_fine(client: Client, heron: Link) -> None:
    for more in (f"X-A: {'a' * 20_000}\r\n", "".join(f"X-{number}: {'a' * 9_000}\r\n" for number in range(6))):
        assert answer_to(client, ask(f"GET {heron['c']}", more=more)).status == 431
    assert answer_to(client, ask(f"GET /c/{'a' * 20_000}")).status == 414
    many = "".join(f"X-{number}: a\r\n" for number in range(900))
    assert answer_to(client, ask("GET /c/unknown", more=many)).status == 404
    large = "".join(f"X-{number}: {'a' * 14_000}\r\n" for number in range(2))
    assert answer_to(client, ask("GET /c/unknown", more=large)).status == 404


@pytest.mark.parametrize(
    ("more", "body"),
    [
        ("Content-Length: x\r\n", b""),
        ("Content-Length: -1\r\n", b""),
        ("Content-Length: 1\r\nContent-Length: 2\r\n", b"ab"),
        ("Content-Length: 1\r\nTransfer-Encoding: chunked\r\n", b"0\r\n\r\n"),
        ("Transfer-Encoding: chunked\r\n", b"zz\r\n\r\n"),
        ("X A: b\r\nContent-Length: 0\r\n", b""),
        ("X-A: b\r\n c: d\r\nContent-Length: 0\r\n", b""),
    ],
)
def test_a_body_whose_end_is_not_clear_is_400(client: Client, heron: Link, more: str, body: bytes) -> None:
    """So that nobody hides a second request inside a first one."""
    assert answer_to(client, ask(f"POST {heron['u']}", more=more, body=body)).status == 400


def test_a_body_that_is_too_large_is_413(client: Client, heron: Link) -> None:
    answer = answer_to(client, ask(f"POST {heron['u']}", more="Content-Length: 70000\r\n", body=b"x" * 70_000))
    assert answer.status == 413
    chunks = b"".join(b"2000\r\n" + b"x" * 0x2000 + b"\r\n" for _ in range(10)) + b"0\r\n\r\n"
    assert (
        answer_to(client, ask(f"POST {heron['u']}", more="Transfer-Encoding: chunked\r\n", body=chunks)).status == 413
    )


def test_an_unsubscribe_is_only_what_is_posted(client: Client, database: Database[Any], looked_at: Link) -> None:
    for method in ("GET", "HEAD", "OPTIONS"):
        form = b"List-Unsubscribe=One-Click"
        more = f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(form)}\r\n"
        override = "X-HTTP-Method-Override: POST\r\n"
        answer = answer_to(
            client, ask(f"{method} {looked_at['u']}?_method=POST&confirm=1", more=more + override, body=form)
        )
        assert answer.status == (405 if method == "OPTIONS" else 200)
    client.wait_until_stored()
    looks = database["events"].find({"c": "hostile-looks"})
    assert [(event["k"], event["n"]) for event in looks] == [(KIND_CODES[EventKind.VIEWED], False)] * 2
    assert client.api("GET", f"/v1/messages/{looked_at['id']}", "heron").json()["state"] == "registered"


# The pixel, and what is recorded of a hit.


def test_the_pixel_is_an_image_of_one_pixel_and_is_never_cached(client: Client, wanted: Link) -> None:
    conditions = (
        'If-None-Match: *\r\nIf-Modified-Since: Fri, 01 Jan 2100 00:00:00 GMT\r\nRange: bytes=0-3\r\nIf-Match: "x"\r\n'
    )
    for path in (wanted["o"], wanted["o"].replace(".gif", ".png"), wanted["o"].removesuffix(".gif"), "/o/unknown"):
        answer = answer_to(client, ask(f"GET {path}", more=conditions))
        assert answer.status == 200
        assert answer.headers["Content-Type"] == "image/gif"
        assert answer.headers["Content-Length"] == str(len(answer.body))
        with Image.open(io.BytesIO(answer.body)) as image:
            assert (image.format, image.size) == ("GIF", (1, 1))
            assert image.convert("RGBA").getpixel((0, 0))[3] == 0
        head = answer_to(client, ask(f"HEAD {path}"))
        assert (head.status, head.headers["Content-Length"], head.body) == (200, str(len(answer.body)), b"")


def test_head_is_recorded_and_never_counted(client: Client, database: Database[Any], heads: Link) -> None:
    for kind in "oc":
        assert answer_to(client, ask(f"HEAD {heads[kind]}")).status in (200, 302)
    client.wait_until_stored()
    events = database["events"].find({"c": "hostile-head"})
    assert [(event["n"], event["r"]) for event in events] == [(False, ["method_head"])] * 2
    assert client.api("GET", f"/v1/messages/{heads['id']}", "heron").json()["state"] == "registered"


ADDRESS_HEADERS = ("X-Forwarded-For", "X-Real-IP", "Forwarded", "True-Client-IP", "Remote-Addr", "X_Forwarded_For")


def test_a_client_cannot_say_where_it_is(client: Client, database: Database[Any], addressed: Link) -> None:
    """Nobody is a trusted proxy here, so what is kept is the network of the real peer."""
    for name in ADDRESS_HEADERS:
        assert answer_to(client, ask(f"GET {addressed['o']}", more=f"{name}: 198.51.100.7\r\n")).status == 200
    client.wait_until_stored()
    events = database["events"].find({"c": "hostile-address"})
    assert [event["ip"] for event in events] == ["127.0.0.0/24"] * len(ADDRESS_HEADERS)

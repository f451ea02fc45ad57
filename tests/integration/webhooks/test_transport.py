"""One POST against servers that behave: what is sent, and what each answer is called (webhooks.md, "Request").

Servers that do not behave are in `test_transport_hostile`, TLS is in `test_transport_tls`.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from standardwebhooks import Webhook

from app.models.delivery import Secret
from app.webhooks.transport import Sender
from tests.integration.webhooks.posting import (
    KEY,
    LOOPBACK,
    SECRET,
    make_delivery,
    make_endpoint,
    post,
    post_to_each,
)
from tests.integration.webhooks.raw_server import RawServer, answer


def test_a_signed_request_has_the_headers_of_the_contract_and_verifies() -> None:
    with RawServer(answer()) as server:
        attempt = post(server.url)[0].attempt
    assert (attempt.outcome, attempt.status, attempt.number, attempt.response) == ("delivered", 200, 1, "ok")
    request = server.requests[0]
    assert request.line == "POST /hook HTTP/1.1"
    assert Webhook(SECRET).verify(request.body, request.headers) == {"type": "message.opened"}
    assert request.headers["content-type"] == "application/json; charset=utf-8"
    assert request.headers["accept-encoding"] == "identity"
    assert request.headers["user-agent"].startswith("Telltale-Webhooks/")
    assert request.headers["x-telltale-attempt"] == "1"
    assert request.headers["x-telltale-brand"] == "harbour"
    assert request.headers["host"] == f"127.0.0.1:{server.port}"
    assert len(request.raw_header_names) == len(set(request.raw_header_names)), "each header is one line"
    assert not {"cookie", "expect", "content-encoding", "transfer-encoding", "authorization"} & set(request.headers)


def test_every_2xx_is_delivered() -> None:
    statuses = ["200 OK", "201 Created", "202 Accepted", "204 No Content", "299 Odd"]
    sent = post_to_each({status: answer(status, body=b"") for status in statuses}, deadline=20.0)
    assert {one.attempt.outcome for one in sent.values()} == {"delivered"}


def test_other_answers_are_failures_named_by_their_status() -> None:
    statuses = [400, 401, 403, 404, 405, 408, 410, 413, 415, 422, 425, 429, 500, 502, 503, 504, 599]
    sent = post_to_each({str(status): answer(f"{status} No") for status in statuses}, deadline=20.0)
    assert {(one.attempt.outcome, one.attempt.status) for one in sent.values()} == {
        (f"http_{status}", status) for status in statuses
    }


def test_retry_after_is_handed_on_as_received() -> None:
    with RawServer(answer("503 Busy", "Retry-After: 120\r\n"), answer()) as server:
        assert [sent.retry_after for sent in post(server.url, times=2)] == ["120", None]


@pytest.mark.parametrize(
    ("status", "header", "instruction"),
    [
        ("500 No", "abort-message", "abort-message"),
        ("429 No", " Disable ", "disable"),
        ("500 No", "something-else", ""),
        ("200 OK", "disable", ""),
    ],
)
def test_an_instruction_counts_on_failures_only(status: str, header: str, instruction: str) -> None:
    with RawServer(answer(status, f"Webhook-Delivery: {header}\r\n")) as server:
        assert post(server.url)[0].instruction == instruction


@pytest.mark.parametrize("status", [301, 302, 303, 304, 307, 308])
def test_a_redirect_is_never_followed_and_its_host_is_shown(status: int) -> None:
    with RawServer(answer()) as target, RawServer(answer(f"{status} Moved", f"Location: {target.url}\r\n")) as server:
        sent = post(server.url)[0]
        assert (sent.attempt.outcome, sent.attempt.status, sent.location_host) == ("redirect", status, "127.0.0.1")
        assert (len(server.requests), target.connections) == (1, 0)


@pytest.mark.parametrize(
    ("location", "host"),
    [
        ("http://169.254.169.254/latest/meta-data/", "169.254.169.254"),
        ("//Other.Example:8080/a?secret=1", "other.example"),
        ("/hook", "127.0.0.1"),
        ("", ""),
        ("http://[::1", ""),
        ("http://a b/", ""),
        ("http://<script>/", ""),
        ("http://" + "a" * 300 + "/", ""),
        ("https://ann:secret@other.example/", "other.example"),
    ],
)
def test_of_a_location_only_a_readable_host_is_kept(location: str, host: str) -> None:
    with RawServer(answer("302 Found", f"Location: {location}\r\n")) as server:
        sent = post(server.url)[0]
        assert (sent.attempt.outcome, sent.location_host, len(server.requests)) == ("redirect", host, 1)


def test_cookies_are_not_kept() -> None:
    with RawServer(answer("200 OK", "Set-Cookie: a=b\r\n")) as server:
        post(server.url, times=2)
        assert "cookie" not in server.requests[1].headers


def test_a_connection_is_used_again() -> None:
    with RawServer(answer()) as server:
        assert [sent.attempt.outcome for sent in post(server.url, times=5)] == ["delivered"] * 5
        assert server.connections == 1


def test_a_connection_is_not_used_beyond_the_time_for_which_its_address_was_vetted() -> None:
    with RawServer(answer()) as server:
        post(server.url, times=3, pool_seconds=0)
        assert server.connections == 3


def test_a_connection_never_carries_another_endpoints_delivery() -> None:
    async def run(url: str) -> None:
        async with Sender(LOOPBACK, allow_http=True) as sender:
            for brand_id, endpoint_id in (("harbour", "main"), ("harbour", "second"), ("meadow", "main")):
                endpoint = make_endpoint(url, id=endpoint_id, brand_id=brand_id)
                for _ in range(2):
                    await sender.send(endpoint, make_delivery(brand_id=brand_id, endpoint_id=endpoint_id))

    with RawServer(answer()) as server:
        asyncio.run(run(server.url))
        assert (server.connections, len(server.requests)) == (3, 6)


def test_an_answer_is_kept_as_text_without_control_characters() -> None:
    sent = post_to_each(
        {
            "control characters": answer("500 No", body=b"a\x00b\x1b[31mc\r\nd\xff\xc2\x85e"),
            "compressed": answer("500 No", "Content-Encoding: gzip\r\n", b"\x1f\x8b" + b"\0" * 1000),
            "binary": answer("500 No", "Content-Type: image/png\r\n", b"\x89PNG"),
            "a problem": answer("500 No", "Content-Type: application/problem+json\r\n", b'{"a":1}'),
        },
        deadline=20.0,
    )
    assert {name: one.attempt.response for name, one in sent.items()} == {
        "control characters": "a b [31mc d� e",
        "compressed": "",
        "binary": "",
        "a problem": '{"a":1}',
    }


def test_without_a_key_that_has_not_expired_nothing_is_sent() -> None:
    expired = Secret(KEY, expires_at=datetime.now(UTC) - timedelta(seconds=1))

    async def run(url: str) -> str:
        async with Sender(LOOPBACK, allow_http=True) as sender:
            return (await sender.send(make_endpoint(url, secrets=(expired,)), make_delivery())).attempt.outcome

    with RawServer(answer()) as server:
        assert asyncio.run(run(server.url)) == "no_secret"
        assert server.connections == 0


def test_plain_http_needs_the_operator() -> None:
    with RawServer(answer()) as server:
        assert post(server.url, allow_http=False)[0].attempt.outcome == "blocked_address"
        assert server.connections == 0


def test_a_proxy_in_the_environment_is_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    with RawServer(answer("502 From the proxy")) as proxy, RawServer(answer()) as server:
        for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        assert post(server.url)[0].attempt.outcome == "delivered"
        assert proxy.connections == 0

"""One POST against servers that behave, and against servers that do not (webhooks.md, "Outbound transport")."""

from __future__ import annotations

import asyncio
import datetime
import ipaddress
import ssl
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from standardwebhooks import Webhook

from app.models.delivery import Attempt, Delivery, Endpoint
from app.webhooks.address_guard import AddressGuard
from app.webhooks.http_answer import MAX_KEPT_BYTES
from app.webhooks.transport import Sender, Sent
from tests.integration.webhooks.raw_server import (
    RawServer,
    Script,
    answer,
    drip,
    flood,
    raw,
    reset,
    silence,
)

SECRET = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
DEADLINE = 0.6

MakeEndpoint = Callable[..., Endpoint]
MakeDeliveries = Callable[..., list[Delivery]]
Post = Callable[..., list[Sent]]


@pytest.fixture
def post(guard: AddressGuard, make_endpoint: MakeEndpoint, make_deliveries: MakeDeliveries) -> Post:
    """Send `times` deliveries one after the other to a URL, over one sender."""

    def go(
        url: str,
        *,
        times: int = 1,
        deadline: float = 10.0,
        guard: AddressGuard = guard,
        allow_http: bool = True,
        tls: ssl.SSLContext | None = None,
    ) -> list[Sent]:
        endpoint = make_endpoint(url, deadline_seconds=deadline)

        async def run() -> list[Sent]:
            async with Sender(guard, allow_http=allow_http, tls=tls) as sender:
                return [await sender.send(endpoint, delivery) for delivery in make_deliveries(times)]

        return asyncio.run(run())

    return go


def attempt_against(post: Post, script: Script, **options: object) -> tuple[Attempt, RawServer]:
    with RawServer(script) as server:
        return post(server.url, **options)[0].attempt, server


def test_a_signed_request_has_the_headers_of_the_contract_and_verifies(post: Post) -> None:
    attempt, server = attempt_against(post, answer())
    assert (attempt.outcome, attempt.status, attempt.number, attempt.response) == ("delivered", 200, 1, "ok")
    request = server.requests[0]
    assert request.line == "POST /hook HTTP/1.1"
    assert Webhook(SECRET).verify(request.body, request.headers)["type"] == "message.opened"
    assert request.headers["content-type"] == "application/json; charset=utf-8"
    assert request.headers["accept-encoding"] == "identity"
    assert request.headers["user-agent"].startswith("Telltale-Webhooks/")
    assert request.headers["x-telltale-attempt"] == "1"
    assert request.headers["x-telltale-brand"] == "harbour"
    assert request.raw_header_names.count("webhook-signature") == 1
    assert not {"cookie", "expect", "content-encoding", "transfer-encoding", "authorization"} & set(request.headers)


@pytest.mark.parametrize("status", ["200 OK", "201 Created", "202 Accepted", "204 No Content", "299 Odd"])
def test_every_2xx_is_delivered(post: Post, status: str) -> None:
    assert attempt_against(post, answer(status, body=b""))[0].outcome == "delivered"


@pytest.mark.parametrize("status", [400, 401, 404, 410, 413, 422, 429, 500, 503, 599])
def test_other_answers_are_failures_named_by_their_status(post: Post, status: int) -> None:
    attempt, _ = attempt_against(post, answer(f"{status} No"))
    assert (attempt.outcome, attempt.status) == (f"http_{status}", status)


def test_retry_after_is_handed_on_as_received(post: Post) -> None:
    with RawServer(answer("503 Busy", "Retry-After: 120\r\n")) as server:
        assert post(server.url)[0].retry_after == "120"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_never_followed(post: Post, status: int) -> None:
    with RawServer(answer()) as target:
        attempt, server = attempt_against(post, answer(f"{status} Moved", f"Location: {target.url}\r\n"))
        assert (attempt.outcome, attempt.status) == ("redirect", status)
        assert (len(server.requests), target.connections) == (1, 0)


def test_304_is_a_failure(post: Post) -> None:
    assert attempt_against(post, answer("304 Not Modified", body=b""))[0].outcome == "redirect"


def test_cookies_are_not_kept(post: Post) -> None:
    with RawServer(answer("200 OK", "Set-Cookie: a=b\r\n")) as server:
        post(server.url, times=2)
        assert "cookie" not in server.requests[1].headers


def test_a_connection_is_used_again(post: Post) -> None:
    with RawServer(answer()) as server:
        assert [sent.attempt.outcome for sent in post(server.url, times=5)] == ["delivered"] * 5
        assert server.connections == 1


def test_a_connection_that_died_idle_is_replaced_without_an_attempt(post: Post) -> None:
    def reset_the_second(server: RawServer, connection: object, request: object) -> None:
        script = reset if len(server.requests) == 2 else answer()
        script(server, connection, request)  # type: ignore[arg-type]

    with RawServer(reset_the_second) as server:
        assert [sent.attempt.outcome for sent in post(server.url, times=2)] == ["delivered", "delivered"]
        assert (server.connections, len(server.requests)) == (2, 3)
        assert server.requests[1].headers["webhook-id"] == server.requests[2].headers["webhook-id"]


@pytest.mark.parametrize(
    "script",
    [
        pytest.param(drip(b"HTTP/1.1 200 OK\r\nX-Slow: ", b"a"), id="header-drip"),
        pytest.param(drip(b"", b"HTTP/1.1 100 Continue\r\n\r\n"), id="endless-100"),
        pytest.param(drip(b"", b"HTTP/1.1 103 Early Hints\r\n\r\n", 0.001), id="endless-103"),
        pytest.param(silence, id="never-answers"),
        pytest.param(drip(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\na\r\n"), id="chunked-drip"),
        pytest.param(drip(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n", b"a"), id="body-drip"),
    ],
)
def test_the_deadline_holds_over_everything(post: Post, script: Script) -> None:
    began = time.monotonic()
    attempt, _ = attempt_against(post, script, deadline=DEADLINE)
    assert attempt.outcome == "timeout"
    assert DEADLINE * 0.9 < time.monotonic() - began < DEADLINE + 1.0


def test_a_10_mb_body_is_delivered_and_not_read(post: Post) -> None:
    total = 10 * 1024 * 1024
    script = flood(f"HTTP/1.1 200 OK\r\nContent-Length: {total}\r\n\r\n".encode(), b"x" * 65536, total // 65536)
    attempt, server = attempt_against(post, script)
    assert attempt.outcome == "delivered"
    assert len(attempt.response) <= MAX_KEPT_BYTES
    assert server.flooded < total  # what is missing was never taken: the rest sits in no buffer of ours


def test_a_chunked_body_without_end_is_cut_at_the_limit(post: Post) -> None:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    attempt, _ = attempt_against(post, flood(head, b"1000\r\n" + b"x" * 4096 + b"\r\n", 100_000))
    assert attempt.outcome == "delivered"


def test_a_gzip_bomb_stays_packed(post: Post) -> None:
    script = answer("200 OK", "Content-Encoding: gzip\r\n", b"\x1f\x8b" + b"\0" * 1000)
    attempt, _ = attempt_against(post, script)
    assert (attempt.outcome, attempt.response) == ("delivered", "")


def test_a_body_that_breaks_off_does_not_undo_a_2xx(post: Post) -> None:
    attempt, _ = attempt_against(post, raw(b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhalf"))
    assert attempt.outcome == "delivered"


def test_control_characters_never_reach_the_log(post: Post) -> None:
    attempt, _ = attempt_against(post, answer("500 No", body=b"a\x00b\x1b[31mc\r\nd\xff\xc2\x85e"))
    assert attempt.response == "a b [31mc d� e"


@pytest.mark.parametrize(
    "head",
    [
        pytest.param(b"HTTP/1.1 200 OK\r\nX-Big: " + b"a" * 1_000_000 + b"\r\n\r\n", id="one-header-of-1-mb"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\n" + b"".join(b"X-%d: %s\r\n" % (n, b"a" * 1000) for n in range(1000)) + b"\r\n",
            id="1000-headers-of-1-kb",
        ),
        pytest.param(
            b"HTTP/1.1 200 OK\r\n" + b"".join(b"X-%d: %s\r\n" % (n, b"a" * 4000) for n in range(10)) + b"\r\n",
            id="40-kb-of-allowed-headers",
        ),
        pytest.param(b"HTTP/1.1 two hundred OK\r\n\r\n", id="malformed-status-line"),
        pytest.param(b"<html>hello</html>\r\n\r\n", id="http-0.9"),
        pytest.param(b"HTTP/1.1 200 OK\r\nX-Nul: a\x00b\r\nContent-Length: 0\r\n\r\n", id="nul-in-header"),
        pytest.param(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", id="tls-on-a-plain-port"),
    ],
)
def test_broken_http_is_a_protocol_failure(post: Post, head: bytes) -> None:
    assert attempt_against(post, raw(head))[0].outcome == "protocol"


def test_a_reset_after_the_request_is_a_failure(post: Post) -> None:
    attempt, server = attempt_against(post, reset)
    assert attempt.outcome == "reset"
    assert len(server.requests) == 1


def test_a_close_without_an_answer_is_a_reset(post: Post) -> None:
    assert attempt_against(post, raw(b""))[0].outcome == "reset"


def test_a_refused_connection_is_a_connect_failure(post: Post) -> None:
    with RawServer(answer()) as server:
        url = server.url
    assert post(url)[0].attempt.outcome == "connect"


def test_a_name_that_does_not_exist_is_a_dns_failure(post: Post) -> None:
    attempt = post("https://nothing-here.invalid/hook")[0].attempt
    assert attempt.outcome == "dns"
    assert attempt.seconds < 4


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:{port}/",
        "http://[::1]:{port}/",
        "http://[::ffff:127.0.0.1]:{port}/",
        "http://localhost:{port}/",
        "http://0.0.0.0:{port}/",
        "http://127.1:{port}/",
        "http://2130706433:{port}/",
        "http://0x7f000001:{port}/",
        "http://0177.0.0.1:{port}/",
        "http://169.254.169.254/latest/meta-data/",
        "http://[fd00:ec2::254]/",
        "http://10.0.0.1/",
    ],
)
def test_inside_addresses_are_blocked_before_a_connection(post: Post, url: str) -> None:
    with RawServer(answer()) as server:
        attempt = post(url.format(port=server.port), guard=AddressGuard(), deadline=5.0)[0].attempt
        assert attempt.outcome == "blocked_address"
        assert server.connections == 0


def test_plain_http_needs_the_operator(post: Post) -> None:
    with RawServer(answer()) as server:
        assert post(server.url, allow_http=False)[0].attempt.outcome == "blocked_address"
        assert server.connections == 0


def test_a_proxy_in_the_environment_is_ignored(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    with RawServer(answer("502 From the proxy")) as proxy, RawServer(answer()) as server:
        for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        assert post(server.url)[0].attempt.outcome == "delivered"
        assert proxy.connections == 0


def certificate(folder: Path, name: str, *, expired: bool = False) -> tuple[ssl.SSLContext, Path]:
    """A self-signed certificate for a host name or an address, as a server's context and as a file to trust."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    start = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=10)
    try:
        alternative: x509.GeneralName = x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        alternative = x509.DNSName(name)
    signed = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + datetime.timedelta(days=1 if expired else 100))
        .add_extension(x509.SubjectAlternativeName([alternative]), critical=False)
        .sign(key, hashes.SHA256())
    )
    chain = folder / "chain.pem"
    chain.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    secret = folder / "key.pem"
    secret.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain, secret)
    return context, chain


def test_tls_with_a_trusted_certificate_is_delivered(post: Post, tmp_path: Path) -> None:
    context, chain = certificate(tmp_path, "127.0.0.1")
    with RawServer(answer(), tls=context) as server:
        trusted = ssl.create_default_context(cafile=str(chain))
        assert post(server.url, allow_http=False, tls=trusted)[0].attempt.outcome == "delivered"


@pytest.mark.parametrize("fault", ["self-signed", "wrong host", "expired"])
def test_tls_that_does_not_verify_is_a_tls_failure(post: Post, tmp_path: Path, fault: str) -> None:
    name = "other.example" if fault == "wrong host" else "127.0.0.1"
    context, chain = certificate(tmp_path, name, expired=fault == "expired")
    tls = None if fault == "self-signed" else ssl.create_default_context(cafile=str(chain))
    with RawServer(answer(), tls=context) as server:
        assert post(server.url, allow_http=False, tls=tls)[0].attempt.outcome == "tls"
        assert not server.requests


def test_tls_to_a_plain_port_is_never_downgraded(post: Post) -> None:
    with RawServer(raw(b"HTTP/1.1 200 OK\r\n\r\n")) as server:
        attempt = post(server.url.replace("http:", "https:"), deadline=DEADLINE)[0].attempt
        assert attempt.outcome in {"tls", "timeout"}
        assert all(not request.line.startswith("POST") for request in server.requests)

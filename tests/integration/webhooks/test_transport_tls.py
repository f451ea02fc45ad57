"""TLS to a receiver: verified against the endpoint's own name, whatever address is dialled, and never downgraded."""

from __future__ import annotations

import socket
import ssl

import pytest

from app.webhooks import address_guard
from app.webhooks.transport import default_tls
from tests.integration.webhooks.authority import Authority
from tests.integration.webhooks.posting import post
from tests.integration.webhooks.raw_server import RawServer, answer, drip, flood, raw

HOST = "hooks.harbour.example"


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.fixture(autouse=True)
def _names(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every name leads to this machine: what a name server says no test can order from a real one."""

    def look_up(host: str) -> list[address_guard.AddressInfo]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 0))]

    monkeypatch.setattr(address_guard, "_look_up", look_up)


def outcomes(server: RawServer, tls: ssl.SSLContext | None, *, times: int = 1, deadline: float = 20.0) -> list[str]:
    url = f"https://{HOST}:{server.port}/in"
    return [sent.attempt.outcome for sent in post(url, tls=tls, times=times, allow_http=False, deadline=deadline)]


def test_a_certificate_for_the_endpoints_name_is_delivered_to_over_one_connection(authority: Authority) -> None:
    with RawServer(answer(), tls=authority.server(HOST)) as server:
        assert outcomes(server, authority.trusted(), times=3) == ["delivered"] * 3
        assert (server.connections, len(server.requests)) == (1, 3)
        assert server.requests[0].headers["host"] == f"{HOST}:{server.port}"


def test_the_name_in_the_handshake_is_the_endpoints_and_not_the_address_dialled(authority: Authority) -> None:
    asked: list[str | None] = []
    right, wrong = authority.server(HOST), authority.server("other.example")

    def choose(connection: ssl.SSLObject, name: str | None, context: ssl.SSLContext) -> None:
        asked.append(name)
        if name == HOST:
            connection.context = right

    wrong.sni_callback = choose
    with RawServer(answer(), tls=wrong) as server:
        assert outcomes(server, authority.trusted()) == ["delivered"]
        assert asked == [HOST]


@pytest.mark.parametrize("fault", ["unknown authority", "wrong host", "the address instead of the name", "expired"])
def test_a_certificate_that_does_not_verify_is_a_tls_failure(authority: Authority, fault: str) -> None:
    name = {"wrong host": "other.example", "the address instead of the name": "127.0.0.1"}.get(fault, HOST)
    with RawServer(answer(), tls=authority.server(name, expired=fault == "expired")) as server:
        trusted = default_tls() if fault == "unknown authority" else authority.trusted()
        assert outcomes(server, trusted) == ["tls"]
        assert not server.requests


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
def test_an_outdated_protocol_is_a_tls_failure(authority: Authority, version: ssl.TLSVersion) -> None:
    context = authority.server(HOST)
    context.minimum_version, context.maximum_version = version, version
    context.set_ciphers("ALL:@SECLEVEL=0")
    with RawServer(answer(), tls=context) as server:
        assert outcomes(server, authority.trusted()) == ["tls"]
        assert not server.requests


def test_tls_to_a_plain_port_is_never_downgraded(authority: Authority) -> None:
    with RawServer(raw(b"HTTP/1.1 400 Bad Request\r\n\r\n")) as server:
        assert outcomes(server, authority.trusted(), deadline=0.4)[0] in {"tls", "timeout"}
        assert all(not request.line.startswith("POST") for request in server.requests)


def test_our_own_context_takes_tls_1_2_and_verifies() -> None:
    context = default_tls()
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)


def test_the_deadline_and_the_limits_hold_inside_tls(authority: Authority) -> None:
    head = b"HTTP/1.1 200 OK\r\n"
    with RawServer(drip(head + b"X-Slow: ", b"a"), tls=authority.server(HOST)) as server:
        assert outcomes(server, authority.trusted(), deadline=0.4) == ["timeout"]
    with RawServer(flood(head + b"\r\n", b"x" * 65536, 10_000), tls=authority.server(HOST)) as server:
        assert outcomes(server, authority.trusted()) == ["delivered"]
        assert server.flooded < 10_000 * 65536

"""The bucket against a store that misbehaves, byte by byte: deadlines, addresses, what errors say."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from app.archive.bucket import Bucket, BucketRefused, BucketUnavailable
from app.models.archive import ArchivePlace
from app.webhooks.address_guard import AddressGuard
from tests.integration.archive.conftest import GUARD

KEYS = ("AKIDALDER", "hush-hush")


@contextmanager
def a_store(answer: bytes, *, then_drip: bool = False) -> Iterator[tuple[str, list[bytes]]]:
    """Answers every connection with these bytes; then hangs up, or goes on byte by byte for ever."""
    listener = socket.create_server(("127.0.0.1", 0))
    asked: list[bytes] = []
    closing = threading.Event()

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                asked.append(connection.recv(65536))
                try:
                    connection.sendall(answer)
                    while then_drip and not closing.wait(0.05):
                        connection.sendall(b"x")
                except OSError:
                    continue

    thread = threading.Thread(target=serve)
    thread.start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}/", asked
    closing.set()
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join()


def bucket_at(url: str, *, guard: AddressGuard = GUARD, seconds: float = 0.3) -> Bucket:
    return Bucket(ArchivePlace("alder-archive", "us-east-1", "", url, *KEYS), guard, seconds=seconds)


def test_objects_come_back_as_they_were_written(place: ArchivePlace) -> None:
    bucket = Bucket(place, GUARD)
    for number in range(3):
        bucket.put(f"a/{number} ü", bytes([number]) * 100_000, "application/gzip")
    assert list(bucket.sizes("a/")) == [(f"a/{number} ü", 100_000) for number in range(3)]
    assert bucket.get("a/2 ü") == b"\2" * 100_000
    bucket.delete("a/2 ü")
    assert bucket.get("a/2 ü") is None


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 200 OK\r\nX: ",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2710\r\n",
    ],
    ids=["nothing", "status", "headers", "body", "body without length", "chunk"],
)
def test_a_store_that_drips_is_hung_up_on(answer: bytes) -> None:
    with a_store(answer, then_drip=True) as (url, _), pytest.raises(BucketUnavailable):
        bucket_at(url).get("a")


def test_a_store_that_drips_its_handshake_is_hung_up_on() -> None:
    # A TLS record that announces 16 KiB.
    with a_store(b"\x16\x03\x03\x40\x00", then_drip=True) as (url, _), pytest.raises(BucketUnavailable):
        bucket_at(url.replace("http:", "https:")).get("a")


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort",
        b"HTTP/1.1 503 Slow Down\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n<not>",
        b"SSH-2.0-x\r\n",
    ],
    ids=["cut off", "busy", "not XML", "not HTTP"],
)
def test_what_is_no_whole_answer_is_tried_again_later(answer: bytes) -> None:
    with a_store(answer) as (url, _), pytest.raises(BucketUnavailable):
        list(bucket_at(url).sizes("a"))


def test_a_refusal_is_final_and_quotes_nothing() -> None:
    body = b"<Error><Code>AccessDenied</Code><Message>AKIDALDER may not; hush-hush</Message></Error>"
    answer = b"HTTP/1.1 403 Forbidden\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    with a_store(answer) as (url, asked):
        with pytest.raises(BucketRefused) as refused:
            bucket_at(url, seconds=5).put("a", b"content", "text/plain")
        assert str(refused.value) == "bucket: AccessDenied (403)"
        assert refused.value.__cause__ is None
        assert len(asked) == 1
        assert KEYS[1].encode() not in asked[0]


def test_an_address_that_may_not_be_dialled_is_not_dialled() -> None:
    with a_store(b"") as (url, asked):
        for address in (url, url.replace("127.0.0.1", "localhost")):
            with pytest.raises(BucketRefused, match="blocked_address"):
                bucket_at(address, guard=AddressGuard(), seconds=5).get("a")
        assert asked == []


def test_no_proxy_and_no_endpoint_of_the_environment_is_asked(
    monkeypatch: pytest.MonkeyPatch, place: ArchivePlace
) -> None:
    with a_store(b"") as (url, asked):
        for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"):
            monkeypatch.setenv(name, url)
        Bucket(place, GUARD).put("a", b"content", "text/plain")
        assert asked == []


def test_a_machine_without_a_role_is_told_so(monkeypatch: pytest.MonkeyPatch, place: ArchivePlace) -> None:
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, "/nonexistent")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    without = replace(place, access_key_id=None, secret_access_key=None)
    with pytest.raises(BucketRefused, match="no role"):
        Bucket(without, GUARD).get("a")


def test_keys_are_in_no_text_of_it(place: ArchivePlace) -> None:
    assert not any(key in repr(place) + repr(Bucket(place, GUARD).__dict__) for key in KEYS)

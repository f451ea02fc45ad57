"""nginx and uWSGI as we configure them, real ones, around a small application that shows what reaches it."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from app.lib.http_url import MAX_DESTINATION_LENGTH, MAX_LOCATION_LENGTH
from local.environment import Ports, make_runtime_dir, process_environment
from local.ports import free_port
from local.secret_files import make_secrets
from tests.integration.local.web_stack import ROOT, Answer, WebStack, until

APPLICATION = """
import json, os, pathlib, signal, time

here = pathlib.Path(__file__).parent

def application(environ, start_response):
    with (here / "hits").open("a") as hits:
        hits.write(environ["TELLTALE_HIT"] + "\\n")
    query = environ["QUERY_STRING"]
    if query == "die" and (here / "armed").exists():
        (here / "armed").unlink()
        os.kill(os.getpid(), signal.SIGKILL)
    if query == "hang":
        time.sleep(60)
    if query.startswith("to="):
        length = int(query[3:])
        headers = [("Location", "https://shop.example/".ljust(length, "x")), ("Referrer-Policy", "no-referrer")]
        start_response("302 Found", [("Content-Length", "0"), *headers])
        return []
    shown = {name: value for name, value in environ.items() if isinstance(value, str)}
    shown["body_bytes"] = len(environ["wsgi.input"].read()) if query != "unread" else None
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(shown).encode()]
"""


@dataclass(frozen=True)
class Front:
    stack: WebStack
    folder: Path
    """Holds `hits`, one id per call of the application, and the logs."""

    def request(
        self,
        path: str,
        method: str = "GET",
        body: bytes | Iterator[bytes] | None = None,
        headers: dict[str, str] | None = None,
    ) -> Answer:
        return self.stack.request(path, method, body, headers)

    def shown(self, path: str, **options: object) -> dict[str, str]:
        status, _, body = self.request(path, **options)  # type: ignore[arg-type]
        assert status == 200, body
        return dict(json.loads(body))

    def hits(self) -> list[str]:
        path = self.folder / "hits"
        return path.read_text().split() if path.exists() else []


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    folder = tmp_path_factory.mktemp("front")
    (folder / "shown.py").write_text(APPLICATION)
    make_secrets(folder / "secrets", ROOT / "brands.yaml")
    port = free_port()
    environment = process_environment(
        folder,
        make_runtime_dir(folder),
        Ports(nginx=port, flower=0, mongod=None, valkey=None),
        brands_file=ROOT / "brands.yaml",
        given={**os.environ, "TELLTALE_TRUSTED_PROXIES": "127.0.0.1", "PYTHONPATH": str(folder)},
    )
    ini = (ROOT / "config" / "uwsgi.ini").read_text()
    ini = ini.replace("app.wsgi:application", "shown:application").replace("harakiri = 30", "harakiri = 2")
    stack = WebStack(folder, environment, port, ini)
    try:
        stack.start_uwsgi()
        stack.start_nginx()
        stack.wait_until_it_answers()
        yield Front(stack, folder)
    finally:
        stack.stop()


def test_every_hit_has_an_id_of_time_and_chance_that_no_client_can_set(front: Front) -> None:
    shown = front.shown("/o/x", headers={"Telltale-Hit": "mine", "TELLTALE_HIT": "mine", "telltale-hit": "mine"})
    assert re.fullmatch(r"\d{10}\.\d{3}-[0-9a-f]{32}", shown["TELLTALE_HIT"])
    assert front.shown("/o/x")["TELLTALE_HIT"] != shown["TELLTALE_HIT"]


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_hit_whose_worker_is_killed_is_answered_by_another_under_the_same_id(front: Front, method: str) -> None:
    (front.folder / "armed").touch()
    before = len(front.hits())
    assert front.request("/c/x?die", method)[0] == 200
    first, second = front.hits()[before:]
    assert first == second


def test_a_post_that_was_sent_on_is_not_sent_twice(front: Front) -> None:
    (front.folder / "armed").touch()
    before = len(front.hits())
    assert front.request("/u/x?die", "POST", b"")[0] == 502
    assert len(front.hits()) == before + 1


def test_client_is_the_last_address_that_no_trusted_proxy_has(front: Front) -> None:
    shown = front.shown("/o/x", headers={"X-Forwarded-For": "203.0.113.6, 198.51.100.9, 127.0.0.1"})
    assert shown["REMOTE_ADDR"] == "198.51.100.9"


@pytest.mark.parametrize(
    ("headers", "scheme"),
    [
        ({}, "http"),
        ({"X-Forwarded-For": "203.0.113.6", "X-Forwarded-Proto": "https"}, "https"),
        ({"X-Forwarded-For": "203.0.113.6", "X-Forwarded-Proto": "HTTPS"}, "https"),
        ({"X-Forwarded-For": "203.0.113.6", "X-Forwarded-Proto": "http"}, "http"),
        ({"X-Forwarded-For": "203.0.113.6", "X-Forwarded-Proto": "marked"}, "http"),
        ({"X-Forwarded-For": "203.0.113.6"}, "http"),
        ({"X-Forwarded-Proto": "https"}, "http"),
        ({"Telltale-Scheme": "https", "TELLTALE_SCHEME": "https", "X-Forwarded-Ssl": "on"}, "http"),
    ],
)
def test_only_a_trusted_proxy_says_that_a_client_came_by_https(
    front: Front, headers: dict[str, str], scheme: str
) -> None:
    assert front.shown("/o/x", headers=headers)["TELLTALE_SCHEME"] == scheme


def test_bodies_arrive_whole_chunked_or_not_read_or_not(front: Front) -> None:
    body = b"x" * 3_000_000
    assert front.shown("/v1/x", method="POST", body=body)["body_bytes"] == len(body)
    assert front.shown("/v1/x?unread", method="POST", body=body)["body_bytes"] is None
    chunked = front.shown("/v1/x", method="POST", body=iter([b"abc"] * 100))
    # http.client sends an iterator in chunks.
    assert (chunked["body_bytes"], chunked["CONTENT_LENGTH"]) == (300, "300")
    assert "HTTP_TRANSFER_ENCODING" not in chunked
    # Nothing of them is ever laid down in a file.
    assert [path for path in (front.folder / "nginx" / "temp").rglob("*") if path.is_file()] == []


def test_the_proxy_header_does_not_become_a_variable(front: Front) -> None:
    assert "HTTP_PROXY" not in front.shown("/o/x", headers={"Proxy": "http://evil.example"})


def test_the_api_answers_too_large_a_body_with_a_problem_document(front: Front) -> None:
    status, headers, body = front.request("/v1/messages", "POST", b"x" * (12 * 1024 * 1024 + 1))
    assert status == 413
    assert headers["content-type"] == "application/problem+json"
    assert json.loads(body) == {"type": "about:blank", "title": "Content Too Large", "status": 413}


def test_tracking_paths_take_small_bodies_only_and_answer_people_in_words(front: Front) -> None:
    status, headers, body = front.request("/u/x", "POST", b"x" * 65_537)
    assert status == 413
    assert headers["content-type"] == "text/plain"
    assert headers["cache-control"].startswith("no-store")
    assert b"Please try again" in body


def test_a_header_of_sixteen_kilobytes_reaches_the_application(front: Front) -> None:
    assert len(front.shown("/o/x", headers={"User-Agent": "a" * 15_900})["HTTP_USER_AGENT"]) == 15_900


@pytest.mark.parametrize("length", [100, 4096, MAX_DESTINATION_LENGTH, MAX_LOCATION_LENGTH])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_the_longest_destination_arrives_whole(front: Front, length: int, method: str) -> None:
    status, headers, _ = front.request(f"/c/x?to={length}", method)
    assert status == 302
    assert headers["location"] == "https://shop.example/".ljust(length, "x")
    assert headers["referrer-policy"] == "no-referrer"


@pytest.mark.parametrize(
    "headers",
    [
        {"If-None-Match": "*"},
        {"If-None-Match": '"x", W/"y"'},
        {"If-Modified-Since": "Fri, 01 Jan 2100 00:00:00 GMT"},
        {"If-Unmodified-Since": "Mon, 01 Jan 1990 00:00:00 GMT"},
        {"If-Match": '"x"'},
        {"Range": "bytes=0-0"},
    ],
)
def test_no_condition_makes_another_answer_of_a_hit(front: Front, headers: dict[str, str]) -> None:
    before = len(front.hits())
    for path in ("/o/x.gif", "/c/x", "/u/x"):
        status, answered, _ = front.request(path, headers=headers)
        assert status == 200
        assert not {"etag", "last-modified", "accept-ranges"} & answered.keys()
    assert len(front.hits()) == before + 3


@pytest.mark.parametrize("host", ["t.alder.example", "unknown.example", "127.0.0.1"])
def test_what_apps_look_for_reaches_the_application_on_every_host(front: Front, host: str) -> None:
    for path in ("/.well-known/apple-app-site-association", "/.well-known/assetlinks.json"):
        shown = front.shown(path, headers={"Host": host})
        assert (shown["PATH_INFO"], shown["HTTP_HOST"]) == (path, host)


@pytest.mark.parametrize("path", ["/metrics", "/readyz"])
def test_pages_for_operators_are_closed_to_others(front: Front, path: str) -> None:
    assert front.request(path)[0] == 200
    assert front.request(path, headers={"X-Forwarded-For": "203.0.113.6"})[0] == 403


def test_a_line_break_in_a_path_writes_no_header(front: Front) -> None:
    status, headers, _ = front.request("/v1/x%0d%0aSet-Cookie:%20a=b", "POST", b"x" * (12 * 1024 * 1024 + 1))
    assert status == 413
    assert "set-cookie" not in headers


def test_no_log_names_a_path_or_an_address_not_even_of_a_request_that_hung(front: Front) -> None:
    headers = {"X-Forwarded-For": "203.0.113.77", "User-Agent": "marked-agent"}
    status, _, _ = front.request("/c/marked-code?hang", headers=headers)
    assert status == 502
    until(lambda: "HARAKIRI" in front.stack.logs())
    front.request("/c/marked-code", headers=headers)
    logs = front.stack.logs()
    for mark in ("marked-code", "203.0.113.77", "marked-agent", "hang"):
        assert mark not in logs

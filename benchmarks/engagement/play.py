"""Plays a plan: all at once with the times of the plan (`replay`), or at its own pace through nginx (`play_live`)."""

from __future__ import annotations

import http.client
import secrets
import time
from collections.abc import Sequence
from concurrent.futures import Executor

from benchmarks.engagement.copy import Copy
from benchmarks.engagement.messages import Messages
from benchmarks.engagement.plan import Hit
from local.ports import LOOPBACK

_ONE_CLICK = b"List-Unsubscribe=One-Click"
_FORM = "application/x-www-form-urlencoded"
_SECONDS = 30.0
_AHEAD = 503
_PURPOSES = {"Sec-Purpose", "Purpose", "X-Purpose", "X-Moz"}


def replay(copy: Copy, messages: Messages, hits: Sequence[Hit], start: float, pool: Executor) -> None:
    """Every request in the order of the plan, as fast as the front answers, several under way at once.

    Args:
        start: the plan's 0 on the wall clock; the last request must not be in the future.
    """

    def ask(hit: Hit) -> None:
        message = messages.of(hit.sending)
        moment = f"{start + hit.at:.3f}-{secrets.token_hex(16)}"
        headers = {**hit.headers, "Host": message.host}
        if hit.method == "POST":
            headers["Content-Type"] = _FORM
        body = _ONE_CLICK if hit.method == "POST" else b""
        answer = copy.uwsgi.ask(hit.method, message.path(hit), headers, hit.address, moment, body)
        _check(hit, answer.status)

    list(pool.map(ask, hits))


def play_live(copy: Copy, messages: Messages, hits: Sequence[Hit], start: float, pool: Executor) -> dict[str, float]:
    """Every request when it is due, through nginx, which is told the client's address as by a proxy in front of it.

    Args:
        start: the plan's 0 on the wall clock.

    Returns:
        hit → when it was answered, on the wall clock.
    """

    def ask(hit: Hit) -> tuple[str, float]:
        message = messages.of(hit.sending)
        headers = {**hit.headers, "Host": message.host, "X-Forwarded-For": hit.address, "X-Forwarded-Proto": "https"}
        headers.setdefault("User-Agent", "")
        if hit.method == "POST":
            headers["Content-Type"] = _FORM
        body = _ONE_CLICK if hit.method == "POST" else None
        connection = http.client.HTTPConnection(LOOPBACK, copy.side.port, timeout=_SECONDS)
        try:
            connection.request(hit.method, message.path(hit), body, headers)
            response = connection.getresponse()
            response.read()
        finally:
            connection.close()
        _check(hit, response.status)
        return hit.id, time.time()

    running = []
    for hit in hits:
        time.sleep(max(0.0, start + hit.at - time.time()))
        running.append(pool.submit(ask, hit))
    return dict(one.result() for one in running)


def _check(hit: Hit, status: int) -> None:
    """Raises: SystemExit when an answer is not one that people get."""
    expected = 302 if hit.target.kind == "click" else 200
    # A browser that fetches ahead is refused, so that it asks again when the person comes.
    ahead = status == _AHEAD and hit.target.kind == "click" and _PURPOSES & hit.headers.keys()
    if status != expected and not ahead:
        raise SystemExit(f"{hit.id}: answered with {status}")

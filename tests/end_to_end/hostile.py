"""What the tests of hostile input share: requests written by hand, and what holds for every answer to them."""

from __future__ import annotations

from typing import Any

from pymongo.database import Database

from tests.end_to_end.client import BROWSER, Answer, Client

UNWANTED = "hostile-unwanted"
"""The campaign of messages whose hits are all such that no event may come of them."""
HERON, IBIS = "t.heron.example", "t.ibis.example"
DESTINATION = "https://shop.heron.example/offer?x=1"

_COLLECTIONS = ("blocks", "messages", "endpoints", "idempotency", "suppressions", "dead_letters", "api_keys")
_COMMON = {
    "Cache-Control": "no-store, no-cache, must-revalidate, private",
    "Referrer-Policy": "no-referrer",
    "X-Robots-Tag": "noindex",
}
_TRACES = (b"Traceback", b'File "', b".py", b"Exception", b"Werkzeug", b"uWSGI", b"pymongo", b"site-packages")


def message(brand: str, html: str | None = None, **more: Any) -> dict[str, Any]:
    """The body of a registration."""
    link = f'<a href="https://shop.{brand}.example/offer?x=1">go</a>'
    content = {"html": f"<html><body>{link}</body></html>" if html is None else html}
    return {"channel": "email", "content": content, "recipients": [{"address": f"ann@{brand}.example"}], **more}


def ask(line: str, host: str | None = HERON, more: str = "", body: bytes = b"", version: str = "HTTP/1.1") -> bytes:
    """A request as bytes; the server is asked to close after it."""
    named = "" if host is None else f"Host: {host}\r\n"
    head = f"{line} {version}\r\n{named}User-Agent: {BROWSER}\r\n{more}Connection: close\r\n\r\n"
    return head.encode("latin-1") + body


def answer_to(client: Client, request: bytes) -> Answer:
    """The one answer to a request, which tells nothing of how we are made and may not be kept."""
    (answer,) = client.raw(request)
    shows_nothing(answer)
    for name, value in _COMMON.items():
        (given,) = answer.headers.get_all(name) or ["absent"]
        # The API's answers are for programs: one word is enough.
        assert given in (value, "no-store"), (name, given)
    return answer


def is_problem(answer: Answer, status: int, code: str | None) -> None:
    """The answer is a problem document (RFC 9457) of this kind, and nothing more.

    Args:
        code: None where nginx answers, which knows none.
    """
    shows_nothing(answer)
    problem = answer.json()
    assert (answer.status, problem["status"], problem.get("code")) == (status, status, code), problem
    assert problem["title"]
    assert "Set-Cookie" not in str(problem)
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


def shows_nothing(answer: Answer) -> None:
    """No trace, no version, no cookie."""
    text = answer.all_bytes()
    assert not [trace for trace in _TRACES if trace in text], text
    for name in ("ETag", "Last-Modified", "Set-Cookie", "X-Powered-By"):
        assert name not in answer.headers
    assert answer.headers["Server"] == "nginx"


def counts(database: Database[Any]) -> dict[str, int]:
    """Documents by collection, of those that an answer waits for. Events come later, see `UNWANTED`."""
    return {name: database[name].count_documents({}) for name in _COLLECTIONS}

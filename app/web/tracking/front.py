"""Answers `/o /c /u` and hands everything else to Flask: `app.wsgi_app = Front(app.wsgi_app, …)`.

The hot path pays for one look at the path, one decoded code, one look-up in memory and one append to the journal. No
network call is made once a link's block is cached, and none at all for a pixel.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol
from urllib.parse import parse_qsl, urlencode

from app.brands import Brand
from app.errors import StoreUnavailable
from app.lib import clock, ids
from app.models.block import Block, Slot
from app.models.record import RECORD_VERSION, HitKind, Record
from app.tracking.codes import MAX_LENGTH, Codes
from app.tracking.urls import location
from app.web.tracking import answers
from config.scrub import scrub

Environ = dict[str, Any]
StartResponse = Callable[..., Any]
Wsgi = Callable[[Environ, StartResponse], Iterable[bytes]]

_MAX_FORM_BYTES = 65_536
_MAX_QUERY_FIELDS = 20
_PURPOSE_HEADERS = ("HTTP_SEC_PURPOSE", "HTTP_PURPOSE", "HTTP_X_PURPOSE", "HTTP_X_MOZ")
_PURPOSES = ("prefetch", "prerender", "preview")


class Journal(Protocol):
    def append(self, record: Record) -> bool: ...


class Blocks(Protocol):
    def cached(self, number: int) -> Block | None: ...
    def find(self, number: int) -> Block | None: ...


class Brands(Protocol):
    def by_host(self, host: str) -> Brand | None: ...


class Unsubscribes(Protocol):
    def apply(self, brand: Brand, block: Block, message: int, at_ms: int) -> None: ...


class CountHit(Protocol):
    """Counts an answer for `/metrics` by kind and outcome (`app.web.metrics` names them)."""

    def __call__(self, kind: str, outcome: str) -> None: ...


class Front:
    """A WSGI callable around another one.

    Args:
        app: answers whatever is not tracking.
        journal: this process's own; opened after the fork.
    """

    def __init__(
        self,
        app: Wsgi,
        *,
        codes: Codes,
        blocks: Blocks,
        brands: Brands,
        journal: Journal,
        unsubscribes: Unsubscribes,
        count: CountHit,
    ) -> None:
        self._app = app
        self._codes = codes
        self._blocks = blocks
        self._brands = brands
        self._journal = journal
        self._unsubscribes = unsubscribes
        self._count = count
        self._routes: Mapping[str, Callable[[Environ, StartResponse, str], Iterable[bytes]]] = {
            "/o/": self._open,
            "/c/": self._click,
            "/u/": self._unsubscribe,
        }

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        path: str = environ["PATH_INFO"]
        route = self._routes.get(path[:3])
        if route is None:
            return self._app(environ, start_response)
        return route(environ, start_response, path[3:])

    def _open(self, environ: Environ, start_response: StartResponse, code: str) -> Iterable[bytes]:
        """Always the pixel; a record when the code can be one of this brand's."""
        method = environ["REQUEST_METHOD"]
        if method not in ("GET", "HEAD"):
            return self._refuse(environ, start_response, "open", "GET, HEAD")
        if code.endswith((".gif", ".png")):
            code = code[:-4]
        number = self._codes.decode(code)
        brand = self._brands.by_host(environ.get("HTTP_HOST", ""))
        outcome = "unknown"
        if number is not None and brand is not None:
            block = self._blocks.cached(number)
            if block is None or (block.brand_id == brand.id and block.slot_of(number) <= Slot.PIXEL_FOOTER):
                kept = self._journal.append(_record(environ, HitKind.OPEN, code, number, brand))
                outcome = "recorded" if kept else "dropped"
        self._count("open", outcome)
        start_response("200 OK", answers.PIXEL_HEADERS)
        return [] if method == "HEAD" else [answers.PIXEL]

    def _click(self, environ: Environ, start_response: StartResponse, code: str) -> Iterable[bytes]:
        """302 to where the author's link leads; anything else than this brand's own link code is a 404."""
        method = environ["REQUEST_METHOD"]
        if method not in ("GET", "HEAD"):
            return self._refuse(environ, start_response, "click", "GET, HEAD")
        try:
            brand, block, number = self._find(environ, code)
        except StoreUnavailable:
            return self._unavailable(environ, start_response, "click")
        link = None if block is None else block.link_at(block.slot_of(number))
        target = None if link is None else location(link.destination)
        if brand is None or target is None:
            self._count("click", "unknown")
            return self._answer(environ, start_response, "404 Not Found", answers.NOT_FOUND)
        kept = self._journal.append(_record(environ, HitKind.CLICK, code, number, brand))
        self._count("click", "recorded" if kept else "dropped")
        start_response("302 Found", [("Location", target), ("Content-Length", "0"), *answers.COMMON])
        return []

    def _unsubscribe(self, environ: Environ, start_response: StartResponse, code: str) -> Iterable[bytes]:
        """GET shows a page with a button and changes nothing. POST unsubscribes (RFC 8058 and the button)."""
        method = environ["REQUEST_METHOD"]
        if method not in ("GET", "HEAD", "POST"):
            return self._refuse(environ, start_response, "unsubscribe", "GET, HEAD, POST")
        # Read to the end before anything else: an unread body breaks the connection to nginx.
        form = _form(environ) if method == "POST" else b""
        try:
            brand, block, number = self._find(environ, code)
        except StoreUnavailable:
            if method == "POST":
                self._journal_unsubscribe(environ, code, form)
            return self._unavailable(environ, start_response, "unsubscribe")
        if brand is None or block is None or block.slot_of(number) != Slot.UNSUBSCRIBE:
            self._count("unsubscribe", "unknown")
            return self._answer(environ, start_response, "404 Not Found", answers.NOT_FOUND)
        if method != "POST":
            self._count("unsubscribe", "page")
            return self._answer(environ, start_response, "200 OK", answers.ask_page(brand.page))
        record = self._journal_unsubscribe(environ, code, form)
        try:
            self._unsubscribes.apply(brand, block, block.message_of(number), clock.now_ms())
        except StoreUnavailable:
            if record:
                # Ingest will do it from the journal; the caller is told to ask again, and may.
                return self._unavailable(environ, start_response, "unsubscribe")
            raise
        self._count("unsubscribe", "recorded" if record else "dropped")
        return self._answer(environ, start_response, "200 OK", answers.done_page(brand.page))

    def _find(self, environ: Environ, code: str) -> tuple[Brand | None, Block | None, int]:
        """The host's brand, the code's block when it belongs to that brand, and the number.

        Raises:
            StoreUnavailable: the block is in no cache and MongoDB does not answer.
        """
        number = self._codes.decode(code)
        brand = self._brands.by_host(environ.get("HTTP_HOST", ""))
        if number is None or brand is None:
            return None, None, 0
        block = self._blocks.cached(number) or self._blocks.find(number)
        if block is None or block.brand_id != brand.id:
            return None, None, 0
        return brand, block, number

    def _journal_unsubscribe(self, environ: Environ, code: str, form: bytes) -> bool:
        brand = self._brands.by_host(environ.get("HTTP_HOST", ""))
        number = self._codes.decode(code)
        if brand is None or number is None:
            return False
        how = "one_click" if b"List-Unsubscribe" in form and b"One-Click" in form else "link"
        return self._journal.append(_record(environ, HitKind.UNSUBSCRIBE, code, number, brand, {"form": how}))

    def _refuse(self, environ: Environ, start_response: StartResponse, kind: str, allow: str) -> Iterable[bytes]:
        self._count(kind, "not_allowed")
        headers = [*answers.page_headers(answers.NOT_ALLOWED), ("Allow", allow)]
        start_response("405 Method Not Allowed", headers)
        return [answers.NOT_ALLOWED]

    def _unavailable(self, environ: Environ, start_response: StartResponse, kind: str) -> Iterable[bytes]:
        self._count(kind, "unavailable")
        start_response("503 Service Unavailable", [*answers.page_headers(answers.UNAVAILABLE), ("Retry-After", "30")])
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [answers.UNAVAILABLE]

    @staticmethod
    def _answer(environ: Environ, start_response: StartResponse, status: str, body: bytes) -> Iterable[bytes]:
        start_response(status, answers.page_headers(body))
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]


def _record(  # noqa: PLR0917  # by position: keywords cost on the hot path
    environ: Environ, kind: HitKind, code: str, number: int, brand: Brand, headers: dict[str, str] | None = None
) -> Record:
    at_ms, hex_id = _hit(environ.get("TELLTALE_HIT", ""))
    if headers is None:
        headers = {}
        for name in _PURPOSE_HEADERS:
            if name in environ:
                headers = _purpose(environ[name])
                break
    query = environ.get("QUERY_STRING", "")
    return Record(
        RECORD_VERSION,
        hex_id,
        kind,
        at_ms,
        environ.get("HTTP_HOST", ""),
        code[:MAX_LENGTH],
        environ["REQUEST_METHOD"],
        environ.get("REMOTE_ADDR", ""),
        environ.get("HTTP_USER_AGENT", ""),
        _allowed_query(query, brand) if query and brand.metadata_keys else "",
        headers,
        number,
    )


def _hit(given: str) -> tuple[int, str]:
    """Time and id of a hit: nginx's `$msec-$request_id`, so that a hit which nginx gives to a second worker because
    the first was killed keeps its id and is counted once. Without nginx both are made here."""
    if len(given) > 46:
        try:
            seconds, _, request_id = given.partition("-")
            at_ms = int(seconds.replace(".", ""))
            return at_ms, f"{at_ms:012x}{int(request_id[:20], 16):020x}"
        except ValueError:
            pass  # not from our nginx; made here instead
    at_ms = clock.now_ms()
    return at_ms, ids.new_id(at_ms).hex()


def _purpose(value: str) -> dict[str, str]:
    """The words of a prefetch header that mean something; whatever else a client writes there may be about a person."""
    value = value.lower()
    known = ",".join(word for word in _PURPOSES if word in value)
    return {"purpose": known} if known else {}


def _allowed_query(query: str, brand: Brand) -> str:
    """The fields a brand may pass in the clear, but for values that look personal; nothing else reaches the journal."""
    try:
        fields = parse_qsl(query[:2048], max_num_fields=_MAX_QUERY_FIELDS)
    except ValueError:
        return ""
    return urlencode([(key, value) for key, value in fields if key in brand.metadata_keys and scrub(value) == value])


def _form(environ: Environ) -> bytes:
    try:
        length = int(environ.get("CONTENT_LENGTH") or 0)
    except ValueError:
        length = 0
    body: bytes = environ["wsgi.input"].read(max(0, min(length, _MAX_FORM_BYTES)))
    return body

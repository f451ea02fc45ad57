"""Answers `/o /c /u` and hands everything else to Flask: `app.wsgi_app = Front(app.wsgi_app, …)`.

The hot path pays for one look at the path, one decoded code, one look-up in memory and one append to the journal. No
network call is made once a link's block is cached, and none at all for a pixel. `sealed` answers for tokens; what
both show is in `answers`, what they write down in `records`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from app.brands import Brand
from app.errors import StoreUnavailable
from app.lib import clock
from app.lib.outage import Outage
from app.models.block import Block, Link, Slot
from app.models.record import HitKind
from app.tracking import personal
from app.tracking.codes import Codes
from app.web.tracking import answers, ports
from app.web.tracking.answers import Environ, StartResponse
from app.web.tracking.misses import Misses, TooManyMisses
from app.web.tracking.records import Records, how_posted, read_form
from app.web.tracking.sealed import SEALED, Sealed
from app.web.tracking.targets import Targets, read_location

Wsgi = Callable[[Environ, StartResponse], Iterable[bytes]]


class Front:
    """A WSGI callable around another one.

    Args:
        app: answers whatever is not tracking.
        journal: this process's own; opened after the fork.
        values: fills personalised links.
    """

    def __init__(
        self,
        app: Wsgi,
        *,
        codes: Codes,
        blocks: ports.Blocks,
        brands: ports.Brands,
        journal: ports.Journal,
        tokens: ports.Tokens,
        values: ports.Values,
        unsubscribes: ports.Unsubscribes,
        count: ports.CountHit,
    ) -> None:
        self._app = app
        self._codes = codes
        self._blocks = blocks
        self._brands = brands
        self._values = values
        self._unsubscribes = unsubscribes
        self._count = count
        self._misses = Misses()
        self._outage = Outage()
        self._records = Records(journal, tokens)
        self._targets = Targets()
        self._sealed = Sealed(brands, tokens, unsubscribes, self._records, count)
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
        if environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
            return self._refuse(environ, start_response, "open", "GET, HEAD")
        if code.endswith((".gif", ".png")):
            code = code[:-4]
        number = self._codes.decode(code)
        if number is None and code.startswith(SEALED):
            return self._sealed.open(environ, start_response, code[len(SEALED) :])
        brand = self._brands.by_host(environ.get("HTTP_HOST", ""))
        outcome = "unknown"
        if number is not None and brand is not None:
            block = self._blocks.cached(number)
            if block is None or (block.brand_id == brand.id and block.slot_of(number) <= Slot.PIXEL_FOOTER):
                kept = self._records.keep(environ, HitKind.OPEN, code, number, brand)
                outcome = "recorded" if kept else "dropped"
        self._count("open", outcome)
        return answers.pixel(environ, start_response)

    def _click(self, environ: Environ, start_response: StartResponse, code: str) -> Iterable[bytes]:
        """302 to where the author's link leads; anything else than this brand's own link code is a 404."""
        if environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
            return self._refuse(environ, start_response, "click", "GET, HEAD")
        number = self._codes.decode(code)
        if number is None:
            if code.startswith(SEALED):
                return self._sealed.click(environ, start_response, code[len(SEALED) :])
            code, number = self._without_full_stop(code)
        try:
            brand, block = self._find(environ, number)
            link = None if block is None or number is None else block.link_at(block.slot_of(number))
            if brand is None or block is None or number is None or link is None:
                self._count("click", "unknown")
                return answers.show(environ, start_response, "404 Not Found", answers.NOT_FOUND)
            if link.personal:
                return self._personal_click(environ, start_response, code, number, brand, block, link)
        except StoreUnavailable:
            return self._unavailable(environ, start_response, "click")
        except TooManyMisses as error:
            return self._limited(environ, start_response, "click", error.seconds)
        target = self._targets.location(brand, link.destination)
        return self._follow(environ, start_response, code, number, brand, target)

    def _personal_click(  # noqa: PLR0917  # what `_click` has found, handed on
        self,
        environ: Environ,
        start_response: StartResponse,
        code: str,
        number: int,
        brand: Brand,
        block: Block,
        link: Link,
    ) -> Iterable[bytes]:
        """A link whose destination is filled with the recipient's own values.

        Raises:
            StoreUnavailable: nobody knows the values now. Not the page without them: it may be the wrong one.
        """
        with self._outage.noticed():
            values = self._values.values_of(block.message_of(number))
        destination: str | None
        if values is None:
            left = link.fallback or personal.without_values(link.destination)
            destination = left if brand.links.erased == "destination" else None
            if destination is None:
                self._records.keep(environ, HitKind.CLICK, code, number, brand, {"gone": "1"})
                self._count("click", "gone")
                return answers.show(environ, start_response, "410 Gone", answers.GONE)
        else:
            try:
                destination = personal.fill(link.destination, values)
            except (LookupError, ValueError):
                destination = None
        target = None if destination is None else read_location(brand, destination)
        return self._follow(environ, start_response, code, number, brand, target)

    def _follow(  # noqa: PLR0917  # by position: keywords cost on the hot path
        self,
        environ: Environ,
        start_response: StartResponse,
        code: str,
        number: int,
        brand: Brand,
        target: str | None,
    ) -> Iterable[bytes]:
        """Record the click and lead on; where the brand does not allow it, a page, and the record says so too."""
        if target is None:
            self._records.keep(environ, HitKind.CLICK, code, number, brand, {"blocked": "1"})
            self._count("click", "blocked")
            return answers.show(environ, start_response, "410 Gone", answers.BLOCKED)
        kept = self._records.keep(environ, HitKind.CLICK, code, number, brand)
        self._count("click", "recorded" if kept else "dropped")
        return answers.redirect(environ, start_response, target)

    def _unsubscribe(self, environ: Environ, start_response: StartResponse, code: str) -> Iterable[bytes]:
        """GET shows a page with a button and changes nothing; its record is evidence, because who follows every link
        of a message follows this one too. POST unsubscribes (RFC 8058 and the button)."""
        method = environ["REQUEST_METHOD"]
        if method not in ("GET", "HEAD", "POST"):
            return self._refuse(environ, start_response, "unsubscribe", "GET, HEAD, POST")
        # Read to the end before anything else: an unread body breaks the connection to nginx.
        form = read_form(environ) if method == "POST" else b""
        if "HTTP_X_TELLTALE_BRAND" in environ:  # a webhook of ours, sent to where its events come from
            self._count("unsubscribe", "loop")
            return answers.show(environ, start_response, "508 Loop Detected", answers.NOT_ALLOWED)
        number = self._codes.decode(code)
        if number is None:
            if code.startswith(SEALED):
                return self._sealed.unsubscribe(environ, start_response, code[len(SEALED) :], form)
            code, number = self._without_full_stop(code)
        try:
            brand, block = self._find(environ, number)
        except StoreUnavailable:
            if method == "POST":
                self._keep_unsubscribe(environ, code, number, form)
            return self._unavailable(environ, start_response, "unsubscribe")
        except TooManyMisses as error:
            return self._limited(environ, start_response, "unsubscribe", error.seconds)
        if brand is None or block is None or number is None or block.slot_of(number) != Slot.UNSUBSCRIBE:
            self._count("unsubscribe", "unknown")
            return answers.show(environ, start_response, "404 Not Found", answers.NOT_FOUND)
        if method != "POST":
            self._records.keep(environ, HitKind.UNSUBSCRIBE, code, number, brand)
            self._count("unsubscribe", "page")
            return answers.show(environ, start_response, "200 OK", answers.ask_page(brand.page))
        kept = self._keep_unsubscribe(environ, code, number, form)
        try:
            self._unsubscribes.apply(brand, block, block.message_of(number), clock.now_ms())
        except StoreUnavailable:
            # Ingest will do it from the journal; the caller is told to ask again, and may.
            return self._unavailable(environ, start_response, "unsubscribe")
        self._count("unsubscribe", "recorded" if kept else "dropped")
        return answers.show(environ, start_response, "200 OK", answers.done_page(brand.page))

    def _without_full_stop(self, code: str) -> tuple[str, int | None]:
        """A code at the end of a sentence in an SMS, whose full stop the phone took for a part of the link."""
        code = code.removesuffix(".")
        return code, self._codes.decode(code)

    def _find(self, environ: Environ, number: int | None) -> tuple[Brand | None, Block | None]:
        """The host's brand, and the number's block when it belongs to that brand.

        Raises:
            StoreUnavailable: the block is in no cache and MongoDB does not answer.
            TooManyMisses: the block is not in memory, and this client has asked for too many that do not exist.
        """
        brand = self._brands.by_host(environ.get("HTTP_HOST", ""))
        if number is None or brand is None:
            return None, None
        block = self._blocks.cached(number)
        if block is None:
            client = environ.get("REMOTE_ADDR", "")
            self._misses.check(client)
            block = self._blocks.find(number)
            if block is None or block.brand_id != brand.id:
                self._misses.add(client)
        if block is None or block.brand_id != brand.id:
            return None, None
        return brand, block

    def _keep_unsubscribe(self, environ: Environ, code: str, number: int | None, form: bytes) -> bool:
        brand = self._brands.by_host(environ.get("HTTP_HOST", ""))
        if brand is None or number is None:
            return False
        return self._records.keep(environ, HitKind.UNSUBSCRIBE, code, number, brand, how_posted(form))

    def _refuse(self, environ: Environ, start_response: StartResponse, kind: str, allow: str) -> Iterable[bytes]:
        self._count(kind, "not_allowed")
        return answers.show(environ, start_response, "405 Method Not Allowed", answers.NOT_ALLOWED, ("Allow", allow))

    def _unavailable(self, environ: Environ, start_response: StartResponse, kind: str) -> Iterable[bytes]:
        self._count(kind, "unavailable")
        return answers.unavailable(environ, start_response)

    def _limited(self, environ: Environ, start_response: StartResponse, kind: str, seconds: int) -> Iterable[bytes]:
        self._count(kind, "limited")
        return answers.show(
            environ, start_response, "429 Too Many Requests", answers.WAIT, ("Retry-After", str(seconds))
        )

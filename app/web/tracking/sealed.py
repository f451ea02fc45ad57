"""The sealed forms `/o/s/… /c/s/… /u/s/…`: a token says everything itself, so no store is asked where it leads.

A token that does not open for this host's brand and this purpose is unknown, whatever is wrong with it.
"""

from __future__ import annotations

from collections.abc import Iterable

from app.brands import Brand
from app.errors import StoreUnavailable
from app.lib import clock
from app.models.record import HitKind
from app.privacy.token_keys import Refusal
from app.tracking.tokens import TokenContent, TokenPurpose
from app.web.tracking import answers, ports
from app.web.tracking.answers import Environ, StartResponse
from app.web.tracking.records import Records, how_posted
from app.web.tracking.targets import read_location

SEALED = "s/"
"""Between the path and a token. No code has a slash."""


class Sealed:
    """Called by `front`, which has looked at the method."""

    def __init__(
        self,
        brands: ports.Brands,
        tokens: ports.Tokens,
        unsubscribes: ports.Unsubscribes,
        records: Records,
        count: ports.CountHit,
    ) -> None:
        self._brands = brands
        self._tokens = tokens
        self._unsubscribes = unsubscribes
        self._records = records
        self._count = count

    def open(self, environ: Environ, start_response: StartResponse, token: str) -> Iterable[bytes]:
        """Always the pixel; a record when the token opens."""
        brand, content = self._read(environ, "open", TokenPurpose.OPEN, token)
        if brand is not None and content is not None:
            kept = self._records.keep(environ, HitKind.OPEN, "", None, brand, token=token)
            self._count("open", "recorded" if kept else "dropped")
        return answers.pixel(environ, start_response)

    def click(self, environ: Environ, start_response: StartResponse, token: str) -> Iterable[bytes]:
        """302 to the destination that the token carries, under the brand's policy of now."""
        brand, content = self._read(environ, "click", TokenPurpose.CLICK, token)
        if brand is None or content is None:
            return answers.show(environ, start_response, "404 Not Found", answers.NOT_FOUND)
        # Not remembered: it may be about a person.
        target = None if content.destination is None else read_location(brand, content.destination)
        if target is None:
            self._records.keep(environ, HitKind.CLICK, "", None, brand, {"blocked": "1"}, token)
            self._count("click", "blocked")
            return answers.show(environ, start_response, "410 Gone", answers.BLOCKED)
        kept = self._records.keep(environ, HitKind.CLICK, "", None, brand, token=token)
        self._count("click", "recorded" if kept else "dropped")
        return answers.redirect(environ, start_response, target)

    def unsubscribe(self, environ: Environ, start_response: StartResponse, token: str, form: bytes) -> Iterable[bytes]:
        """As with a code: only POST changes something, and it has when it is answered."""
        brand, content = self._read(environ, "unsubscribe", TokenPurpose.UNSUBSCRIBE, token)
        if brand is None or content is None:
            return answers.show(environ, start_response, "404 Not Found", answers.NOT_FOUND)
        if environ["REQUEST_METHOD"] != "POST":
            self._records.keep(environ, HitKind.UNSUBSCRIBE, "", None, brand, token=token)
            self._count("unsubscribe", "page")
            return answers.show(environ, start_response, "200 OK", answers.ask_page(brand.page))
        kept = self._records.keep(environ, HitKind.UNSUBSCRIBE, "", None, brand, how_posted(form), token)
        try:
            self._unsubscribes.apply_token(brand, content, clock.now_ms())
        except StoreUnavailable:
            # Ingest will do it from the journal; the caller is told to ask again, and may.
            self._count("unsubscribe", "unavailable")
            return answers.unavailable(environ, start_response)
        self._count("unsubscribe", "recorded" if kept else "dropped")
        return answers.show(environ, start_response, "200 OK", answers.done_page(brand.page))

    def _read(
        self, environ: Environ, kind: str, purpose: TokenPurpose, token: str
    ) -> tuple[Brand | None, TokenContent | None]:
        """The host's brand, and what the token says to it; what does not open is counted by reason."""
        brand = self._brands.by_host(environ.get("HTTP_HOST", ""))
        found = Refusal.MALFORMED if brand is None else self._tokens.check(brand.id, purpose, token)
        if isinstance(found, TokenContent):
            return brand, found
        self._count(kind, "unknown" if found is Refusal.MALFORMED else found.value)
        return brand, None

"""Makes the journal records of hits: what a line may hold of a request, and nothing else of it."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, urlencode

from app.brands import Brand
from app.lib import clock, ids
from app.models.record import RECORD_VERSION, HitKind, Record
from app.tracking.codes import MAX_LENGTH
from app.tracking.tokens import TokenContent, TokenPurpose
from app.web.tracking.ports import Journal, Tokens
from config.scrub import scrub

Environ = dict[str, Any]

_MAX_FORM_BYTES = 65_536
_MAX_QUERY_CHARS = 4096
_MAX_QUERY_FIELDS = 20
_FIELDS_KEY = "p"
_PURPOSE_HEADERS = ("HTTP_SEC_PURPOSE", "HTTP_PURPOSE", "HTTP_X_PURPOSE", "HTTP_X_MOZ")
_PURPOSES = ("prefetch", "prerender", "preview")
_HTTPS, _LANGUAGE, _METADATA, _EMPTY, _PRIVACY = 1, 2, 4, 8, 16
# All that can be said, made once: putting letters together at every hit costs more than finding them out.
_FACTS = tuple(
    ("s" if bits & _HTTPS else "h")
    + "".join(
        letter for bit, letter in ((_LANGUAGE, "l"), (_METADATA, "m"), (_EMPTY, "e"), (_PRIVACY, "p")) if bits & bit
    )
    for bits in range(32)
)


class Records:
    """Writes hits to this process's journal.

    Args:
        tokens: opens `p=` on a pixel, because only what opens is kept.
    """

    def __init__(self, journal: Journal, tokens: Tokens) -> None:
        self._journal = journal
        self._tokens = tokens

    def keep(  # noqa: PLR0917  # by position: keywords cost on the hot path
        self,
        environ: Environ,
        kind: HitKind,
        code: str,
        number: int | None,
        brand: Brand,
        headers: dict[str, str] | None = None,
        token: str = "",
    ) -> bool:
        """Write the record of a hit; False when the journal did not take it.

        Args:
            headers: instead of what a prefetch says of itself.
            token: the sealed form; `code` is then empty and `number` None.
        """
        at_ms, hex_id = _hit(environ.get("TELLTALE_HIT", ""))
        if headers is None:
            headers = {}
            for name in _PURPOSE_HEADERS:
                if name in environ and (headers := _purpose(environ[name])):
                    break
        query = environ.get("QUERY_STRING", "")
        return self._journal.append(
            Record(
                RECORD_VERSION,
                hex_id,
                kind,
                at_ms,
                environ.get("HTTP_HOST", ""),
                code[:MAX_LENGTH],
                environ["REQUEST_METHOD"],
                environ.get("REMOTE_ADDR", ""),
                environ.get("HTTP_USER_AGENT", ""),
                self._kept_query(query, brand, kind) if query else "",
                headers,
                number,
                token,
                _facts(environ),
            )
        )

    def _kept_query(self, query: str, brand: Brand, kind: HitKind) -> str:
        """The fields a brand may pass in the clear, but for values that look personal, and on a pixel the first sealed
        `p` if it is one of this brand; nothing else reaches the journal. The sealed one stands first: a query that is
        too long loses its end."""
        if not brand.metadata_keys and "p=" not in query:
            return ""
        try:
            fields = parse_qsl(query[:_MAX_QUERY_CHARS], max_num_fields=_MAX_QUERY_FIELDS)
        except ValueError:
            return ""
        kept: list[tuple[str, str]] = []
        sealed = next((value for key, value in fields if key == _FIELDS_KEY), None)
        if sealed and kind is HitKind.OPEN and self._opens(brand, sealed):
            kept.append((_FIELDS_KEY, sealed))
        kept += [
            (key, value)
            for key, value in fields
            if key in brand.metadata_keys and key != _FIELDS_KEY and scrub(value) == value
        ]
        return urlencode(kept)

    def _opens(self, brand: Brand, sealed: str) -> bool:
        return isinstance(self._tokens.check(brand.id, TokenPurpose.FIELDS, sealed), TokenContent)


def read_form(environ: Environ) -> bytes:
    """The body of a POST, to the end: an unread one breaks the connection to nginx."""
    try:
        length = int(environ.get("CONTENT_LENGTH") or 0)
    except ValueError:
        length = 0
    body: bytes = environ["wsgi.input"].read(max(0, min(length, _MAX_FORM_BYTES)))
    return body


def how_posted(form: bytes) -> dict[str, str]:
    """`headers` of an unsubscribe: by the mail program (RFC 8058) or by the button."""
    return {"form": "one_click" if b"List-Unsubscribe" in form and b"One-Click" in form else "link"}


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


def _facts(environ: Environ) -> str:
    """What the headers say, as letters of `Record.facts`, and nothing of how they say it. nginx knows the scheme;
    without it nobody does, and it counts as http, which makes no hit suspect."""
    bits = _HTTPS if environ.get("TELLTALE_SCHEME") == "https" else 0
    language = environ.get("HTTP_ACCEPT_LANGUAGE")
    if language and not language.isspace():
        bits |= _LANGUAGE
    destination = environ.get("HTTP_SEC_FETCH_DEST")
    if destination is not None:
        bits |= _EMPTY if destination == "empty" else _METADATA
    elif "HTTP_SEC_FETCH_SITE" in environ or "HTTP_SEC_FETCH_MODE" in environ or "HTTP_SEC_FETCH_USER" in environ:
        bits |= _METADATA
    if ("HTTP_DNT" in environ and environ["HTTP_DNT"] == "1") or (
        "HTTP_SEC_GPC" in environ and environ["HTTP_SEC_GPC"] == "1"
    ):
        bits |= _PRIVACY
    return _FACTS[bits]


def _purpose(value: str) -> dict[str, str]:
    """The words of a prefetch header that mean something; whatever else a client writes there may be about a person."""
    value = value.lower()
    known = ",".join(word for word in _PURPOSES if word in value)
    return {"purpose": known} if known else {}

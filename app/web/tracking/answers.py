"""Everything the front answers with, made once: header lists, the pixel, the small pages."""

from __future__ import annotations

import html
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any

from app.brands import Page

Environ = dict[str, Any]
StartResponse = Callable[..., Any]
Headers = list[tuple[str, str]]

PIXEL = bytes.fromhex(
    "47494638396101000100800000"  # GIF89a, 1×1, a palette of two colours
    "000000ffffff"
    "21f90401000000002c00000000010001000002024401003b"  # colour 0 is transparent; one pixel of it
)

# Never cached, tells nobody where it was asked from, is in no index: design section 3.
COMMON: Headers = [
    ("Cache-Control", "no-store, no-cache, must-revalidate, private"),
    ("Referrer-Policy", "no-referrer"),
    ("X-Robots-Tag", "noindex"),
]
PIXEL_HEADERS: Headers = [("Content-Type", "image/gif"), ("Content-Length", str(len(PIXEL))), *COMMON]

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
<meta name="robots" content="noindex"><title>{title}</title>
<style>body{{font:17px/1.5 system-ui,sans-serif;color:#222;background:#f6f6f4;margin:0;display:grid;min-height:100vh;\
place-items:center}}main{{background:#fff;max-width:26rem;margin:1rem;padding:2rem;border-radius:12px;\
border-top:6px solid {colour};box-shadow:0 2px 12px #0001}}h1{{font-size:1.3rem;margin:0 0 .6rem}}\
button{{font:inherit;font-weight:600;color:#fff;background:{colour};border:0;border-radius:8px;padding:.7rem 1.4rem;\
cursor:pointer}}button:focus-visible{{outline:3px solid #000}}</style></head>
<body><main><h1>{title}</h1><p>{message}</p>{form}</main></body></html>
"""
_FORM = '<form method="post"><button type="submit">{button}</button></form>'


def page_headers(body: bytes) -> Headers:
    return [
        ("Content-Type", "text/html; charset=utf-8"),
        ("Content-Length", str(len(body))),
        ("X-Content-Type-Options", "nosniff"),
        ("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'"),
        *COMMON,
    ]


def _page(title: str, message: str, colour: str = "#555555", button: str = "") -> bytes:
    form = _FORM.format(button=html.escape(button)) if button else ""
    text = _PAGE.format(title=html.escape(title), message=html.escape(message), colour=colour, form=form)
    return text.encode()


NOT_FOUND = _page("This link is not known", "It may have been cut off when it was copied.")
UNAVAILABLE = _page("One moment, please", "The page cannot be opened right now. Please try again in a minute.")
BLOCKED = _page(
    "This link is closed",
    "It led to a site that we do not open links to any more, so we stopped here. You do not need to do anything.",
)
GONE = _page(
    "This page is no longer available", "The link was made for one person, and that page is not kept any more."
)
AHEAD = _page("Not before it is opened", "This page is loaded when somebody opens its link.")
WAIT = _page("One moment, please", "Too many unknown links were opened from here. Please try again in a minute.")
NOT_ALLOWED = _page("Not possible", "This address only answers to opening a link.")


def show(
    environ: Environ, start_response: StartResponse, status: str, body: bytes, *more: tuple[str, str]
) -> Iterable[bytes]:
    """Answer with a page.

    Args:
        more: headers besides those of every page.
    """
    start_response(status, [*page_headers(body), *more])
    return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]


def unavailable(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """A store is away; soon it will not be."""
    return show(environ, start_response, "503 Service Unavailable", UNAVAILABLE, ("Retry-After", "30"))


def pixel(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    start_response("200 OK", PIXEL_HEADERS)
    return [] if environ["REQUEST_METHOD"] == "HEAD" else [PIXEL]


def redirect(environ: Environ, start_response: StartResponse, target: str) -> Iterable[bytes]:
    """To a target from `targets`, and nowhere else.

    Not for a browser that loads ahead (speculation rules): it keeps the answer for minutes in spite of `no-store` and
    asks nobody when the person clicks. A status of failure is what it does not keep (Chromium 156; a 204 would be the
    answer to the click). Scanners do not send the header, older ways to prefetch obey `no-store`: both are redirected.
    """
    if "HTTP_SEC_PURPOSE" in environ and _is_ahead(environ["HTTP_SEC_PURPOSE"]):
        return show(environ, start_response, "503 Service Unavailable", AHEAD)
    start_response("302 Found", [("Location", target), ("Content-Length", "0"), *COMMON])
    return []


def _is_ahead(purpose: str) -> bool:
    purpose = purpose.lower()
    return "prefetch" in purpose or "prerender" in purpose


@lru_cache(maxsize=256)
def ask_page(page: Page) -> bytes:
    """Asks whether to unsubscribe. Nothing happens before the button is pressed."""
    return _page(page.title, page.message, page.colour, page.button)


@lru_cache(maxsize=256)
def done_page(page: Page) -> bytes:
    return _page(page.title, page.done, page.colour)

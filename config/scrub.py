"""Takes out of a text what may name a person or open something: the last net behind "do not write it down at all".

Used by `logging` and `sentry`. It knows shapes, not meaning: a person's name has none, so texts by strangers (an
exception's message, a request) never come here but are dropped as a whole.
"""

from __future__ import annotations

import re
from urllib.parse import urlsplit

_ADDRESS = re.compile(r"[^\s\"'<>(),;:]+(?:@|%40)[^\s\"'<>(),;:]+")
# Ten digits and more, however grouped: a phone number. Shorter ones are ports, line numbers, counts.
_PHONE = re.compile(r"(?<![\w.])(?:\+|00)\d(?:[ ()./-]?\d){6,14}(?!\w)|(?<![\w.])0\d(?:[ ()./-]?\d){7,13}(?!\w)")
_URL = re.compile(r"\b[a-z][a-z0-9+.-]{1,15}://[^\s\"'<>]+", re.IGNORECASE)
_OURS = re.compile(r"/([ocu]|in)/.*", re.DOTALL)
# What follows one of our prefixes in a text that is not a whole URL.
_CODE = re.compile(r"/([ocu])/(?:s/)?[A-Za-z0-9_.~-]+")


def scrub(text: str, limit: int = 300) -> str:
    """A text of ours without addresses, phone numbers, URLs' secrets and tracking codes, cut to `limit` characters."""
    text = _URL.sub(lambda found: scrub_url(found.group()), text[: 4 * limit])
    text = _CODE.sub(r"/\1/…", text)
    text = _PHONE.sub("…", _ADDRESS.sub("…", text))
    return text if len(text) <= limit else text[: limit - 1] + "…"


def scrub_url(url: str) -> str:
    """A URL without user, password, query, fragment, and without the code that stands in a path of ours."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return "…"
    return f"{parts.scheme}://{host}{port}{scrub_path(parts.path)}" if parts.scheme else scrub_path(parts.path)


def scrub_path(path: str) -> str:
    """A path of ours: `/c/…` for a link, `/v1/messages/…` for whatever follows a second segment."""
    found = _OURS.fullmatch(path)
    if found:
        return f"/{found[1]}/…"
    head = path.split("/")[:3]
    return "/".join(head) + ("/…" if path.count("/") > 2 else "")

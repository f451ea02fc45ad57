"""Where a brand's links may lead: asked for every link of a request, before anything is stored.

`app.tracking` finds the links it can track and leaves the rest alone; here the rest is looked at too, so that a
link which nobody could follow, or which runs a program, is an error that names its place instead of a silent gap.
"""

from __future__ import annotations

import re

from app.brands.brand import Brand
from app.errors import InvalidRequest
from app.lib.http_url import check_destination
from app.tracking.html_scan import attributes, decode_attribute, tokens
from app.tracking.link_table import web_destination

_MAX_FAULTS = 20
# As a browser finds the scheme: white space and controls in front and inside do not count (URL standard, 4.4).
_IGNORED = {code: None for code in (*range(0x21), 0x7F)}
# Not links to a page: they run, or they show, what the message itself brought along. App schemes, mailto, tel are fine.
_REFUSED_SCHEME = re.compile(r"(?:javascript|vbscript|data|file|ftp|blob|view-source|about):", re.IGNORECASE)
_WEB_SCHEME = re.compile(r"https?:", re.IGNORECASE)


class Destinations:
    """Collects what is wrong with the links of one request, to tell it all at once."""

    def __init__(self, brand: Brand) -> None:
        self.pointer = ""
        """The part of the request that is being read."""
        self._brand = brand
        self._faults: list[dict[str, str]] = []
        self._known: set[str] = set()

    def accept(self, url: str) -> None:
        """Look at a destination that will be tracked; for `plan_html` and `plan_text`."""
        if url in self._known:
            return
        self._known.add(url)
        try:
            host = check_destination(url)
        except ValueError as error:
            self._refuse(str(error))
            return
        if not self._brand.allows_destination(host):
            self._refuse("leads outside the domains that the brand allows")

    def check_untracked(self, html: str) -> None:
        """Look at the links that are not tracked because they are no http(s) URL.

        Raises:
            UnparsableHtml: the document has no sensible reading.
        """
        for token in tokens(html):
            if token.name not in ("a", "area"):
                continue
            for attribute in attributes(html, token):
                if attribute.name == "href":
                    self._check_href(decode_attribute(attribute.value))
                    break  # the first of two wins

    def _check_href(self, value: str) -> None:
        if "{{" in value or "{%" in value or web_destination(value) is not None:
            return
        compact = value[:4096].translate(_IGNORED)
        if _REFUSED_SCHEME.match(compact):
            self._refuse("is not a link to a page (http or https)")
        elif _WEB_SCHEME.match(compact):
            self._refuse("is not a well-formed http or https URL")

    def _refuse(self, why: str) -> None:
        # The URL itself is not repeated: it may be personal.
        if len(self._faults) < _MAX_FAULTS:
            self._faults.append({"pointer": self.pointer, "detail": f"a link {why}"})

    def finish(self) -> None:
        """Raise when a destination was refused.

        Raises:
            InvalidRequest: (422) with one entry per refused link.
        """
        if self._faults:
            raise InvalidRequest(
                "A link leads where it may not.", code="invalid_destination", errors=self._faults, status=422
            )

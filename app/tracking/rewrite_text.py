"""Plain text and SMS rewriting: finds http(s) URLs by the punctuation rules people write with. `template` renders."""

from __future__ import annotations

import re
from collections.abc import Callable

from app.models.block import Slot
from app.tracking.link_table import LinkTable, web_destination
from app.tracking.rewrite_html import UNSUBSCRIBE_PLACEHOLDER
from app.tracking.template import Splice, Template, assemble, refuse_lone_surrogates

# Any scheme is found, so that a URL inside an app's own URL (`shop://open?to=https://…`) is left alone with it.
# After "git+" or "view-" stands another scheme, not ours; "list:https://…" and "-https://…" are punctuation.
# What ends a URL: blanks, controls, quotes, angle brackets, and the punctuation of scripts that put no blank after it.
_URL = re.compile(
    r"""(?<![A-Za-z0-9])(?<![A-Za-z0-9][+\-])"""
    r"""(?:[A-Za-z][A-Za-z0-9]{0,15}://|(?i:mailto|sms|smsto|tel|data|intent|javascript):)"""
    r"""[^\s\x00-\x1f\x7f<>"`…«»‹›“”„‘’。，、；：！？（）【】《》〈〉「」『』]++"""
)
_TRAILING = ".,;:!?'"
_CLOSERS = {")": "(", "]": "[", "}": "{"}
_OPENERS = {opener: closer for closer, opener in _CLOSERS.items()}
_EMPHASIS = "*_~"


def plan_text(text: str, table: LinkTable, *, accept: Callable[[str], None], track_clicks: bool) -> Template:
    """Analyse one text part or SMS.

    Args:
        table: gives a URL the slot of its twin in the html, if there is one (plan the html first).
        accept: called with each destination that will be tracked; raises InvalidRequest when the brand forbids it.
        track_clicks: False fills `{{unsubscribe_url}}` only.

    Raises:
        InvalidRequest: too many links, a forbidden destination, half of a surrogate pair.
    """
    refuse_lone_surrogates(text)
    splices = [
        Splice(found.start(), found.end(), (int(Slot.UNSUBSCRIBE),)) for found in UNSUBSCRIBE_PLACEHOLDER.finditer(text)
    ]
    if track_clicks:
        for found in _URL.finditer(text):
            start = found.start()
            end = start + _length(found[0], text[start - 1 : start])
            destination = web_destination(text[start:end])
            if destination is None:
                continue
            accept(destination)
            splices.append(Splice(start, end, (table.shared(destination),)))
    return assemble(text, splices, escape=False)


def _length(url: str, before: str) -> int:
    """How much of `url` is the URL: punctuation that belongs to the sentence around it does not count.

    Args:
        before: the character in front of it, or nothing.
    """
    end = len(url)
    if before in _OPENERS:
        end = _before_closer(url, before, _OPENERS[before])
    # Counted once and kept up to date, so that a run of brackets is not counted again for each of them.
    surplus = {closer: url.count(closer, 0, end) - url.count(opener, 0, end) for closer, opener in _CLOSERS.items()}
    while end:
        last = url[end - 1]
        if surplus.get(last, 0) > 0:
            surplus[last] -= 1
        elif last not in _TRAILING and not (before and last == before and last in _EMPHASIS):
            break
        end -= 1
    return end


def _before_closer(url: str, opener: str, closer: str) -> int:
    """Where the bracket that stands in front of the URL is closed, or the URL's end: `[text](https://x.example)[…`."""
    depth = 0
    for found in re.finditer(f"[{re.escape(opener + closer)}]", url):
        depth += 1 if found[0] == opener else -1
        if depth < 0:
            return found.start()
    return len(url)

"""Plain text and SMS rewriting: finds http(s) URLs by the punctuation rules people write with. `template` renders."""

from __future__ import annotations

import re
from collections.abc import Iterator

from app.tracking.findings import Findings
from app.tracking.link_reasons import Action
from app.tracking.link_rules import LinkRules, decide
from app.tracking.link_table import LinkTable
from app.tracking.personal import NAME, PLACE
from app.tracking.placeholders import unsubscribe_splices
from app.tracking.template import Splice, Template, assemble, refuse_lone_surrogates

_PLACE = rf"\{{\{{[ \t]*+{NAME}[ \t]*+\}}\}}"
# Any scheme is found, so that a URL inside an app's own URL (`shop://open?to=https://…`) is left alone with it.
# After "git+" or "view-" stands another scheme, not ours; "list:https://…" and "-https://…" are punctuation.
# What ends a URL: blanks, controls, quotes, angle brackets, and the punctuation of scripts that put no blank after it.
_URL = re.compile(
    r"""(?<![A-Za-z0-9])(?<![A-Za-z0-9][+\-])"""
    r"""(?:[A-Za-z][A-Za-z0-9]{0,15}://|(?i:mailto|sms|smsto|tel|data|intent|javascript):)"""
    rf"""(?:{_PLACE}|[^\s\x00-\x1f\x7f<>"`…«»‹›“”„‘’。，、；：！？（）【】《》〈〉「」『』])++"""
)
# A placeholder that stands alone is a link when it is called one; any other may be the reader's name.
_LINK_NAME = re.compile(r"(?:.*_)?(?:url|link)", re.IGNORECASE)
_TRAILING = ".,;:!?'"
_CLOSERS = {")": "(", "]": "[", "}": "{"}
_OPENERS = {opener: closer for closer, opener in _CLOSERS.items()}
_EMPHASIS = "*_~"


def plan_text(text: str, table: LinkTable, rules: LinkRules, findings: Findings, *, part: str = "text") -> Template:
    """Analyse one text part or SMS. Refused links are left alone here: look at `findings.refused`.

    `{{ name }}` alone is a personalised link when the rules know its value and the html has the same one as a link, or
    its name is or ends in `url` or `link`.

    Args:
        table: gives a URL the slot of its twin in the html, if there is one (plan the html first).
        findings: takes what happens to each link, under the name `part`.

    Raises:
        InvalidRequest: too many links, half of a surrogate pair.
    """
    refuse_lone_surrogates(text)
    findings.begin(part, text)
    splices = unsubscribe_splices(text)
    inside: set[int] = set()  # where the placeholders within URLs begin
    for found in _URL.finditer(text):
        start = found.start()
        url = text[start : start + _length(found[0], text[start - 1 : start])]
        decision = decide(url, rules)
        slot = None
        if decision.action is Action.TRACKED:
            slot = table.shared(decision.destination, personal=decision.personal)
            splices.append(Splice(start, start + len(url), (slot,)))
        if "{{" in url:
            inside.update(start + place.start() for place in PLACE.finditer(url))
        findings.add(decision, url, start, slot)
    if rules.values and "{{" in text:
        splices += _lone_places(text, table, rules, findings, inside)
    return assemble(text, splices, escape=False)


def _lone_places(
    text: str, table: LinkTable, rules: LinkRules, findings: Findings, inside: set[int]
) -> Iterator[Splice]:
    """Placeholders that are whole URLs."""
    for place in PLACE.finditer(text):
        if place.start() in inside or not (table.knows("{{" + place[1] + "}}") or _LINK_NAME.fullmatch(place[1])):
            continue
        decision = decide(place[0], rules)
        if decision.action is Action.TRACKED:
            slot = table.shared(decision.destination, personal=True)
            findings.add(decision, place[0], place.start(), slot)
            start, end = place.span()
            if text[start - 1 : start] == "{" and text[end : end + 1] == "}":  # {{{ name }}}: the same, not escaped
                start, end = start - 1, end + 1
            yield Splice(start, end, (slot,))


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

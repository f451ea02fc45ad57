"""What happens to a link: the one place that decides it, for html, text, whole MIME messages and the linter alike.

`link_reasons` has the closed sets of outcomes, `app.lib.http_url.read_destination` says what a redirect can lead to:
nothing is tracked that the front would not follow. The order of the questions is what the author can do about it:
first what the link is (a fragment, a placeholder, mailto:), then what the brand forbids, then what it leaves alone.

A link that cannot be tracked safely is the author's own and is left as it is, with a caution. Refused is only what
the brand's configuration forbids.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import idna

from app.lib.http_url import (
    MAX_DESTINATION_LENGTH,
    covers,
    is_public_domain,
    normalise_domain,
    read_destination,
)
from app.tracking import utm
from app.tracking.link_reasons import Action, Caution, Reason
from app.tracking.personal import NAME, PLACE, RESERVED_NAMES, encoded, fill, is_whole

# URL standard, "basic URL parser": C0 controls and spaces at the ends go, tabs and newlines go everywhere.
# NUL is not among them: HTML has turned it into U+FFFD before a URL parser sees it.
_ENDS = "".join(map(chr, range(0x01, 0x21)))
_INSIDE = str.maketrans("", "", "\t\n\r")

_WEB = re.compile(r"https?://", re.IGNORECASE)
_AUTHORITY = re.compile(r"https?://([^/?#\\]*)", re.IGNORECASE)
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):", re.ASCII)
# They run, or show what they hold themselves, or read the reader's own files. App schemes, mailto and tel do not.
_UNSAFE_SCHEMES = frozenset({"javascript", "vbscript", "data", "file", "ftp", "blob", "view-source", "about"})
_WEB_SCHEMES = frozenset({"http", "https"})
_WWW = re.compile(r"www\.", re.IGNORECASE)

# Marks of template languages: Jinja and Handlebars (as editors escape them, too), ERB, shell style, Mailchimp,
# Salesforce. Filled after us, so the URL is not known yet. Those that URLs hold by themselves count only as a pair:
# `?json={%22a%22:1}` is no template.
_MARK = re.compile(
    r"\{\{|%7[Bb]%7[Bb]|<%|\{%(?![0-9A-Fa-f]{2})|\{%[^{}]*%\}|\$\{[^{}]*\}|\*\|[^|]*\|\*|%%[A-Za-z_=][^%]*%%"
)
_BLANK = r"(?:[ \t\u00a0]|%20|\+)*+"
_ANY_PLACE = re.compile(
    rf"\{{\{{\{{{_BLANK}({NAME}){_BLANK}\}}\}}\}}|(?:\{{\{{|%7[Bb]%7[Bb]){_BLANK}({NAME}){_BLANK}(?:\}}\}}|%7[Dd]%7[Dd])"
)

_BLANKS = re.compile(r"\s")
_INVISIBLE = re.compile(
    "[\u00ad\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180e\u200b-\u200d\u2060-\u2064\u3164\ufeff\uffa0]"
)
_BIDI = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*", re.IGNORECASE)
# Scripts that one word of Japanese, Korean or Chinese mixes, Latin letters among them (UTS 39, "Highly Restrictive").
_EAST_ASIAN = frozenset({"LATIN", "CJK", "HIRAGANA", "KATAKANA", "HANGUL", "BOPOMOFO"})
_LETTERLESS = frozenset({"DIGIT", "HYPHEN-MINUS", "LOW", "KATAKANA-HIRAGANA", "IDEOGRAPHIC", "COMBINING", "MIDDLE"})


def _any_host(host: str) -> bool:
    return is_public_domain(host)


@dataclass(frozen=True, slots=True)
class LinkRules:
    """What a brand and a request say about links. Hosts and domains are lower-case A-labels."""

    track_clicks: bool = True
    own_hosts: frozenset[str] = frozenset()
    """The brand's tracking hosts: a link there is one of ours already. Another brand's hosts are foreign like any."""
    untracked_domains: frozenset[str] = frozenset()
    """Each covers what is below it; so does each blocked domain."""
    blocked_domains: frozenset[str] = frozenset()
    """Refused even where nothing is tracked."""
    allows: Callable[[str], bool] = _any_host
    """Whether the brand lets a link lead to this host; False refuses the request."""
    allow_list: bool = False
    """Whether the brand names the only domains it allows. What is outside of them is then forbidden, addresses too."""
    protocol_relative: bool = False
    """`//host/path` is tracked as https instead of being left alone."""
    vml: bool = False
    trap: bool = False
    """Whether html gets a hidden link that only machines follow (`app.tracking.trap`)."""
    utm: utm.UtmParameters | None = None
    values: frozenset[str] = frozenset()
    """The names that every recipient of the request has a value for."""
    app_link_domains: frozenset[str] = frozenset()
    """Known to open an app: a caution when they are tracked."""


class Decision(NamedTuple):
    action: Action
    reason: Reason
    destination: str = ""
    """Where a tracked link leads, with campaign parameters merged in."""
    personal: bool = False
    """`destination` is a template (`app.tracking.personal`)."""
    cautions: tuple[Caution, ...] = ()


def decide(value: str, rules: LinkRules, *, opted_out: bool = False) -> Decision:
    """What happens to a link.

    Args:
        value: the URL as its reader sees it: character references decoded, blanks not yet removed.
        opted_out: its author said `data-track="off"`.
    """
    found = _decide(value.strip(_ENDS).translate(_INSIDE), rules)
    if found.action is Action.TRACKED or found.reason in _OURS_TO_LEAVE:
        # Values are filled in at the redirect, and there will be none.
        cautions = (Caution.FILLED_LATER,) if found.personal else ()
        if opted_out:
            return Decision(Action.LEFT, Reason.OPT_OUT, cautions=cautions)
        if not rules.track_clicks:
            return Decision(Action.LEFT, Reason.CLICKS_OFF, cautions=cautions)
    return found


# Outcomes that only matter to a link that would be tracked.
_OURS_TO_LEAVE = frozenset({Reason.NOT_ALLOWED, Reason.PLACEHOLDER, Reason.UNTRACKED_DOMAIN})


def refusal_of_values(
    template: str, values: Mapping[str, str], rules: LinkRules, encode: Callable[[str], str] = encoded
) -> str | None:
    """Why these values may not fill a personalised destination, or None. One sentence, without the values.

    Args:
        template: the destination of a link that `decide` has called personal.
        encode: as for `personal.fill`.
    """
    try:
        url = fill(template, values, encode)
    except LookupError:
        return "has no value for a personalised link"
    except ValueError:
        return "has a value that changes where a personalised link leads"
    if is_whole(template):
        return None if _may_be_whole(url, rules) else "has a value that is no URL this brand may track"
    # Encoded values are plain characters behind the host: the only thing that can go wrong is the length.
    if len(url) > MAX_DESTINATION_LENGTH or not (url.isascii() or _is_readable(url)):
        return "has values with which a personalised link is too long"
    return None


def _may_be_whole(url: str, rules: LinkRules) -> bool:
    """Untracked domains too: the link is one for all recipients, so it cannot be left alone for a single one."""
    if _MARK.search(url):
        return False
    found = _decide(url, rules)
    if found.reason is Reason.UNTRACKED_DOMAIN:
        return rules.allows(read_destination(url).host)
    return found.action is Action.TRACKED


def _is_readable(url: str) -> bool:
    try:
        read_destination(url)
    except ValueError:
        return False
    return True


def _decide(url: str, rules: LinkRules) -> Decision:
    if not url:
        return Decision(Action.LEFT, Reason.EMPTY)
    if url[0] == "#":
        return Decision(Action.LEFT, Reason.FRAGMENT)
    if rules.protocol_relative and url[:2] == "//":
        url = "https:" + url
    if _MARK.search(url):
        return _with_places(url, rules)
    if _WEB.match(url):
        return _web(url, rules)
    if url[:2] in ("//", "\\\\", "/\\", "\\/"):
        return _left(Reason.PROTOCOL_RELATIVE, Caution.PROTOCOL_RELATIVE_URL)
    return _not_web(url)


def _left(reason: Reason, *cautions: Caution) -> Decision:
    return Decision(Action.LEFT, reason, cautions=cautions)


def _not_web(url: str) -> Decision:
    scheme = _SCHEME.match(url)
    if scheme is None:
        return _left(Reason.RELATIVE, Caution.MISSING_SCHEME if _WWW.match(url) else Caution.RELATIVE_URL)
    name = scheme[1].lower()
    if name in _UNSAFE_SCHEMES:
        return _left(Reason.UNSAFE_SCHEME, Caution.UNSAFE_SCHEME)
    if name in _WEB_SCHEMES:  # https:x.example, https:/x.example
        return _left(Reason.MALFORMED, Caution.MALFORMED_URL)
    if "." in name:  # x.example:8080/path, which a browser takes for a scheme
        return _left(Reason.OTHER_SCHEME, Caution.MISSING_SCHEME)
    return Decision(Action.LEFT, Reason.OTHER_SCHEME)


def _with_places(url: str, rules: LinkRules) -> Decision:
    """Placeholders: ours to fill when each has a value, somebody else's otherwise."""
    names = {_name(place) for place in _ANY_PLACE.finditer(url)}
    if "unsubscribe_url" in names:
        return Decision(Action.LEFT, Reason.UNSUBSCRIBE)
    if names & RESERVED_NAMES:
        return Decision(Action.LEFT, Reason.RESERVED)
    if not names or not names <= rules.values or _MARK.search(_ANY_PLACE.sub("", url)):
        return _left(Reason.PLACEHOLDER, Caution.FILLED_LATER)
    template = _ANY_PLACE.sub(lambda place: "{{" + _name(place) + "}}", url)
    if is_whole(template):
        # No campaign parameters: whether the URL is signed is not known until it is filled.
        return Decision(Action.TRACKED, Reason.PERSONAL, template, personal=True)
    authority = _AUTHORITY.match(template)
    if authority is None or "{{" in authority[1]:
        return _left(Reason.PLACEHOLDER, Caution.PLACEHOLDER_IN_HOST)
    # Anything that is no place is judged as it will be with the plainest of values.
    plain = _web(PLACE.sub("x", template), rules)
    if plain.action is not Action.TRACKED:
        return plain
    destination = template if rules.utm is None else _merged(template, rules.utm)
    return Decision(Action.TRACKED, Reason.PERSONAL, destination, personal=True, cautions=plain.cautions)


def _name(place: re.Match[str]) -> str:
    return place[1] or place[2]


def _web(url: str, rules: LinkRules) -> Decision:
    if len(url) > MAX_DESTINATION_LENGTH:
        return _left(Reason.TOO_LONG, Caution.URL_TOO_LONG)
    try:
        host = read_destination(url).host
    except ValueError:
        return _unreadable(url, rules)
    if covers(rules.blocked_domains, host):
        return Decision(Action.REFUSED, Reason.BLOCKED_DOMAIN)
    if host in rules.own_hosts:
        return Decision(Action.LEFT, Reason.OWN_HOST)
    if covers(rules.untracked_domains, host):
        return Decision(Action.LEFT, Reason.UNTRACKED_DOMAIN)
    if not rules.allow_list and not is_public_domain(host):
        return _left(Reason.PRIVATE_HOST, Caution.PRIVATE_HOST)
    if not rules.allows(host):
        return Decision(Action.REFUSED, Reason.NOT_ALLOWED)
    destination = url if rules.utm is None else _merged(url, rules.utm)
    return Decision(Action.TRACKED, Reason.WEB, destination, cautions=_cautions(url, host, rules))


def _unreadable(url: str, rules: LinkRules) -> Decision:
    """Why it is no destination. What an allow list forbids stays forbidden, however it is wrapped."""
    authority = _AUTHORITY.match(url)
    _, at, rest = authority[1].rpartition("@") if authority else ("", "", "")
    host = _host_of(rest)
    if host is None:
        if not at and _is_address(rest):
            if rules.allow_list:
                return Decision(Action.REFUSED, Reason.NOT_ALLOWED)
            return _left(Reason.PRIVATE_HOST, Caution.PRIVATE_HOST)
    elif at:
        if covers(rules.blocked_domains, host):
            return Decision(Action.REFUSED, Reason.BLOCKED_DOMAIN)
        if rules.allow_list and not rules.allows(host):
            return Decision(Action.REFUSED, Reason.NOT_ALLOWED)
    if at:
        return _left(Reason.USER_INFO, Caution.USER_INFO)
    # What nobody sees is often what makes it malformed.
    unseen = (Caution.INVISIBLE_CHARACTERS, Caution.BIDI_CHARACTERS)
    found = (caution for caution in _cautions(url, "", rules) if caution in unseen)
    return _left(Reason.MALFORMED, Caution.MALFORMED_URL, *found)


def _host_of(authority: str) -> str | None:
    try:
        return normalise_domain(re.sub(r":[0-9]*\Z", "", authority))
    except ValueError:
        return None


def _is_address(authority: str) -> bool:
    """An IPv4 or IPv6 address, or a number that browsers take for one."""
    if authority.startswith("["):
        return True
    host = re.sub(r":[0-9]*\Z", "", authority).removesuffix(".")
    return _NUMBER.fullmatch(host.rpartition(".")[2]) is not None


def _merged(url: str, parameters: utm.UtmParameters) -> str:
    """Without the parameters when the URL would become too long to be followed."""
    merged = utm.merge(url, parameters)
    fits = len(merged) <= MAX_DESTINATION_LENGTH and (url.isascii() or _is_readable(merged))
    return merged if fits else url


def _cautions(url: str, host: str, rules: LinkRules) -> tuple[Caution, ...]:
    plain = url.isascii() and "xn--" not in host
    if plain and " " not in url and not rules.app_link_domains:
        return ()
    found = [Caution.BLANK_IN_URL] if _BLANKS.search(url) else []
    if not plain:
        found += [Caution.INVISIBLE_CHARACTERS] if _INVISIBLE.search(url) else []
        found += [Caution.BIDI_CHARACTERS] if _BIDI.search(url) else []
        found += [Caution.MIXED_SCRIPT_HOST] if any(map(_mixes_scripts, host.split("."))) else []
    found += [Caution.APP_LINK] if covers(rules.app_link_domains, host) else []
    return tuple(found)


def _mixes_scripts(label: str) -> bool:
    """Whether a label (A-label form) has letters of scripts that no language writes together."""
    if not label.startswith("xn--"):
        return False
    try:
        text = idna.ulabel(label)
    except (idna.IDNAError, UnicodeError):
        return False
    # The first word of a letter's name is its script: "LATIN SMALL LETTER A", "CYRILLIC SMALL LETTER A".
    scripts = {unicodedata.name(char, "?").split(" ")[0] for char in text} - _LETTERLESS
    return len(scripts) > 1 and not scripts <= _EAST_ASIAN

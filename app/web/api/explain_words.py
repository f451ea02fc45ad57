"""The words in which `GET /v1/messages/{id}/explain` tells what happened: of signals, programs, networks and verdicts.

Those of reasons are in `app.models.reasons`; what is said of the message as a whole is in `explain_conclusion`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from app.ingest.user_agent_browsers import browser_of
from app.models import signals as bits
from app.models.block import Slot, link_id
from app.models.event import Event, EventKind, Judgement, Verdict
from app.models.reasons import REASONS, SOFT

SIGNALS: Mapping[int, tuple[str, str]] = MappingProxyType(
    {
        bits.HEADERS_SEEN: ("headers_seen", "its headers were looked at"),
        bits.HTTPS: ("https", "it came over https"),
        bits.FETCH_METADATA: ("fetch_metadata", "it had the Sec-Fetch headers of a browser that opens a page"),
        bits.ACCEPT_LANGUAGE: ("accept_language", "it named a language"),
        bits.PRIVACY: ("privacy", "it asked not to be tracked (DNT or Sec-GPC)"),
        bits.NOT_GET: ("not_get", "it was not a GET"),
        bits.PREFETCH: ("prefetch", "it said that it came ahead of a person"),
        bits.TRAP: ("trap", "it was for the hidden link of the message"),
        bits.BLOCKED: ("blocked", "its destination was refused"),
        bits.GONE: ("gone", "the values of its personalised link were gone"),
        bits.PUBLIC_ADDRESS: ("public_address", "it came from an address of the internet"),
        bits.RELAY: ("relay", "it came from Apple's network"),
        bits.MICROSOFT: ("microsoft", "it came from Microsoft's network"),
        bits.GOOGLE: ("google", "it came from Google's network"),
        bits.YAHOO: ("yahoo", "it came from Yahoo's network"),
        bits.CLOUD: ("cloud", "it came from a hosting cloud"),
        bits.SCANNER: ("scanner", "it came from the network of a security scanner"),
    }
)
"""Bit → code and words. The fingerprints of the client above them are never shown."""

_NETWORKS = {
    bits.RELAY: "Apple's network",
    bits.MICROSOFT: "Microsoft's network",
    bits.GOOGLE: "Google's network",
    bits.YAHOO: "Yahoo's network",
    bits.CLOUD: "a hosting cloud",
    bits.SCANNER: "the network of a security scanner",
}
_PROGRAMS = {
    "ua_empty": "a program without a name",
    "ua_bare": "a program that calls itself Mozilla/5.0 and nothing else",
    "apple_mpp": "Apple Mail Privacy Protection",
    "gmail_prefetch": "Gmail, ahead of the person",
    "proxy_gmail": "Gmail's image proxy",
    "proxy_yahoo": "Yahoo's image proxy",
    "proxy_other": "a mail provider's image proxy",
    "proxy_unverified": "a program that calls itself an image proxy",
    "mail_client": "a mail program",
    "link_preview": "the preview of a chat program or social network",
    "scanner_ua": "a security scanner",
    "bot_known": "a known machine",
    "bot_generic": "a bot, library or command-line program",
    "ua_shape": "a program unlike any browser or mail program",
}
"""By the reasons that are about the user agent."""
_BROWSERS = {"chrome": "Chrome", "edge": "Edge", "firefox": "Firefox", "safari": "Safari"}
_VERDICTS = {
    Verdict.HUMAN: "a person",
    Verdict.PROXY: "a person behind a mail provider's proxy",
    Verdict.MACHINE: "a machine",
}
_LEAVING = {
    "one_click": "The mail program's one-click unsubscribe was used",
    "link": "The button on the unsubscribe page was pressed",
}
_UNKNOWN_REASON = "a reason of an earlier rule set"


def signals_of(signals: int) -> list[dict[str, str]]:
    return [{"code": code, "means": words} for bit, (code, words) in SIGNALS.items() if signals & bit]


def reasons_of(reasons: Sequence[str]) -> list[dict[str, str]]:
    return [{"code": code, "means": REASONS.get(code, _UNKNOWN_REASON)} for code in reasons]


def weak_signs(event: Event) -> list[str]:
    """The weak signs that counted against a hit, one point each. On an open they are noted and count nothing."""
    return [] if event.kind is EventKind.OPENED else [code for code in event.judgement.reasons if code in SOFT]


def through(event: Event) -> str:
    """The program as far as the verdict or the user agent shows it, and the networks it came from."""
    named = (_PROGRAMS[code] for code in event.judgement.reasons if code in _PROGRAMS)
    program = next(named, None) or _browser(event.user_agent)
    networks = [words for bit, words in _NETWORKS.items() if event.signals & bit]
    return program + (f", from {' and '.join(networks)}" if networks else "")


def _browser(user_agent: str) -> str:
    browser, major = browser_of(user_agent)
    if browser:
        return f"{_BROWSERS[browser]} {major} or a browser like it"
    return "a browser, mail program or app" if user_agent else "an unknown program"


def what_happened(event: Event) -> str:
    """One sentence without its full stop and without a time."""
    match event.kind:
        case EventKind.SENT:
            return "The message was reported as sent"
        case EventKind.OPENED if event.implied:
            return "The message must have been open, because a link of it was followed"
        case EventKind.OPENED:
            return f"The pixel in the {'header' if event.slot == Slot.PIXEL_HEADER else 'footer'} was loaded"
        case EventKind.CLICKED if event.signals & bits.TRAP:
            return "The hidden link was followed"
        case EventKind.CLICKED:
            return f"The link {link_id(event.slot)} was followed"
        case EventKind.VIEWED:
            return "The unsubscribe page was asked for, which changes nothing"
        case EventKind.UNSUBSCRIBED:
            return _LEAVING.get(event.method or "link", "The recipient was unsubscribed")
        case EventKind.RECLASSIFIED:
            return "The verdict on an event was corrected that is no longer kept"


def judged(event: Event) -> str:
    """The verdict on a hit and why, as one sentence."""
    judgement = event.judgement
    first = ", as the first of its kind" if event.first and judgement.counted else ""
    why = "; ".join(found["means"] for found in reasons_of(judgement.reasons))
    return f"Taken for {_taken_for(judgement)}{first}: {why}."


def corrected(before: Judgement, seconds: float) -> str:
    return f"Until it was corrected {span(seconds)} later, it was taken for {_taken_for(before)}."


def why_corrected(judgement: Judgement) -> str:
    return f"Taken for {_taken_for(judgement)}, because {reasons_of(judgement.reasons[:1])[0]['means']}."


def _taken_for(judgement: Judgement) -> str:
    return f"{_VERDICTS[judgement.verdict]} and {'counted' if judgement.counted else 'not counted'}"


def when(seconds_after_sent: float | None) -> str:
    """What stands behind `what_happened`."""
    if seconds_after_sent is None:
        return ""
    side = "after" if seconds_after_sent >= 0 else "before"
    return f" {span(abs(seconds_after_sent))} {side} the message was sent"


def span(seconds: float) -> str:
    """A length of time in the unit that a person would use."""
    for unit, length, until in (("minute", 60, 7200), ("hour", 3600, 172_800), ("day", 86_400, float("inf"))):
        if seconds >= 120 and seconds < until:
            return f"{seconds // length:.0f} {unit}s"
    return f"{seconds:.1f} seconds"

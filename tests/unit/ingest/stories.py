"""Builds the hits of one message for tests of the decision table: seconds after the hand-over, what, by whom."""

from __future__ import annotations

from dataclasses import dataclass, replace

from app.ingest.classify import Judge
from app.ingest.story import Chapter, Told, tell
from app.models import signals as bits
from app.models.bot_policy import DEFAULT_BOT_POLICY, BotPolicy
from app.models.event import EventKind

START_MS = 1_790_000_000_000
"""2026-09-21: Chrome is at version 155 or so."""
CHROME = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{}.0.0.0 Safari/537.36"
)
PHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Version/18.5 Mobile/15E148 Safari/604.1"
)
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:150.0) Gecko/20100101 Firefox/150.0"
OUTLOOK = "Microsoft Office/16.0 (Windows NT 10.0; Microsoft Outlook 16.0.15225; Pro)"
GOOGLE_PROXY = "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)"
YAHOO_PROXY = "YahooMailProxy; https://help.yahoo.com/kb/yahoo-mail-proxy-SLN28749.html"
SCANNER = "Barracuda Sentinel (EE)"
CURL = "curl/8.9.1"

BROWSER = bits.HEADERS_SEEN | bits.HTTPS | bits.FETCH_METADATA | bits.ACCEPT_LANGUAGE
"""What a browser sends over https."""
HOME = bits.PUBLIC_ADDRESS
LINKS = frozenset(range(4, 9))

OPEN, CLICK, PAGE = EventKind.OPENED, EventKind.CLICKED, EventKind.VIEWED


@dataclass(frozen=True)
class Client:
    """Somebody who makes hits."""

    user_agent: str = CHROME.format(155)
    signals: int = BROWSER | HOME
    address: int = 1
    network: int = 1

    def but(self, **changes: object) -> Client:
        return replace(self, **changes)  # type: ignore[arg-type]

    def without(self, signal: int) -> Client:
        return replace(self, signals=self.signals & ~signal)

    def plus(self, signal: int) -> Client:
        return replace(self, signals=self.signals | signal)


PERSON = Client()
OTHER = Client(PHONE, address=2, network=2)

Hit = tuple[float, EventKind, int, Client]


def judged(
    *hits: Hit,
    policy: BotPolicy = DEFAULT_BOT_POLICY,
    links: frozenset[int] = LINKS,
    handed_over: bool = True,
) -> list[Chapter]:
    """What became of the hits, in the order given; their times are seconds after the hand-over."""
    judge = Judge(policy)
    order = sorted(range(len(hits)), key=lambda index: hits[index][0])
    told = []
    for index in order:
        seconds, kind, slot, client = hits[index]
        at_ms = START_MS + round(seconds * 1000)
        signals = client.signals | client.address << bits.ADDRESS_SHIFT | client.network << bits.NETWORK_SHIFT
        alone = judge.alone(kind, client.user_agent, signals, at_ms)
        told.append(Told(at_ms, kind, slot, client.user_agent, signals, alone))
    chapters = tell(told, policy, links=links, handed_over_ms=START_MS if handed_over else None)
    found = dict(zip(order, chapters, strict=True))
    return [found[index] for index in range(len(hits))]


def said(*hits: Hit, **options: object) -> list[str]:
    """`verdict: reasons` of each hit, with a star when it counts."""
    return [
        f"{chapter.judgement.verdict}{'*' if chapter.judgement.counted else ''}: {' '.join(chapter.judgement.reasons)}"
        for chapter in judged(*hits, **options)  # type: ignore[arg-type]
    ]

"""Person, proxy or machine: a first, honest answer from the method, the prefetch headers and the user agent.

Every answer carries its reasons from the closed set `REASONS`, and `RULES_VERSION` is stored beside it. Order matters:
mail proxies and mail clients come before any list, because published lists call both of them machines.
"""

from __future__ import annotations

import json
from functools import lru_cache
from importlib import resources
from typing import NamedTuple

import re2

from app.models.event import EventKind, Judgement, Verdict
from app.models.record import Record

RULES_VERSION = "1"
USER_AGENT_CHARS = 1024
"""A user agent is cut to this before anything is matched against it."""

BLOCKED = "destination_blocked"
"""The link's destination was refused when it was clicked: the person saw a page of ours and got no further."""
GONE = "values_gone"
"""The values of a personalised link are gone: the person saw a page that says so."""
REASONS = frozenset(
    {
        "ok",
        BLOCKED,
        GONE,
        "method_head",
        "prefetch",
        "ua_empty",
        "ua_bare",
        "gmail_prefetch",
        "proxy_gmail",
        "proxy_yahoo",
        "proxy_other",
        "mail_client",
        "link_preview",
        "scanner_ua",
        "bot_known",
        "bot_generic",
    }
)


class _Rule(NamedTuple):
    reason: str
    verdict: Verdict
    pattern: str


# First match wins. Matched against the whole agent, case-insensitively.
_RULES = (
    _Rule("gmail_prefetch", Verdict.MACHINE, r"edge/12\.246 (mozilla/5\.0|gmail-content-sampling)$"),
    _Rule("proxy_gmail", Verdict.PROXY, r"googleimageproxy|ggpht\.com"),
    _Rule("proxy_yahoo", Verdict.PROXY, r"yahoomailproxy"),
    _Rule("proxy_other", Verdict.PROXY, r"imageproxy/|seznamemailproxy|fwdcdn|fastmailua|yandeximageresizer"),
    _Rule(
        "mail_client",
        Verdict.HUMAN,
        r"microsoft outlook|ms-office|macoutlook|outlook-(ios|android|express)|thunderbird/|airmail|em ?client/"
        r"|^mozilla/5\.0 \((macintosh|iphone|ipad)[^)]*\) applewebkit/[0-9.]+ \(khtml, like gecko\)( mobile/\w+)?$",
    ),
    _Rule(
        "link_preview",
        Verdict.MACHINE,
        r"facebookexternalhit|facebot|twitterbot|whatsapp/|telegrambot|slackbot|discordbot|linkedinbot|skypeuripreview"
        r"|bingpreview|google-pagerenderer|googlemessages|bitlybot|applebot",
    ),
    _Rule("scanner_ua", Verdict.MACHINE, r"barracuda|proofpoint|mimecast|symantec|trendmicro|forcepoint|messagelabs"),
    _Rule(
        "bot_generic",
        Verdict.MACHINE,
        r"(^|[^a-z])(bot|crawler|spider|fetcher|scraper)([^a-z]|$)|https?://|headlesschrome|phantomjs"
        r"|^(python|curl|wget|go-http|java|okhttp|libwww|node|axios|ruby|perl|php)\b",
    ),
)

# Patterns of the list that hit people: build ids of phones, phone models, browsers (found on labelled agents).
_HARMFUL = frozenset(
    {r"AP3A\.240617\.008", "Fever", "Sonic", "Butterfly", "Viber", "coccoc", r"Notion\/", "Sogou", r"008\/"}
)

_Answer = tuple[Verdict, str]


@lru_cache(maxsize=16_384)
def judge_user_agent(user_agent: str) -> _Answer:
    """The verdict on a user agent alone, and its reason."""
    agent = user_agent[:USER_AGENT_CHARS].strip()
    if not agent or agent in ("-", "null", "undefined", "(null)", "None"):
        return Verdict.MACHINE, "ua_empty"
    if agent == "Mozilla/5.0":
        return Verdict.MACHINE, "ua_bare"
    matched = _own_rules().Match(agent.lower())
    if matched:
        rule = _RULES[min(matched)]
        return rule.verdict, rule.reason
    if _known_machines().Match(agent):
        return Verdict.MACHINE, "bot_known"
    return Verdict.HUMAN, "ok"


def user_agent_verdict(user_agent: str) -> str:
    """`human`, `proxy` or `machine`, from the user agent alone."""
    return judge_user_agent(user_agent)[0].value


def judge(record: Record, kind: EventKind) -> Judgement:
    """What a hit was and whether it counts."""
    if kind is EventKind.UNSUBSCRIBED:
        # Only a POST arrives here, and it is honoured whoever sent it (mail providers do it for the person).
        return Judgement(Verdict.HUMAN, True, ("ok",))
    if record.method != "GET":
        return Judgement(Verdict.MACHINE, False, ("method_head",))
    if record.headers and is_prefetch(record.headers.get("purpose", "")):
        return Judgement(Verdict.MACHINE, False, ("prefetch",))
    verdict, reason = judge_user_agent(record.user_agent)
    if verdict is Verdict.PROXY and kind is EventKind.CLICKED:
        # Image proxies fetch images; one that follows a link is not a person behind it.
        verdict = Verdict.MACHINE
    return _judgement(verdict, reason)


def is_prefetch(purpose: str) -> bool:
    """Whether the value of a Sec-Purpose, Purpose, X-Purpose or X-Moz header speaks of a fetch ahead of a person."""
    purpose = purpose.lower()
    return "prefetch" in purpose or "prerender" in purpose or "preview" in purpose


@lru_cache(maxsize=64)
def _judgement(verdict: Verdict, reason: str) -> Judgement:
    return Judgement(verdict, verdict is not Verdict.MACHINE, (reason,))


@lru_cache(maxsize=1)
def _own_rules() -> re2.Set:
    return _compiled([rule.pattern for rule in _RULES])


@lru_cache(maxsize=1)
def _known_machines() -> re2.Set:
    data = resources.files("crawleruseragents").joinpath("crawler-user-agents.json").read_text(encoding="utf-8")
    return _compiled([entry["pattern"] for entry in json.loads(data) if entry["pattern"] not in _HARMFUL])


def _compiled(patterns: list[str]) -> re2.Set:
    matcher = re2.Set.SearchSet()
    for pattern in patterns:
        matcher.Add(pattern)
    matcher.Compile()
    return matcher

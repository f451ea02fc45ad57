"""Person, proxy or machine by the user agent alone: `judge_user_agent`.

First our own rules in their order (`user_agent_rules`), then the shape that every browser has, then the two maintained
lists (`user_agent_lists`). An agent is cut first, so that a hostile one costs little more than a plain one.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from app.ingest.user_agent_browsers import browser_of
from app.ingest.user_agent_lists import known_machines
from app.ingest.user_agent_rules import BROWSER, first_rule
from app.models.event import Verdict

USER_AGENT_CHARS = 1024
"""A user agent is cut to this before anything else, so that neither the matchers nor the cache hold more."""

_PLACEHOLDERS = frozenset(
    (
        *("", "null", "nil", "none", "nan", "undefined", "unknown", "empty", "n/a", "na", "default", "false", "0"),
        *("mozilla", "user-agent", "user agent", "useragent"),
    )
)
"""What programs send for "no user agent", without the brackets, quotes and dashes around it."""

# What a phone is called, and what an app says of the phone: people do not choose these words, and "CUBOT", "Spider" or
# "Fever" are models. An Android's model and build, Facebook's bracket (device, carrier), Instagram's (maker, model).
_DEVICE_NAMES = re.compile(
    r"(\b(?:Android|Adr)[ /]?[\w.]*;(?: ?[a-z]{2}[-_][a-z]{2};)?)[^;()/]*(?: Build/[^;()]*)?"
    r"|\[FB[^\]]*\]?"
    r"|\(\d+/[\w.]+; ?\d+dpi;[^()]*\)?",
    re.IGNORECASE,
)


class UserAgent(NamedTuple):
    """What a user agent alone says."""

    verdict: Verdict
    reason: str
    """`ok`, or one of the codes of `app.models.reasons`."""
    browser: str = ""
    """`chrome`, `edge`, `firefox` or `safari`: only for a person's browser that is no app and no mail program."""
    major: int = 0
    """The major version of that browser; of the Chromium family, Chromium's."""


def judge_user_agent(user_agent: str) -> UserAgent:
    """What a hit with this user agent is, as far as the user agent tells."""
    return _judged(user_agent[:USER_AGENT_CHARS])


def warm_up() -> None:
    """Read and compile everything now, so that the first hit does not wait for it.

    Raises:
        ConfigurationError: a maintained list cannot be used.
    """
    known_machines()
    judge_user_agent("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko)")


@lru_cache(maxsize=16_384)
def _judged(user_agent: str) -> UserAgent:
    agent = user_agent.strip()
    if agent.strip("-()<>[]{}\"'` ").lower() in _PLACEHOLDERS:
        return UserAgent(Verdict.MACHINE, "ua_empty")
    if agent == "Mozilla/5.0":
        return UserAgent(Verdict.MACHINE, "ua_bare")
    # Half a surrogate pair, from bytes that were no UTF-8, has no encoding of its own.
    matchable = _without_device_names(agent).encode("utf-8", "replace")
    rule = first_rule(matchable)
    if rule is None:
        return UserAgent(Verdict.MACHINE, "ua_shape")
    if rule is BROWSER and matchable in known_machines():
        return UserAgent(Verdict.MACHINE, "bot_known")
    if rule.reason == "ok":
        return UserAgent(rule.verdict, rule.reason, *browser_of(agent))
    return UserAgent(rule.verdict, rule.reason)


def _without_device_names(agent: str) -> str:
    return _DEVICE_NAMES.sub(lambda found: found[1] or "[]", agent)

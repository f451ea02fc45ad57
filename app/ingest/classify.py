"""Person, proxy or machine, from one hit alone: rules 1 to 11 of the decision table and the weak signs of 16 to 21.

What the other hits of a message say of it is in `story`; the user agent's own verdict is in `user_agents`. Every answer
carries its reasons from the closed set in `app.models.reasons`, and `RULES_VERSION` is stored beside it.
"""

from __future__ import annotations

from typing import NamedTuple

from app.ingest.user_agents import UserAgent, judge_user_agent
from app.models import signals as bits
from app.models.bot_policy import BotPolicy
from app.models.event import EventKind, Judgement, Verdict

RULES_VERSION = "2"

_CURRENT = {"chrome": 80, "edge": 80, "firefox": 90, "safari": 17}
"""From these versions on a browser sends `Sec-Fetch-*` over https (Chrome 76, Firefox 90, Safari 16.4)."""
_CHROME_131_MS = 1_731_369_600_000
"""Chrome 131 became stable on 2024-11-12, and a version follows about every four weeks."""
_CHROME_WEEKS_MS = 4 * 7 * 86_400_000

_PROXY_NETWORKS = {"proxy_gmail": bits.GOOGLE, "proxy_yahoo": bits.YAHOO}
_TAINTING_ALONE = frozenset({"scanner_ua", "scanner_net", "bot_known", "bot_generic", "ua_shape"})
TAINTING = _TAINTING_ALONE | {"honeypot", "link_burst", "link_sweep", "too_fast"}
"""The reasons (rules 10 to 14) that say of a client what it is, not only of one hit."""
_CACHED = 8192
_FACTS = bits.NETWORKS | 0xFFFF


_UNKNOWN = Judgement(Verdict.MACHINE, False, ())


class Alone(NamedTuple):
    """What one hit says by itself."""

    verdict: Verdict
    reason: str
    """The deciding one."""
    points: tuple[str, ...] = ()
    """Weak signs, of which several make a machine."""
    flags: tuple[str, ...] = ()
    """Worth knowing, and without effect."""
    counts: bool = True
    """False: not counted whatever the verdict is (`destination_blocked`, `values_gone`, a page that was only seen)."""
    judgement: Judgement = _UNKNOWN
    """What it is as long as no other hit of its message says otherwise."""

    @property
    def taints(self) -> bool:
        """Whether it makes other hits of the same client on the message a machine's (rule 15)."""
        return self.verdict is Verdict.MACHINE and self.reason in _TAINTING_ALONE


class Judge:
    """Judges hits by one brand's policy. Remembers its answers, bounded."""

    def __init__(self, policy: BotPolicy) -> None:
        self.policy = policy
        self._known: dict[tuple[EventKind, str, int, int], Alone] = {}

    def alone(self, kind: EventKind, user_agent: str, signals: int, at_ms: int) -> Alone:
        """What a hit says by itself.

        Args:
            signals: bits of `app.models.signals`.
            at_ms: when; a browser is old or not at that time.
        """
        chrome = 131 + (at_ms - _CHROME_131_MS) // _CHROME_WEEKS_MS
        key = kind, user_agent, signals & _FACTS, chrome
        found = self._known.get(key)
        if found is None:
            if len(self._known) >= _CACHED:
                self._known.clear()
            found = self._known[key] = self._alone(kind, judge_user_agent(user_agent), signals, chrome)
        return found

    def _alone(self, kind: EventKind, agent: UserAgent, signals: int, chrome: int) -> Alone:
        verdict, reason = self._decide(kind, agent, signals)
        flags = []
        if verdict is not Verdict.MACHINE:
            if signals & bits.PRIVACY and self._has("privacy_signal"):
                flags.append("privacy_signal")
            if signals & bits.RELAY and reason == "ok" and self._has("relay_ip"):
                flags.append("relay_ip")
        points = tuple(self._weak_signs(kind, agent, reason, signals)) if verdict is Verdict.HUMAN else ()
        if verdict is Verdict.HUMAN and self._has("stale_browser") and self._is_stale(agent, chrome):
            if kind is EventKind.OPENED:
                flags.append("stale_browser")
            else:
                points += ("stale_browser",)
        for bit, code in ((bits.BLOCKED, "destination_blocked"), (bits.GONE, "values_gone")):
            if signals & bit:
                flags.append(code)
        counts = kind is not EventKind.VIEWED and not signals & (bits.BLOCKED | bits.GONE)
        alone = Alone(verdict, reason, points, tuple(flags), counts)
        return alone._replace(judgement=judgement_of(alone, machine=self.enough(points), points=points))

    def enough(self, points: tuple[str, ...]) -> str:
        """Rules 23 and 24: the reason that so many weak signs give, or none."""
        enough = len(points) >= self.policy.machine_points and self._has("soft_signals")
        return "soft_signals" if enough else ""

    def _decide(self, kind: EventKind, agent: UserAgent, signals: int) -> tuple[Verdict, str]:
        """Rules 1 to 11: the first that matches."""
        if signals & bits.NOT_GET and self._has("method_head"):
            return Verdict.MACHINE, "method_head"
        if signals & bits.PREFETCH and self._has("prefetch"):
            return Verdict.MACHINE, "prefetch"
        verdict, reason = agent.verdict, agent.reason
        if reason == "ua_bare" and signals & bits.RELAY and self._has("apple_mpp"):
            reason = "apple_mpp"
        if not self._has(reason):
            verdict, reason = Verdict.HUMAN, "ok"
        if verdict is Verdict.PROXY:
            return self._proxy(kind, reason, signals)
        # A scanner's network says less than a mail program or a preview that names itself (rules 8 and 9 come first).
        if signals & bits.SCANNER and reason in _BEHIND_SCANNER_NET and self._has("scanner_net"):
            return Verdict.MACHINE, "scanner_net"
        return verdict, reason

    def _proxy(self, kind: EventKind, reason: str, signals: int) -> tuple[Verdict, str]:
        """Rule 7. Image proxies fetch images; one that follows a link is not a person behind it."""
        network = _PROXY_NETWORKS.get(reason, 0)
        foreign = signals & bits.PUBLIC_ADDRESS and network and not signals & network
        if foreign and self._has("proxy_unverified"):
            return Verdict.MACHINE, "proxy_unverified"
        return (Verdict.PROXY if kind is EventKind.OPENED else Verdict.MACHINE), reason

    def _weak_signs(self, kind: EventKind, agent: UserAgent, reason: str, signals: int) -> list[str]:
        """Rules 16 to 19: of clicks only, because proxies and mail programs leave out headers and come from clouds."""
        if kind is EventKind.OPENED:
            return []
        seen = signals & bits.HEADERS_SEEN and agent.browser
        current = agent.browser and agent.major >= _CURRENT.get(agent.browser, 1 << 30)
        signs = (
            ("ms_net", signals & bits.MICROSOFT),
            ("datacenter_ip", signals & bits.CLOUD and reason == "ok"),
            ("no_fetch_metadata", seen and current and signals & bits.HTTPS and not signals & bits.FETCH_METADATA),
            ("no_accept_language", seen and not signals & bits.ACCEPT_LANGUAGE),
        )
        return [code for code, found in signs if found and self._has(code)]

    def _is_stale(self, agent: UserAgent, chrome: int) -> bool:
        return agent.browser in ("chrome", "edge") and agent.major < chrome - self.policy.stale_versions

    def _has(self, code: str) -> bool:
        return code not in self.policy.ignore


_BEHIND_SCANNER_NET = frozenset({"ok", "scanner_ua", "bot_known", "bot_generic", "ua_shape"})


def judgement_of(
    alone: Alone, *, machine: str = "", points: tuple[str, ...] = (), flags: tuple[str, ...] = ()
) -> Judgement:
    """The judgement of a hit.

    Args:
        machine: the reason why the story of its message makes it a machine's.
        points: all weak signs of it, also those of the story.
        flags: of the story.
    """
    noted = (*points, *alone.flags, *flags)
    if machine:
        return Judgement(Verdict.MACHINE, False, (machine, *noted))
    unremarkable = alone.verdict is Verdict.HUMAN and alone.reason == "ok"
    reasons = noted or ("ok",) if unremarkable else (alone.reason, *noted)
    return Judgement(alone.verdict, alone.counts and alone.verdict is not Verdict.MACHINE, reasons)


def user_agent_verdict(user_agent: str) -> str:
    """`human`, `proxy` or `machine`, from the user agent alone."""
    return judge_user_agent(user_agent).verdict.value

"""What the tests of the link rules share: rules of a brand with two tracking hosts, and what a link must come to."""

from __future__ import annotations

from typing import Any

from app.tracking.link_reasons import Action, Caution, Reason
from app.tracking.link_rules import Decision, LinkRules, decide

OWN = frozenset({"t.shop.example", "go.shop.example"})


def rules(**change: Any) -> LinkRules:
    return LinkRules(**{"own_hosts": OWN, **change})


def allow_list(*domains: str, **change: Any) -> LinkRules:
    def allows(host: str) -> bool:
        return any(host == domain or host.endswith("." + domain) for domain in domains)

    return rules(allows=allows, allow_list=True, **change)


def tracked(url: str, **change: Any) -> str:
    decision = decide(url, rules(**change))
    assert (decision.action, decision.personal) == (Action.TRACKED, False), decision
    return decision.destination


def left(url: str, reason: Reason, *cautions: Caution, **change: Any) -> None:
    assert decide(url, rules(**change)) == Decision(Action.LEFT, reason, cautions=cautions)

"""`bots:` of brands.yaml: how a brand wants hits judged. What each value means is `app.models.bot_policy`."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated

from pydantic import AfterValidator, Field

from app.brands.strict import Strict
from app.models.bot_policy import DEFAULT_BOT_POLICY
from app.models.reasons import REASONS, SOFT

NOT_IGNORED: Mapping[str, str] = MappingProxyType(
    {
        "ok": "is what remains when no rule speaks: there is nothing to switch off",
        "implied": "is no judgement of a hit: it marks an open that a click stands for",
        "destination_blocked": "is no judgement of a hit: the person saw a page of ours, and that is never counted",
        "values_gone": "is no judgement of a hit: the person saw a page of ours, and that is never counted",
    }
)
"""The reasons that `ignore` does not take, and why. All others are a rule's own, and every rule can be switched off."""
IGNORABLE = frozenset(REASONS) - NOT_IGNORED.keys()


def _reason(text: str) -> str:
    if text in IGNORABLE:
        return text
    if text in NOT_IGNORED:
        raise ValueError(NOT_IGNORED[text])
    near = difflib.get_close_matches(text, sorted(IGNORABLE), n=1)
    raise ValueError("is not a known reason" + (f" (did you mean {near[0]}?)" if near else ""))


def _seconds(most: float) -> object:
    return Field(gt=0, le=most, allow_inf_nan=False)


def _seconds_or_none(most: float) -> object:
    """For what no reason switches off: 0 does."""
    return Field(ge=0, le=most, allow_inf_nan=False)


class ThresholdsSchema(Strict):
    """Upper bounds keep a mistake from hiding everybody, and times to what ingest remembers: an hour of a message's
    hits, a minute after its hand-over."""

    burst_links: Annotated[int, Field(ge=2, le=50)] = DEFAULT_BOT_POLICY.burst_links
    burst_seconds: Annotated[float, _seconds(60)] = DEFAULT_BOT_POLICY.burst_seconds
    sweep_seconds: Annotated[float, _seconds(300)] = DEFAULT_BOT_POLICY.sweep_seconds
    look_back_seconds: Annotated[float, _seconds_or_none(60)] = DEFAULT_BOT_POLICY.look_back_seconds
    taint_seconds: Annotated[float, _seconds(3600)] = DEFAULT_BOT_POLICY.taint_seconds
    too_fast_seconds: Annotated[float, _seconds(60)] = DEFAULT_BOT_POLICY.too_fast_seconds
    fast_seconds: Annotated[float, _seconds(60)] = DEFAULT_BOT_POLICY.fast_seconds
    microsoft_seconds: Annotated[float, _seconds_or_none(60)] = DEFAULT_BOT_POLICY.microsoft_seconds
    echo_seconds: Annotated[float, _seconds(300)] = DEFAULT_BOT_POLICY.echo_seconds
    stale_versions: Annotated[int, Field(ge=6, le=200)] = DEFAULT_BOT_POLICY.stale_versions
    machine_points: Annotated[int, Field(ge=1, le=len(SOFT))] = DEFAULT_BOT_POLICY.machine_points


class BotsSchema(Strict):
    filter: bool = DEFAULT_BOT_POLICY.filter
    trap_link: bool = DEFAULT_BOT_POLICY.trap_link
    ignore: frozenset[Annotated[str, AfterValidator(_reason)]] = DEFAULT_BOT_POLICY.ignore
    thresholds: ThresholdsSchema = ThresholdsSchema()

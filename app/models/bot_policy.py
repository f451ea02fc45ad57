"""How a brand wants hits judged: which signals have an effect, and their thresholds. The rules are in `app.ingest`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class BotPolicy:
    """The defaults are the decision table's (docs/classification.md)."""

    ignore: frozenset[str] = frozenset()
    """Reason codes that have no effect: the rule is passed over as if it did not exist."""
    filter: bool = True
    """Whether figures leave machines out unless asked otherwise. Verdicts are stored either way."""
    trap_link: bool = False
    """Whether html gets a hidden link that only machines follow."""

    burst_links: int = 3
    burst_seconds: float = 2.0
    """So many different links of one message in so short a time."""
    sweep_seconds: float = 30.0
    """Every link of a message and its unsubscribe page in so short a time."""
    look_back_seconds: float = 10.0
    """How long before a trap or burst the same client's other hits are a machine's too."""
    taint_seconds: float = 900.0
    """And how long after it, or after another certain machine."""
    too_fast_seconds: float = 2.0
    """After the message was handed over, nobody has read it yet."""
    fast_seconds: float = 10.0
    """Up to here it is suspect."""
    microsoft_seconds: float = 60.0
    """A click from Microsoft's network this soon after hand-over is a machine without further signs."""
    echo_seconds: float = 15.0
    """The same link again from another network."""
    stale_versions: int = 36
    """A Chrome so many versions behind is suspect (about one version in four weeks)."""
    machine_points: int = 2
    """So many weak signs make a machine."""


DEFAULT_BOT_POLICY = BotPolicy()

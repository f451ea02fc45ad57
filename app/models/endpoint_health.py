"""How an endpoint is: whether it takes what it is told, since when it does not, and what its owner has been told."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

from app.models.delivery import DisabledReason

SUSPECT_FAILURES = 10
"""So many failures without a success make an endpoint suspect to a breaker that has forgotten it."""

ENDPOINT_FAILING = "endpoint.failing"
ENDPOINT_DISABLED = "endpoint.disabled"
ENDPOINT_RECOVERED = "endpoint.recovered"
ENDPOINT_TEST = "endpoint.test"
DELIVERIES_EXHAUSTED = "deliveries.exhausted"
OPERATIONAL_TYPES = frozenset(
    {ENDPOINT_TEST, ENDPOINT_FAILING, ENDPOINT_DISABLED, ENDPOINT_RECOVERED, DELIVERIES_EXHAUSTED}
)
"""What is told of endpoints and deliveries themselves, over the brand's other endpoints."""


class Health(NamedTuple):
    """What is known of an endpoint. One that nobody has noted anything of is well."""

    disabled: DisabledReason | None = None
    disabled_at: datetime | None = None
    enabled_at: datetime | None = None
    """When it was last enabled again."""
    last_success_at: datetime | None = None
    """Up to five minutes behind."""
    failing_since: datetime | None = None
    """The first failure after the last success."""
    failures: int = 0
    """Since then."""
    windows: tuple[int, ...] = ()
    """In which 12-hour windows since 1970 they were: the first few different ones."""
    mark: str = ""
    """What its owner is shown: `config` (it refuses what we send), `endpoint_redirects`. Until the next success."""
    location_host: str = ""
    """Where it redirects to."""
    refused_as: str = ""
    """The outcome with which it refused what we sent, if that was its last answer: `http_400`, `http_422`."""
    refusals: int = 0
    """How often in a row."""
    strikes: tuple[datetime, ...] = ()
    """When its name last led where nothing may be sent."""
    alerted_at: datetime | None = None
    """When its owner was last told that its configuration is wrong."""
    warned_seconds: float = 0.0
    """After how long without a success its owner has been warned."""
    told: bool = False
    """Its owner was told that something is wrong, and is to hear when it is well again."""
    version: int = 0
    """Of the stored document; 0: there is none."""

    @property
    def suspect_since(self) -> datetime | None:
        """Since when nothing has got through, if it was tried often enough to mean something."""
        return self.failing_since if self.failures >= SUSPECT_FAILURES else None


class Seen(NamedTuple):
    """What a run saw of an endpoint."""

    succeeded: int = 0
    failed: int = 0
    """Attempts that got nothing through; without batches that were divided."""
    blocked: int = 0
    """Attempts that the address guard stopped."""
    mark: str = ""
    """`Answer.mark` of one of its answers."""
    alert: bool = False
    """It gave an answer of which its owner is told."""
    outcomes: Mapping[str, int] = {}
    """Attempts by outcome."""
    location_host: str = ""


class Notice(NamedTuple):
    """What the brand is told of an endpoint, over its other endpoints."""

    type: str
    """`endpoint.failing`, `endpoint.disabled` or `endpoint.recovered`."""
    data: dict[str, Any]
    """For its body: without the endpoint's URL and secrets. Times are RFC 3339."""

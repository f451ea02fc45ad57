"""Checks that the networks of the kit are what it says they are, for the lists of the copy that is judged."""

from __future__ import annotations

import random
from collections.abc import Iterator

from app.ingest.networks import Networks
from app.models import signals as bits
from benchmarks.engagement.plan import pick_address
from benchmarks.engagement.scenario import Kit

_ROLES = {
    "relay": bits.RELAY,
    "microsoft": bits.MICROSOFT,
    "google": bits.GOOGLE,
    "yahoo": bits.YAHOO,
    "cloud": bits.CLOUD,
    "scanner": bits.SCANNER,
}
_SAMPLES = 200


def unknown_networks(kit: Kit, networks: Networks) -> Iterator[str]:
    """A sentence for each range whose addresses are not known as what the kit uses them for."""
    chance = random.Random(0)
    for name, network in kit.networks.items():
        expected = sum(_ROLES[role] for role in network["is"])
        for text in network["ranges"]:
            addresses = [pick_address([text], chance) for _ in range(_SAMPLES)]
            known = [networks.of(address) & sum(_ROLES.values()) for address in addresses]
            wrong = sum(one != expected for one in known)
            if wrong:
                role = " and ".join(network["is"]) or "nobody in particular"
                yield f"{name}: {wrong / _SAMPLES:.0%} of {text} are not known as {role}"

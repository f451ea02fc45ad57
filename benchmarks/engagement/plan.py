"""A plan: the kit's scenarios as messages that are handed over and requests for them, on one clock.

The same seed makes the same plan. It knows nothing of any system: `to_lines` writes it down for whoever wants to play
it elsewhere.
"""

from __future__ import annotations

import ipaddress
import json
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from benchmarks.engagement.scenario import Client, Kit, Request, Scenario, Target, Truth


@dataclass(frozen=True, slots=True)
class Sending:
    """One message of one recipient. It is known by (scenario, recipient)."""

    scenario: Scenario
    recipient: int
    at: float
    """Seconds on the plan's clock when it was handed over."""

    @property
    def key(self) -> tuple[str, int]:
        return self.scenario.name, self.recipient


@dataclass(frozen=True, slots=True)
class Hit:
    """One request."""

    id: str
    """`scenario/recipient/place in the sequence`."""
    sending: Sending
    at: float
    """Seconds on the plan's clock."""
    target: Target
    method: str
    headers: Mapping[str, str]
    """With User-Agent, if the client has one."""
    address: str
    truth: Truth
    proves: bool

    @property
    def since_sent(self) -> float:
        return self.at - self.sending.at


@dataclass(frozen=True, slots=True)
class Plan:
    sendings: Sequence[Sending]
    """By time."""
    hits: Sequence[Hit]
    """By time."""

    @property
    def seconds(self) -> float:
        return max(self.hits[-1].at, self.sendings[-1].at)

    def at_once(self) -> Plan:
        """The same with everything handed over at 0."""
        sendings = [replace(sending, at=0.0) for sending in self.sendings]
        hits = [replace(hit, sending=replace(hit.sending, at=0.0), at=hit.since_sent) for hit in self.hits]
        return Plan(sendings, sorted(hits, key=lambda hit: hit.at))


def make_plan(kit: Kit, scenarios: Sequence[Scenario], *, seed: int, most: int | None = None) -> Plan:
    """Args:
    most: at most so many recipients of each scenario.
    """
    sendings: list[Sending] = []
    hits: list[Hit] = []
    for scenario in scenarios:
        # By name, so that a new scenario changes nothing about the others.
        chance = random.Random(f"{seed} {scenario.name}")
        shared = _Addresses(kit, scenario, chance)
        for recipient in range(min(scenario.recipients, most or scenario.recipients)):
            sending = Sending(scenario, recipient, round(chance.uniform(0, scenario.sent_over), 3))
            sendings.append(sending)
            hits.extend(_hits(kit, sending, shared, chance))
    return Plan(sorted(sendings, key=lambda one: one.at), sorted(hits, key=lambda hit: hit.at))


def _hits(kit: Kit, sending: Sending, addresses: _Addresses, chance: random.Random) -> Iterator[Hit]:
    scenario, recipient = sending.scenario, sending.recipient
    pace = chance.uniform(1 - scenario.spread, 1 + scenario.spread)
    own = addresses.of_recipient()
    for place, request in enumerate(scenario.requests):
        client = scenario.clients[request.by]
        agents = kit.agents[client.agent]
        yield Hit(
            id=f"{scenario.name}/{recipient}/{place}",
            sending=sending,
            at=round(sending.at + request.at * pace, 3),
            target=request.target,
            method=request.method,
            headers={
                **_headers(kit, client.headers or agents["headers"], request),
                **_agent(agents["agents"], recipient),
                **request.headers,
            },
            address=own[request.by],
            truth=request.truth,
            proves=request.proves,
        )


def _headers(kit: Kit, name: str, request: Request) -> dict[str, str]:
    given = kit.header_sets[name]
    return {**given["any"], **given.get("image" if request.target.kind == "open" else "page", {})}


def _agent(agents: Sequence[str], recipient: int) -> dict[str, str]:
    agent = agents[recipient % len(agents)]
    return {"User-Agent": agent} if agent else {}


class _Addresses:
    """Who of a scenario has which address."""

    def __init__(self, kit: Kit, scenario: Scenario, chance: random.Random) -> None:
        self._kit = kit
        self._clients = scenario.clients
        self._chance = chance
        self._shared = {name: self._pick(client) for name, client in self._clients.items() if client.shared}

    def of_recipient(self) -> dict[str, str]:
        """Client → address, for one more recipient."""
        found = dict(self._shared)
        for name, client in self._clients.items():
            if name not in found and not client.behind:
                found[name] = self._pick(client)
        return {name: found[client.behind or name] for name, client in self._clients.items()}

    def _pick(self, client: Client) -> str:
        return pick_address(self._kit.networks[client.network]["ranges"], self._chance)


def pick_address(ranges: Sequence[str], chance: random.Random) -> str:
    """Any address of any of the ranges but the first and last of each 256."""
    network = ipaddress.ip_network(chance.choice(ranges))
    offset = chance.randrange(network.num_addresses >> 8) << 8
    return str(network[offset + chance.randrange(1, 255)])


def to_lines(plan: Plan) -> Iterator[str]:
    """JSON lines: first every message, then every request, each by time."""
    for sending in plan.sendings:
        scenario = sending.scenario
        message = {"scenario": scenario.name, "recipient": sending.recipient, "handed_over_at": sending.at}
        content = {"channel": scenario.channel, "links": scenario.links, "pixel": scenario.pixel}
        yield json.dumps({"message": message, **content, "trap": bool(scenario.bots.get("trap_link"))})
    for hit in plan.hits:
        asked = {"at": hit.at, "method": hit.method, "what": hit.target.kind, "place": hit.target.place}
        client = {"address": hit.address, "headers": dict(hit.headers)}
        yield json.dumps({"request": hit.id, **asked, **client, "truth": hit.truth.value})

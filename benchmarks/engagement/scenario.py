"""What a scenario is, and how it is read from `data/`. README.md has the format in words."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

import yaml

DATA = Path(__file__).resolve().parent / "data"
_LINK = re.compile(r"link ([1-9]\d?)")


class Truth(StrEnum):
    """What a request really was. The order is the tables'."""

    HUMAN = "human"
    PROXY = "proxy"
    MACHINE = "machine"
    APPLE = "apple"


COUNTED = frozenset({Truth.HUMAN, Truth.PROXY})
"""Somebody was there, so figures must have it."""


@dataclass(frozen=True, slots=True)
class Target:
    """What of the message is asked for."""

    kind: str
    """`open`, `click`, `page` (the unsubscribe page is looked at) or `unsubscribe`."""
    place: str = ""
    """Of an open: `header` or `footer`. Of a click: the link's number from 1, or `trap`."""

    @classmethod
    def read(cls, text: str) -> Target:
        """Raises: ValueError."""
        if text in ("header", "footer"):
            return cls("open", text)
        if text in ("page", "unsubscribe"):
            return cls(text)
        if text == "trap":
            return cls("click", text)
        found = _LINK.fullmatch(text)
        if found is None:
            raise ValueError(f"nothing of a message is called {text!r}")
        return cls("click", found[1])


@dataclass(frozen=True, slots=True)
class Request:
    """One request of every recipient's sequence."""

    at: float
    """Seconds after the message was handed over."""
    by: str
    """One of the scenario's clients."""
    target: Target
    truth: Truth
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict)
    """On top of the client's own."""
    proves: bool = False
    """From here on it can be known that earlier requests were a machine's."""


@dataclass(frozen=True, slots=True)
class Client:
    """Who asks: a name of `agents.yaml`, and one of `networks.yaml`."""

    agent: str
    network: str
    shared: bool = False
    """One address for all recipients, as of an office or a scanner; else each recipient has their own."""
    behind: str = ""
    """Has the address of this other client of the scenario."""
    headers: str = ""
    """A set of headers of `agents.yaml` instead of the agent's usual one."""


@dataclass(frozen=True, slots=True)
class Scenario:
    name: str
    models: str
    """One sentence: who does what, and why."""
    source: str
    """Where it is known from, in words."""
    aims_at: tuple[str, ...]
    """Codes of reasons that its requests should get."""
    recipients: int
    """It is played for so many, each with a message of their own: its weight."""
    clients: Mapping[str, Client]
    requests: tuple[Request, ...]
    channel: str = "email"
    links: int = 1
    pixel: str = "footer"
    """`header`, `footer`, `both` or `none`."""
    bots: Mapping[str, Any] = field(default_factory=dict)
    """The brand's policy where it is not the default."""
    sent_over: float = 600.0
    """Seconds over which the messages are handed over."""
    spread: float = 0.08
    """Recipients' sequences differ in speed by up to this share."""
    hard: str = ""
    """Why the rules are expected to lose here; most scenarios have no such reason."""


@dataclass(frozen=True, slots=True)
class Kit:
    """All of `data/`."""

    scenarios: tuple[Scenario, ...]
    agents: Mapping[str, Mapping[str, Any]]
    """Name → `headers` (name of a set) and `agents` (user agents, dealt out to recipients in turn)."""
    header_sets: Mapping[str, Mapping[str, Mapping[str, str]]]
    """Name → `any`, `image` and `page`: headers of every request, of images only, of pages only."""
    networks: Mapping[str, Mapping[str, Any]]
    """Name → `ranges`, and `is`: what the network is known as."""


def load_kit(folder: Path = DATA) -> Kit:
    """Raises: ValueError, KeyError or TypeError for what is not in the format."""
    agents = _read(folder / "agents.yaml")
    scenarios = [_scenario(row) for path in sorted((folder / "scenarios").glob("*.yaml")) for row in _read(path)]
    return Kit(tuple(scenarios), agents["agents"], agents["header_sets"], _read(folder / "networks.yaml"))


def faults(kit: Kit) -> Iterator[str]:
    """What is wrong with the kit, a sentence each; nothing when all is well."""
    names = [scenario.name for scenario in kit.scenarios]
    yield from (
        f"two scenarios are called {name}" for name in sorted({name for name in names if names.count(name) > 1})
    )
    for name, agent in kit.agents.items():
        if agent["headers"] not in kit.header_sets or not agent["agents"]:
            yield f"agent {name}: no user agents, or headers that are nowhere"
    for scenario in kit.scenarios:
        yield from (f"{scenario.name}: {fault}" for fault in _faults(scenario, kit))


def _faults(scenario: Scenario, kit: Kit) -> Iterator[str]:
    times = [request.at for request in scenario.requests]
    if times != sorted(times) or len(set(times)) < len(times) or times[0] <= 0:
        yield "its times do not ascend from above 0"
    if not (scenario.models.strip() and scenario.source.strip() and scenario.aims_at) or scenario.recipients < 1:
        yield "it must say what it models, its source, what it aims at and for how many"
    if scenario.clients.keys() != {request.by for request in scenario.requests}:
        yield "its clients are not those of its requests"
    for name, client in scenario.clients.items():
        if client.agent not in kit.agents or client.network not in kit.networks:
            yield f"client {name} has an agent or network that is nowhere"
        if client.headers and client.headers not in kit.header_sets:
            yield f"client {name} has headers that are nowhere"
        if client.behind and client.behind not in scenario.clients:
            yield f"client {name} is behind nobody"
    for request in scenario.requests:
        yield from _request_faults(request, scenario)


def _request_faults(request: Request, scenario: Scenario) -> Iterator[str]:
    kind, place = request.target.kind, request.target.place
    if kind == "open" and scenario.pixel not in (place, "both"):
        yield f"its messages have no pixel in the {place}"
    if kind == "click" and place.isdigit() and int(place) > scenario.links:
        yield f"its messages have no link {place}"
    if place == "trap" and not scenario.bots.get("trap_link"):
        yield "only a brand with trap_link has traps"
    if request.truth in (Truth.PROXY, Truth.APPLE) and kind != "open":
        yield "only images are loaded by proxies"
    if (request.method == "POST") != (kind == "unsubscribe"):
        yield "POST is for unsubscribing, and nothing else is"


def _read(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def _scenario(row: Mapping[str, Any]) -> Scenario:
    given = dict(row)
    clients = {name: Client(**fields) for name, fields in given.pop("clients").items()}
    requests = tuple(_request(fields) for fields in given.pop("requests"))
    return Scenario(**{**given, "aims_at": tuple(given["aims_at"])}, clients=clients, requests=requests)


def _request(row: Mapping[str, Any]) -> Request:
    given = dict(row)
    target, truth = Target.read(given.pop("get")), Truth(given.pop("is"))
    method = given.pop("method", "POST" if target.kind == "unsubscribe" else "GET")
    return Request(target=target, truth=truth, method=method, **given)

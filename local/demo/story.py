"""What happens in the demo, in order: endpoints, messages, `sent`, recipients, waiting, comparison, clearing up."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from random import Random
from typing import TypeVar

import aiohttp

from local.demo.api import Api
from local.demo.breaks import Sabotage
from local.demo.display import Display
from local.demo.figures import RECLASSIFIED, SENT, Happened, Row, Seen, compare, from_api
from local.demo.hits import Front, Hit
from local.demo.mailings import BRANDS, MAILINGS, Message, campaign, drafts, received, total
from local.demo.players import play
from local.demo.receiver import PATH, Receiver
from local.run_file import RunInfo

AT_ONCE = 8
"""Requests under way, to nginx and to the API."""
HIT_SECONDS = 10.0
CALL_SECONDS = 30.0
QUIET_SECONDS = 45.0
"""Longer than a lost batch waits before it comes again."""
CONFIRM_SECONDS = 2.0
"""When all figures are right they must still be right after so long: what came too often may come late."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Outcome:
    """How the demo ended."""

    rows: list[Row]
    faults: list[str]
    """Everything else that was not as it must be."""
    played: Counter[str]
    """What was requested how often."""

    @property
    def ok(self) -> bool:
        return not self.faults and all(row.ok for row in self.rows)


class Story:
    """One run against one copy.

    Args:
        copy: only its address and its API keys are used.
        seed: the same seed gives the same play.
        wait_seconds: how long after the last hit everything may take to be seen.
        quiet_seconds: with nothing new for so long, what is missing will not come.
    """

    def __init__(
        self,
        copy: RunInfo,
        display: Display,
        *,
        seed: int,
        wait_seconds: float,
        quiet_seconds: float = QUIET_SECONDS,
        sabotage: Sabotage,
    ) -> None:
        self._url = copy.url
        self._keys = copy.api_keys
        self._display = display
        self._rng = Random(seed)  # noqa: S311 - a play that can be repeated, not a secret
        self._wait_seconds = wait_seconds
        self._quiet_seconds = quiet_seconds
        self._sabotage = sabotage
        self._run = secrets.token_hex(4)
        self._faults: list[str] = []
        self._events: dict[str, Seen] = {}
        self._cursors: dict[tuple[str, str], str | None] = {}
        self._receiver = Receiver(
            self._run,
            forget_one=sabotage.step == "drop-webhook",
            wrong_secret_of=BRANDS[0] if sabotage.step == "bad-secret" else None,
        )

    async def tell(self) -> Outcome:
        """Play everything and compare.

        Raises:
            ApiRefused: the API did not do what the demo needs.
            NotAsRegistered: a registered message could not be sent to anybody.
        """
        async with _session(CALL_SECONDS) as calls, _session(HIT_SECONDS) as visitors:
            apis = {brand: Api(calls, self._url, self._keys[brand]) for brand in BRANDS}
            async with self._endpoints(apis, calls):
                messages = await self._register(apis)
                expected = await self._report_sent(apis, messages)
                visits = play(self._rng, messages)
                expected += [hit.event for visit in visits for hit in visit if hit.event is not None]
                played = await self._play(Front(visitors, self._url), self._sabotage.visits(visits))
                rows = await self._wait(apis, expected)
        faults = self._faults + self._receiver.faults
        faults += [f"{times} webhooks were not accepted: {why}" for why, times in self._receiver.refused.items()]
        return Outcome(rows, faults, played)

    @asynccontextmanager
    async def _endpoints(self, apis: Mapping[str, Api], session: aiohttp.ClientSession) -> AsyncIterator[None]:
        """The receiver and an endpoint of each brand, as long as the play lasts."""
        self._display.begin("endpoints")
        made: list[tuple[Api, str]] = []
        await self._receiver.start()
        try:
            for brand, api in apis.items():
                await _delete_leftovers(api, session)
                endpoint, secret = await api.create_endpoint(self._receiver.url(brand), f"{self._run}-endpoint")
                made.append((api, endpoint))
                self._receiver.trust(brand, secret)
            self._display.end(f"{len(made)} webhook endpoints, one of each of {', '.join(apis)}")
            yield
        finally:
            self._display.fail()
            # Shielded from Ctrl-C: an endpoint that stays would get webhooks nobody takes.
            await asyncio.shield(asyncio.gather(*(api.delete_endpoint(endpoint) for api, endpoint in made)))
            await self._receiver.stop()

    async def _register(self, apis: Mapping[str, Api]) -> list[Message]:
        self._display.begin("messages")
        found: dict[tuple[str, int, int], list[Message]] = {}

        async def one(job: tuple[str, int, int]) -> None:
            brand, index, call = job
            mailing = MAILINGS[index]
            body = drafts(brand, self._run, mailing)[call]
            key = f"{self._run}-{mailing.name}-{call}"
            answers = await apis[brand].register(body, key)
            if call == 0 and await apis[brand].register(body, key) != answers:
                self._faults.append(
                    f"registering {mailing.name} again with the same Idempotency-Key answered otherwise"
                )
            found[job] = [received(brand, mailing, answer) for answer in answers]
            self._display.update(f"{sum(map(len, found.values()))} of {total()}")

        jobs = [
            (brand, index, call)
            for brand in apis
            for index, mailing in enumerate(MAILINGS)
            for call in range(len(drafts(brand, self._run, mailing)))
        ]
        await _all(jobs, one)
        # In the order of the jobs, not of their answers: the play is the same with the same seed.
        messages = [message for job in jobs for message in found[job]]
        different = len({message.id for message in messages})
        if different != total():
            self._faults.append(f"{total()} messages were registered under {different} ids")
        self._display.end(f"{len(messages)} for {len(apis)} brands, email and SMS, in {len(jobs)} calls")
        return messages

    async def _report_sent(self, apis: Mapping[str, Api], messages: Sequence[Message]) -> list[Happened]:
        self._display.begin("sent")
        done = 0
        skipped = messages[0] if self._sabotage.step == "drop-sent" else None

        async def one(message: Message) -> None:
            nonlocal done
            event = await apis[message.brand].report_sent(message.id)
            # One in ten is reported again, as after a time-out: it is the same event.
            if done % 10 == 0 and await apis[message.brand].report_sent(message.id) != event:
                self._faults.append(f"a second report of sending {message.id} made another event")
            done += 1
            self._display.update(f"{done} of {len(messages)}")

        await _all((message for message in messages if message is not skipped), one)
        self._display.end(f"{done} messages reported as sent, some of them twice")
        return [Happened(message.brand, SENT, message.id) for message in messages]

    async def _play(self, front: Front, visits: Sequence[list[Hit]]) -> Counter[str]:
        self._display.begin("recipients")
        played: Counter[str] = Counter()
        wrong = 0

        async def one(visit: list[Hit]) -> None:
            nonlocal wrong
            for hit in visit:
                fault = await front.play(hit)
                played[hit.what] += 1
                if fault is not None:
                    wrong += 1
                    self._faults.append(fault)
                self._display.update(f"{played.total()} of {sum(map(len, visits))} requests")

        await _all(visits, one)
        result = f"{played.total()} requests of {len(played)} kinds through nginx"
        self._display.end(f"{result}, all answered right" if not wrong else f"{result}, {wrong} WRONG", good=not wrong)
        return played

    async def _wait(self, apis: Mapping[str, Api], expected: Sequence[Happened]) -> list[Row]:
        """Read until every figure is right and stays so, or nothing new comes any more, or time is up."""
        self._display.begin("figures")
        deadline = time.monotonic() + self._wait_seconds
        last, changed_at, right_since = (-1, -1), time.monotonic(), None
        while True:
            await self._read_events(apis)
            webhooks = dict(self._receiver.received)
            rows = compare(BRANDS, expected, self._events, webhooks)
            now, state = time.monotonic(), (len(self._events), len(webhooks))
            if state != last:
                last, changed_at = state, now
            right_since = (right_since or now) if all(row.ok for row in rows) else None
            self._display.update(f"{state[0]} events and {state[1]} webhooks of {len(expected)}")
            confirmed = right_since is not None and now - right_since >= CONFIRM_SECONDS
            if confirmed or now - changed_at >= self._quiet_seconds or now >= deadline:
                break
            await asyncio.sleep(0.5)
        good = right_since is not None
        verified = f"{state[1]} webhooks verified" + (
            f", {self._receiver.repeated} of them again" if self._receiver.repeated else ""
        )
        corrections = sum(row.seen.events for row in rows if row.type == RECLASSIFIED)
        wanted = f"{len(expected)} and {corrections} corrections expected"
        self._display.end(f"{state[0]} events read, {verified}, {wanted}", good=good)
        return rows

    async def _read_events(self, apis: Mapping[str, Api]) -> None:
        """What is new since the last time, by cursor, as a brand's platform polls."""
        for brand, api in apis.items():
            for mailing in MAILINGS:
                place = (brand, campaign(self._run, mailing))
                found, self._cursors[place] = await api.events(place[1], self._cursors.get(place))
                for event in found:
                    if event["id"] in self._events:
                        self._faults.append(f"the event {event['id']} was listed twice")
                    self._events[event["id"]] = from_api(brand, event)


async def _delete_leftovers(api: Api, session: aiohttp.ClientSession) -> None:
    """Endpoints of demos that were killed: those whose receiver is gone. A demo beside this one keeps its own."""
    for endpoint in await api.endpoints():
        base, found, rest = endpoint["url"].partition(PATH + "/")
        run = rest.partition("/")[0]
        if endpoint["source"] == "api" and found and not await _receiver_is_there(session, f"{base}{PATH}/{run}", run):
            await api.delete_endpoint(endpoint["id"])


async def _receiver_is_there(session: aiohttp.ClientSession, url: str, run: str) -> bool:
    try:
        async with session.get(url, timeout=aiohttp.ClientTimeout(total=2.0), allow_redirects=False) as response:
            return await response.content.read(100) == run.encode()
    except (aiohttp.ClientError, TimeoutError):
        return False


async def _all(items: Iterable[T], do: Callable[[T], Awaitable[None]]) -> None:
    """Do something with every item, `AT_ONCE` at a time; the first failure ends it."""
    waiting = iter(items)

    async def work() -> None:
        for item in waiting:
            await do(item)

    workers = [asyncio.create_task(work()) for _ in range(AT_ONCE)]
    try:
        # Not a TaskGroup: the failure itself is what the caller knows, not a group of it.
        await asyncio.gather(*workers)
    finally:
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)


def _session(seconds: float) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        timeout=aiohttp.ClientTimeout(total=seconds),
        connector=aiohttp.TCPConnector(limit=AT_ONCE),
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
    )

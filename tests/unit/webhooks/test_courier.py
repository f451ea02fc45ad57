"""The thread that runs many endpoints at once."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter

import pytest

from app.webhooks.courier import Courier, Key


class World:
    """Endpoints whose runs end when a test says so."""

    def __init__(self) -> None:
        self.begun: Counter[Key] = Counter()
        self.ended: Counter[Key] = Counter()
        self.changed = threading.Condition()
        self.release: dict[Key, threading.Event] = {}
        self.more: dict[Key, int] = {}
        self.closed = False

    async def work(self, key: Key) -> bool:
        self._note(self.begun, key)
        if key in self.release:
            await asyncio.to_thread(self.release[key].wait, 30)
        self._note(self.ended, key)
        self.more[key] = self.more.get(key, 0) - 1
        if key == ("harbour", "broken"):
            raise RuntimeError("a bug")
        return self.more[key] >= 0

    async def close(self) -> None:
        self.closed = True

    def _note(self, counter: Counter[Key], key: Key) -> None:
        with self.changed:
            counter[key] += 1
            self.changed.notify_all()

    def wait_for(self, counter: Counter[Key], key: Key, number: int) -> None:
        with self.changed:
            assert self.changed.wait_for(lambda: counter[key] >= number, 20)


MAIN, OTHER, BROKEN = ("harbour", "main"), ("harbour", "other"), ("harbour", "broken")


@pytest.fixture
def world() -> World:
    return World()


def test_an_endpoint_that_takes_long_leaves_the_others_alone_and_ends_with_the_process(world: World) -> None:
    courier = Courier(world.work, closing=world.close)
    world.release[MAIN] = threading.Event()
    assert courier.submit(MAIN, 5)
    world.wait_for(world.begun, MAIN, 1)
    assert courier.submit(OTHER, 5)
    world.wait_for(world.ended, OTHER, 1)
    world.release[MAIN].set()
    courier.stop(10)
    assert (world.ended[MAIN], world.closed) == (1, True)
    assert not courier.submit(MAIN, 1), "it is over"


def test_who_asks_during_a_run_gets_one_more_run_and_not_two_at_once(world: World) -> None:
    courier = Courier(world.work, closing=world.close)
    world.release[MAIN] = threading.Event()
    courier.submit(MAIN, 5)
    world.wait_for(world.begun, MAIN, 1)
    assert all(courier.submit(MAIN, 5) for _ in range(3))
    assert world.begun[MAIN] == 1
    world.release[MAIN].set()
    world.wait_for(world.ended, MAIN, 2)
    courier.stop(10)
    assert world.ended[MAIN] == 2


def test_an_endpoint_with_more_to_do_is_run_until_nothing_is_left(world: World) -> None:
    courier = Courier(world.work, closing=world.close)
    world.more[MAIN] = 4
    courier.submit(MAIN, 5)
    world.wait_for(world.ended, MAIN, 5)
    courier.stop(10)
    assert world.ended[MAIN] == 5


def test_when_all_places_are_taken_the_next_waits_and_is_told_so(world: World) -> None:
    courier = Courier(world.work, closing=world.close, limit=1)
    world.release[MAIN] = threading.Event()
    courier.submit(MAIN, 5)
    world.wait_for(world.begun, MAIN, 1)
    assert not courier.submit(OTHER, 0.05)
    world.release[MAIN].set()
    assert courier.submit(OTHER, 5)
    world.wait_for(world.ended, OTHER, 1)
    courier.stop(10)


def test_a_fault_in_one_run_ends_that_run_alone(world: World) -> None:
    courier = Courier(world.work, closing=world.close)
    courier.submit(BROKEN, 5)
    world.wait_for(world.ended, BROKEN, 1)
    courier.submit(MAIN, 5)
    world.wait_for(world.ended, MAIN, 1)
    courier.stop(10)
    assert world.closed


def test_what_does_not_end_in_time_is_broken_off(world: World) -> None:
    async def forever(key: Key) -> bool:
        world.begun[key] += 1
        await asyncio.Event().wait()
        return False

    courier = Courier(forever, closing=world.close)
    courier.submit(MAIN, 5)
    courier.stop(0.2)
    assert world.closed

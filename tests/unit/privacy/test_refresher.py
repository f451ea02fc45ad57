"""The refreshing thread: who asks gets a call that began after asking, and nobody waits for one that does not work."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import pytest

from app.privacy.refresher import Refresher

Make = Callable[..., Refresher]


@pytest.fixture
def make() -> Iterator[Make]:
    made: list[Refresher] = []

    def start(refresh: Callable[[], bool], seconds: float = 3600.0) -> Refresher:
        made.append(Refresher(refresh, seconds))
        made[-1].start()
        return made[-1]

    yield start
    for one in made:
        one.close()


def test_it_calls_over_and_over(make: Make) -> None:
    calls = threading.Semaphore(0)
    make(lambda: calls.release() is None, seconds=0.01)
    assert all(calls.acquire(timeout=20) for _ in range(5))


def test_who_asks_waits_for_a_call_that_began_afterwards(make: Make) -> None:
    begun, go_on = threading.Semaphore(0), threading.Semaphore(0)
    value = ["old"]
    seen: list[str] = []

    def refresh() -> bool:
        found = value[0]
        begun.release()
        assert go_on.acquire(timeout=20)
        seen.append(found)
        return True

    refresher = make(refresh)
    assert begun.acquire(timeout=20)
    value[0] = "new"  # the running call has read the old value already
    answers: list[bool] = []
    asker = threading.Thread(target=lambda: answers.append(refresher.ask(20)))
    asker.start()
    while not refresher._wanted.is_set():
        time.sleep(0.001)
    go_on.release()
    assert begun.acquire(timeout=20)
    assert answers == []
    go_on.release()
    asker.join(20)
    assert answers == [True]
    assert seen == ["old", "new"]


def test_nobody_waits_while_the_calls_do_not_work(make: Make) -> None:
    called = threading.Event()

    def refresh() -> bool:
        called.set()
        return False

    refresher = make(refresh)
    assert called.wait(20)
    while not refresher._ended:
        time.sleep(0.001)
    for _ in range(1000):
        assert refresher.ask(3600) is False


def test_one_waits_in_vain_and_the_next_does_not_wait(make: Make) -> None:
    stuck = threading.Event()
    refresher = make(lambda: stuck.wait(60))
    assert refresher.ask(0.01) is False
    for _ in range(1000):
        assert refresher.ask(3600) is False
    stuck.set()


def test_when_it_works_again_one_may_ask_again(make: Make) -> None:
    works = [False]
    refresher = make(lambda: works[0], seconds=0.01)
    while not refresher._ended:
        time.sleep(0.001)
    works[0] = True
    while not refresher._working:
        time.sleep(0.001)
    assert refresher.ask(20) is True


def test_after_closing_there_are_no_calls_and_no_waiting(make: Make) -> None:
    calls: list[None] = []
    refresher = make(lambda: calls.append(None) is None, seconds=0.001)
    refresher.close()
    count = len(calls)
    refresher.start()
    assert refresher.ask(3600) is False
    assert len(calls) == count
    assert refresher._thread is not None
    assert not refresher._thread.is_alive()

"""The breaker, its time injected."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.models.breaker import Circuit, CircuitState, Permit
from app.webhooks.breaker import BreakerRules

START = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)


class Life:
    """A breaker through time."""

    def __init__(self, rules: BreakerRules | None = None) -> None:
        self.rules = rules or BreakerRules()
        self.circuit = Circuit()

    def note(self, seconds: float, *, ok: int = 0, failed: int = 0, hung: int = 0) -> Permit:
        now = START + timedelta(seconds=seconds)
        self.circuit, permit = self.rules.note(self.circuit, ok, failed, hung, now)
        return permit

    def permit(self, seconds: float) -> Permit:
        self.circuit, permit = self.rules.permit(self.circuit, START + timedelta(seconds=seconds))
        return permit

    def opened(self) -> Life:
        self.note(0, failed=10)
        return self


@pytest.fixture
def life() -> Life:
    return Life()


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def test_a_new_breaker_lets_everything_through(life: Life) -> None:
    assert life.permit(0) == Permit(allowed=True)


def test_ten_attempts_in_a_minute_of_which_seven_fail_open_it_for_30_seconds(life: Life) -> None:
    life.note(0, ok=3, failed=6)
    assert life.permit(1).allowed
    assert life.note(50, failed=1) == Permit(False, open_until=at(80), open_since=at(50))
    assert life.permit(79.9) == Permit(False, open_until=at(80), open_since=at(50))


def test_nine_failures_do_not_open_it(life: Life) -> None:
    assert life.note(0, failed=9).allowed


def test_69_percent_do_not_open_it(life: Life) -> None:
    assert life.note(0, ok=31, failed=69).allowed
    assert not life.note(1, failed=4).allowed


def test_attempts_of_more_than_a_minute_ago_do_not_count(life: Life) -> None:
    life.note(0, failed=9)
    assert life.note(60, failed=9).allowed
    assert not life.note(100, failed=1).allowed


def test_many_successes_of_the_same_minute_outweigh_ten_failures(life: Life) -> None:
    life.note(0, ok=1000)
    assert life.note(30, failed=10).allowed


def test_five_deadlines_in_a_row_open_it(life: Life) -> None:
    for second in range(4):
        assert life.note(100 * second, failed=1, hung=1).allowed
    assert not life.note(400, failed=1, hung=1).allowed


def test_anything_else_interrupts_the_row_of_deadlines(life: Life) -> None:
    life.note(0, failed=4, hung=4)
    life.note(100, failed=1)
    life.note(200, failed=4, hung=4)
    life.note(300, ok=1)
    assert life.note(400, failed=4, hung=4).allowed


def test_deadlines_after_a_success_of_the_same_run_begin_a_row(life: Life) -> None:
    life.note(0, ok=8, failed=3, hung=3)
    assert not life.note(1, failed=2, hung=2).allowed


def test_a_run_without_attempts_interrupts_nothing(life: Life) -> None:
    life.note(0, failed=4, hung=4)
    life.note(1)
    assert not life.note(2, failed=1, hung=1).allowed


def test_flapping_does_not_latch(life: Life) -> None:
    for second in range(0, 600, 2):
        assert life.note(second, ok=1).allowed
        assert life.note(second + 1, failed=1).allowed


def test_flapping_between_answers_and_deadlines_does_not_latch_either(life: Life) -> None:
    for second in range(0, 600, 2):
        life.note(second, failed=1, hung=1)
        assert life.note(second + 1, ok=1).allowed


def test_half_open_lets_one_probe_through(life: Life) -> None:
    life.opened()
    assert life.permit(30) == Permit(True, probe=True, open_since=at(0))
    assert life.permit(31) == Permit(False, open_until=at(90), open_since=at(0))


def test_a_probe_whose_worker_was_killed_is_given_to_another(life: Life) -> None:
    life.opened()
    life.permit(30)
    assert not life.permit(89.9).allowed
    assert life.permit(90).probe


def test_two_successful_probes_close_it(life: Life) -> None:
    life.opened()
    life.permit(30)
    assert life.note(31, ok=1) == Permit(True, probe=True, open_since=at(0))
    assert life.permit(32).probe
    assert life.note(33, ok=1) == Permit(allowed=True)
    assert life.circuit == Circuit()


def test_a_failed_probe_opens_it_for_twice_as_long_up_to_ten_minutes(life: Life) -> None:
    life.opened()
    now, lengths = 30.0, []
    for _ in range(8):
        assert life.permit(now).probe
        until = life.note(now, failed=1).open_until
        assert until is not None
        lengths.append((until - at(now)).total_seconds())
        now += lengths[-1]
    assert lengths == [60, 120, 240, 480, 600, 600, 600, 600]


def test_it_is_open_since_it_first_opened_however_many_probes_failed(life: Life) -> None:
    life.opened()
    life.permit(30)
    life.note(31, failed=1)
    life.permit(91)
    life.note(92, ok=1)
    life.permit(93)
    assert life.note(94, failed=1).open_since == at(0)


def test_a_failure_after_the_first_successful_probe_needs_two_again(life: Life) -> None:
    life.opened()
    life.permit(30)
    life.note(31, ok=1)
    life.permit(32)
    life.note(33, failed=1)
    life.permit(100)
    assert life.note(101, ok=1).probe
    life.permit(102)
    assert life.note(103, ok=1) == Permit()


def test_after_closing_it_opens_for_30_seconds_again(life: Life) -> None:
    life.opened()
    life.permit(30)
    life.note(31, failed=1)
    life.permit(100)
    life.note(101, ok=2)
    assert life.note(102, failed=10) == Permit(False, open_until=at(132), open_since=at(102))


def test_a_probe_that_was_asked_to_slow_down_gives_the_probe_back(life: Life) -> None:
    life.opened()
    life.permit(30)
    assert life.note(31).probe
    assert life.permit(32).probe


def test_what_began_before_it_opened_changes_nothing_when_it_ends_later(life: Life) -> None:
    life.opened()
    circuit = life.circuit
    assert not life.note(5, ok=5).allowed
    assert not life.note(6, failed=5).allowed
    assert life.circuit == circuit


def test_an_endpoint_that_was_failing_when_its_breaker_was_lost_begins_with_a_probe(life: Life) -> None:
    life.circuit = life.rules.remembered(at(-600))
    assert life.permit(0) == Permit(True, probe=True, open_since=at(-600))
    assert life.note(1, failed=1) == Permit(False, open_until=at(31), open_since=at(-600))


def test_a_factor_shortens_how_long_it_is_open() -> None:
    life = Life(BreakerRules(factor=0.01)).opened()
    assert life.permit(0.29).open_until == at(0.3)
    assert life.permit(0.3).probe


def test_the_numbers_are_defaults() -> None:
    life = Life(BreakerRules(min_attempts=2, failed_percent=50, open_seconds=1, successes=1))
    assert not life.note(0, ok=1, failed=1).allowed
    life.permit(1)
    assert life.note(1, ok=1) == Permit()


runs = st.tuples(st.floats(0, 100), st.integers(0, 20), st.integers(0, 20), st.integers(0, 20), st.booleans())


@given(st.lists(runs, max_size=60))
def test_whatever_happens_it_stays_small_and_is_never_open_for_more_than_ten_minutes(
    history: list[tuple[float, int, int, int, bool]],
) -> None:
    life, now = Life(), 0.0
    for seconds, ok, failed, hung, asks in history:
        now += seconds
        permit = life.permit(now) if asks else life.note(now, ok=ok, failed=failed, hung=min(hung, failed))
        assert len(life.circuit.slots) <= 12
        assert permit.allowed == (permit.open_until is None)
        assert permit.open_until is None or permit.open_until <= at(now + 600.001)
        assert (life.circuit.state is CircuitState.CLOSED) == (permit.open_since is None)
        assert life.rules.permit(life.circuit, at(now + 600.001))[1].allowed

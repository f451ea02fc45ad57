"""What an answer means: one test for every line of the table of response semantics."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.models.delivery import Attempt, DisabledReason
from app.webhooks.answers import HANG_SECONDS, SLOW_DOWN_SECONDS, Action, Answer, judge
from app.webhooks.schedule import MAX_RETRY_AFTER
from app.webhooks.transport import Sent

NOW = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)
RETRY = Answer(Action.RETRY)


def answered(
    status: int, *, events: int = 1, retry_after: str | None = None, instruction: str = "", factor: float = 1.0
) -> Answer:
    outcome = {2: "delivered", 3: "redirect"}.get(status // 100, f"http_{status}")
    attempt = Attempt(1, NOW, 0.02, outcome, status)
    return judge(Sent(attempt, retry_after, instruction), events=events, now=NOW, factor=factor)


def failed(outcome: str, seconds: float = 0.02, *, events: int = 1) -> Answer:
    return judge(Sent(Attempt(1, NOW, seconds, outcome)), events=events, now=NOW)


@pytest.mark.parametrize("status", [200, 201, 202, 204, 226, 299])
def test_every_2xx_is_delivered(status: int) -> None:
    assert answered(status) == Answer(Action.DELIVERED)
    assert answered(status, events=100) == Answer(Action.DELIVERED)


@pytest.mark.parametrize("status", [300, 301, 302, 303, 304, 307, 308])
def test_a_redirect_is_a_failure_that_marks_the_endpoint(status: int) -> None:
    assert answered(status) == RETRY._replace(mark="endpoint_redirects")
    assert answered(status, events=100) == RETRY._replace(mark="endpoint_redirects")


@pytest.mark.parametrize("status", [400, 422])
def test_a_single_event_that_is_refused_is_tried_again_and_speaks_for_a_configuration_fault(status: int) -> None:
    assert answered(status) == RETRY._replace(mark="config")


@pytest.mark.parametrize("status", [400, 413, 422])
def test_a_batch_that_is_refused_is_divided(status: int) -> None:
    assert answered(status, events=2) == Answer(Action.SPLIT)


def test_a_single_event_that_is_too_large_is_dead_at_once() -> None:
    assert answered(413) == Answer(Action.DEAD, reason="too_large")


@pytest.mark.parametrize("status", [401, 403, 404, 405, 415])
def test_a_configuration_failure_is_tried_again_and_its_owner_told(status: int) -> None:
    assert answered(status) == RETRY._replace(alert=True)
    assert answered(status, events=100) == RETRY._replace(alert=True)


@pytest.mark.parametrize("status", [402, 406, 408, 409, 425, 451, 500, 501, 505, 520, 599, 999])
def test_any_other_failure_is_tried_again_as_it_is(status: int) -> None:
    assert answered(status) == RETRY
    assert answered(status, events=100) == RETRY


def test_410_disables_the_endpoint_and_parks_what_it_was_told() -> None:
    assert answered(410) == Answer(Action.DISABLE, disabled=DisabledReason.GONE)
    assert answered(410, events=100).action is Action.DISABLE


def test_429_lets_the_whole_endpoint_rest_and_takes_no_attempt() -> None:
    rest = answered(429, retry_after="120")
    assert rest == Answer(Action.RETRY, counts=False, pause_seconds=120, retry_after=120)


def test_the_date_of_a_429_is_held_against_the_clock_it_is_given() -> None:
    date = format_datetime(NOW + timedelta(seconds=90), usegmt=True)
    assert answered(429, retry_after=date).pause_seconds == 90


@pytest.mark.parametrize("useless", [None, "0", "soon", "Thu, 01 Jan 2026 11:00:00 GMT"])
def test_a_429_without_a_time_rests_by_default(useless: str | None) -> None:
    assert answered(429, retry_after=useless).pause_seconds == SLOW_DOWN_SECONDS
    assert answered(429, retry_after=useless, factor=0.001).pause_seconds == pytest.approx(SLOW_DOWN_SECONDS / 1000)


@pytest.mark.parametrize("status", [502, 503, 504])
def test_an_overloaded_endpoint_is_tried_again_at_half_the_rate(status: int) -> None:
    assert answered(status) == RETRY._replace(throttle=True)


def test_503_with_retry_after_lets_the_whole_endpoint_rest_but_takes_an_attempt() -> None:
    assert answered(503, retry_after="60") == RETRY._replace(throttle=True, pause_seconds=60, retry_after=60)


@pytest.mark.parametrize("status", [301, 400, 401, 404, 408, 418, 500, 502, 504])
def test_retry_after_of_any_other_failure_holds_up_this_delivery_only(status: int) -> None:
    found = answered(status, retry_after="60")
    assert (found.retry_after, found.pause_seconds) == (60, 0)


def test_retry_after_is_cut_at_six_hours() -> None:
    assert answered(503, retry_after="999999").pause_seconds == MAX_RETRY_AFTER


def test_retry_after_of_an_accepted_request_says_nothing() -> None:
    assert answered(200, retry_after="60") == Answer(Action.DELIVERED)


@pytest.mark.parametrize("outcome", ["dns", "connect", "tls", "timeout", "reset", "protocol"])
def test_a_failure_without_an_answer_is_tried_again(outcome: str) -> None:
    assert failed(outcome)._replace(hung=False) == RETRY
    assert failed(outcome, events=100).action is Action.RETRY


def test_a_blocked_address_waits_for_its_schedule_as_one_may_be_a_slip_of_dns() -> None:
    assert failed("blocked_address") == RETRY


def test_an_endpoint_without_a_valid_secret_is_its_owners_to_mend() -> None:
    assert failed("no_secret") == RETRY._replace(alert=True)


def test_a_deadline_and_a_connect_timeout_are_hangs() -> None:
    assert failed("timeout", 15.0).hung
    assert failed("connect", 5.0).hung
    assert failed("dns", HANG_SECONDS).hung


def test_a_refused_connection_and_a_slow_answer_are_no_hangs() -> None:
    assert not failed("connect", 0.001).hung
    assert not failed("reset", 0.5).hung
    slow = judge(Sent(Attempt(1, NOW, 14.0, "http_500", 500)), events=1, now=NOW)
    assert not slow.hung


@pytest.mark.parametrize("status", [302, 400, 413, 422, 429, 500, 503])
@pytest.mark.parametrize("events", [1, 100])
def test_abort_message_on_a_failure_ends_the_delivery(status: int, events: int) -> None:
    assert answered(status, events=events, instruction="abort-message") == Answer(Action.DEAD, reason="aborted")


@pytest.mark.parametrize("status", [302, 400, 413, 429, 500, 503])
def test_disable_on_a_failure_is_as_410(status: int) -> None:
    assert answered(status, instruction="disable") == answered(410)


@pytest.mark.parametrize("instruction", ["abort-message", "disable"])
def test_an_instruction_with_a_success_changes_nothing(instruction: str) -> None:
    assert answered(200, instruction=instruction) == Answer(Action.DELIVERED)


def test_410_stays_410_whatever_else_it_says() -> None:
    assert answered(410, retry_after="5", instruction="abort-message") == answered(410)


@given(
    status=st.integers(100, 999),
    events=st.integers(1, 500),
    retry_after=st.none() | st.text(max_size=30) | st.integers(-5, 10**11).map(str),
    instruction=st.sampled_from(["", "abort-message", "disable"]),
)
def test_every_answer_means_something_and_waits_no_longer_than_six_hours(
    status: int, events: int, retry_after: str | None, instruction: str
) -> None:
    found = answered(status, events=events, retry_after=retry_after, instruction=instruction)
    assert (found.action is Action.DELIVERED) == (200 <= status < 300)
    assert 0 <= found.retry_after <= MAX_RETRY_AFTER
    assert 0 <= found.pause_seconds <= MAX_RETRY_AFTER
    assert (found.action is Action.SPLIT) <= (events > 1)
    assert (found.action is Action.DEAD) == bool(found.reason)
    assert (found.action is Action.DISABLE) == (found.disabled is not None)

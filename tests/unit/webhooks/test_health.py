"""When an endpoint is disabled, when its owner is told, when it is well again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from app.models.delivery import DisabledReason
from app.models.endpoint_health import Health, Notice, Seen
from app.webhooks.health import HealthRules

START = datetime(2026, 1, 1, 6, 0, 0, tzinfo=UTC)
RULES = HealthRules()


class Life:
    """An endpoint through time."""

    def __init__(self) -> None:
        self.health = Health()
        self.notices: list[Notice] = []

    def saw(self, hours: float, seen: Seen) -> list[Notice]:
        self.health, notices = RULES.after("main", self.health, seen, START + timedelta(hours=hours))
        self.notices += notices
        return notices

    def fails(self, hours: float, count: int = 1, outcome: str = "http_500") -> list[Notice]:
        return self.saw(hours, Seen(failed=count, outcomes={outcome: count}))

    def succeeds(self, hours: float) -> list[Notice]:
        return self.saw(hours, Seen(succeeded=1, outcomes={"delivered": 1}))

    def refuses(self, hours: float, status: int, count: int = 1) -> None:
        self.saw(hours, Seen(failed=count, mark="config", outcomes={f"http_{status}": count}))


@pytest.fixture
def life() -> Life:
    return Life()


def test_five_days_of_failures_disable_an_endpoint(life: Life) -> None:
    for hour in range(121):
        assert life.health.disabled is None
        life.fails(hour)
    assert life.health.disabled is DisabledReason.FAILING
    assert life.health.disabled_at == START + timedelta(hours=120)
    assert life.notices[-1] == Notice(
        "endpoint.disabled",
        {"endpoint_id": "main", "reason": "failing", "disabled_at": "2026-01-06T06:00:00.000Z"},
    )


def test_a_single_success_on_day_four_keeps_an_endpoint(life: Life) -> None:
    for hour in range(150):
        life.succeeds(hour) if hour == 96 else life.fails(hour)
    assert life.health.disabled is None
    assert life.health.failing_since == START + timedelta(hours=97)


def test_two_failures_six_days_apart_disable_nothing(life: Life) -> None:
    life.fails(0)
    life.fails(144)
    assert life.health.disabled is None


def test_many_failures_in_two_windows_disable_nothing_however_far_apart(life: Life) -> None:
    life.fails(0, 1000)
    life.fails(121, 1000)
    assert life.health.disabled is None
    life.fails(140, 1)
    assert life.health.disabled is DisabledReason.FAILING


def test_an_idle_month_is_no_month_of_failures(life: Life) -> None:
    life.succeeds(0)
    for hour in range(30 * 24, 30 * 24 + 119):
        life.fails(hour)
    assert life.health.disabled is None


def test_the_owner_is_warned_after_24_and_after_72_hours_and_once_each(life: Life) -> None:
    for hour in range(120):
        life.fails(hour)
    assert [(notice.type, notice.data["hours"]) for notice in life.notices] == [
        ("endpoint.failing", 24),
        ("endpoint.failing", 72),
    ]
    assert life.notices[0].data == {
        "endpoint_id": "main",
        "reason": "no_success",
        "hours": 24,
        "failing_since": "2026-01-01T06:00:00.000Z",
        "failures": 25,
        "disabled_from": "2026-01-06T06:00:00.000Z",
    }


def test_an_endpoint_that_rested_between_two_warnings_gets_the_later_one_only(life: Life) -> None:
    life.fails(0)
    assert [notice.data["hours"] for notice in life.fails(80)] == [72]


def test_the_first_success_after_a_warning_is_told_once(life: Life) -> None:
    life.fails(0)
    life.fails(25)
    assert [notice.type for notice in life.succeeds(26)] == ["endpoint.recovered"]
    assert life.succeeds(27) == []


def test_a_success_of_an_endpoint_nobody_was_warned_of_is_not_told(life: Life) -> None:
    life.fails(0)
    assert life.succeeds(1) == []


def test_an_endpoint_that_fails_again_is_warned_of_again(life: Life) -> None:
    for start in (0, 100):
        life.fails(start)
        life.fails(start + 24)
        life.succeeds(start + 25)
    assert [notice.type for notice in life.notices] == ["endpoint.failing", "endpoint.recovered"] * 2


@pytest.mark.parametrize("outcome", ["http_401", "http_403", "http_404", "http_405", "http_415", "no_secret"])
def test_a_configuration_failure_is_told_at_its_first_occurrence_per_hour(life: Life, outcome: str) -> None:
    for minutes in range(0, 121, 10):
        life.saw(minutes / 60, Seen(failed=1, alert=True, outcomes={outcome: 1}))
    told = {"endpoint_id": "main", "reason": "configuration", "outcome": outcome}
    assert life.notices == [Notice("endpoint.failing", told)] * 3


def test_an_endpoint_that_takes_some_and_refuses_others_is_told_of_as_well(life: Life) -> None:
    mixed = Seen(succeeded=5, failed=5, alert=True, outcomes={"delivered": 5, "http_404": 5})
    assert [notice.type for notice in life.saw(0, mixed)] == ["endpoint.failing"]
    assert life.saw(0.5, mixed) == []
    assert [notice.type for notice in life.succeeds(0.6)] == ["endpoint.recovered"]


@pytest.mark.parametrize("status", [400, 422])
def test_three_identical_refusals_in_a_row_mark_the_configuration(life: Life, status: int) -> None:
    life.refuses(0, status)
    life.refuses(1, status)
    assert life.health.mark == ""
    life.refuses(2, status)
    assert life.health.mark == "config"


def test_three_refusals_in_one_run_are_three(life: Life) -> None:
    life.refuses(0, 422, count=3)
    assert life.health.mark == "config"


def test_refusals_that_differ_or_are_interrupted_mark_nothing(life: Life) -> None:
    for hour, status in enumerate([400, 422, 400, 422, 422]):
        life.refuses(hour, status)
    life.fails(5)
    life.refuses(6, 422)
    life.refuses(7, 422)
    life.succeeds(8)
    life.refuses(9, 422)
    assert life.health.mark == ""


def test_one_event_that_is_refused_among_others_that_are_taken_marks_nothing(life: Life) -> None:
    for hour in range(5):
        life.saw(hour, Seen(succeeded=3, failed=1, mark="config", outcomes={"delivered": 3, "http_400": 1}))
    assert life.health.mark == ""


def test_a_redirect_marks_the_endpoint_and_shows_where_to_until_it_takes_something(life: Life) -> None:
    redirected = Seen(failed=1, mark="endpoint_redirects", location_host="new.harbour.example")
    life.saw(0, redirected)
    assert (life.health.mark, life.health.location_host) == ("endpoint_redirects", "new.harbour.example")
    life.fails(1)
    assert life.health.mark == "endpoint_redirects"
    life.succeeds(2)
    assert (life.health.mark, life.health.location_host) == ("", "")


def test_an_address_blocked_in_three_runs_within_an_hour_disables_the_endpoint(life: Life) -> None:
    blocked = Seen(failed=8, blocked=8)
    life.saw(0, blocked)
    life.saw(0.3, blocked)
    assert life.health.disabled is None
    (notice,) = life.saw(0.6, blocked)
    assert life.health.disabled is DisabledReason.UNSAFE_ADDRESS
    assert (notice.type, notice.data["reason"]) == ("endpoint.disabled", "unsafe_address")


def test_an_address_blocked_three_times_in_two_hours_disables_nothing(life: Life) -> None:
    for hours in (0, 0.9, 1.0, 2.0, 2.9):
        life.saw(hours, Seen(failed=1, blocked=1))
    assert life.health.disabled is None


def test_a_name_that_leads_here_and_there_is_unsafe_although_some_arrive(life: Life) -> None:
    for minutes in (0, 10, 20):
        life.saw(minutes / 60, Seen(succeeded=4, failed=1, blocked=1))
    assert life.health.disabled is DisabledReason.UNSAFE_ADDRESS


def test_what_ends_after_the_endpoint_was_disabled_changes_nothing(life: Life) -> None:
    life.health = Health(disabled=DisabledReason.GONE, told=True)
    assert life.succeeds(0) == life.fails(1) == []
    assert life.health == Health(disabled=DisabledReason.GONE, told=True)


def test_a_healthy_endpoint_changes_every_five_minutes_only(life: Life) -> None:
    changes = 0
    for second in range(0, 3600, 5):
        before = life.health
        life.succeeds(second / 3600)
        changes += life.health != before
    assert changes == 12


def test_flapping_keeps_an_endpoint_and_warns_nobody(life: Life) -> None:
    for hour in range(500):
        life.succeeds(hour) if hour % 2 else life.fails(hour, 50)
    assert life.health.disabled is None
    assert life.notices == []


def test_an_endpoint_is_suspect_after_ten_failures_without_a_success(life: Life) -> None:
    life.fails(0, 9)
    assert life.health.suspect_since is None
    life.fails(1)
    assert life.health.suspect_since == START
    life.succeeds(2)
    assert life.health.suspect_since is None


def test_the_numbers_are_defaults() -> None:
    rules = HealthRules(disable_after_seconds=10, disable_failures=2, disable_windows=1, warn_after_seconds=(5,))
    health, _ = rules.after("main", Health(), Seen(failed=1), START)
    health, warned = rules.after("main", health, Seen(failed=1), START + timedelta(seconds=9))
    assert [notice.type for notice in warned] == ["endpoint.failing"]
    health, _ = rules.after("main", health, Seen(failed=1), START + timedelta(seconds=10))
    assert health.disabled is DisabledReason.FAILING

"""The maintained lists are read completely or not at all, and no harmful pattern of theirs is used."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from app.errors import ConfigurationError
from app.ingest.user_agent_lists import LISTS, KnownMachines, MachineList, known_machines, patterns_of

ENOUGH = [f"Example{number}Bot" for number in range(1200)]


def list_that(read: Callable[[], list[object]]) -> MachineList:
    return MachineList(name="example-list", read=read, flags="", off={})


def list_of(*patterns: object) -> MachineList:
    return list_that(lambda: [*ENOUGH, *patterns])


def raising(error: Exception) -> Callable[[], list[object]]:
    def read() -> list[object]:
        raise error

    return read


@pytest.mark.parametrize(("source", "pattern"), [(each, pattern) for each in LISTS for pattern in each.off])
def test_every_switched_off_pattern_is_still_in_its_list(source: MachineList, pattern: str) -> None:
    assert pattern in patterns_of(source), f"{source.name} has no such pattern any more: take it from the table"


@pytest.mark.parametrize("source", LISTS)
def test_every_switched_off_pattern_says_whom_it_hits(source: MachineList) -> None:
    assert all(source.off.values())


@pytest.mark.parametrize(
    "error", [ImportError("gone"), AttributeError("data"), OSError("gone"), ValueError("no JSON"), KeyError("pattern")]
)
def test_a_list_that_moved_inside_its_package_is_an_error(error: Exception) -> None:
    with pytest.raises(ConfigurationError, match="example-list"):
        KnownMachines((list_that(raising(error)),))


@pytest.mark.parametrize("found", [[], ["OnlyBot"], [*ENOUGH, None], [*ENOUGH, ""], [*ENOUGH, {"pattern": "x"}]])
def test_a_list_that_is_short_or_no_list_of_patterns_is_an_error(found: list[object]) -> None:
    with pytest.raises(ConfigurationError, match="example-list"):
        KnownMachines((list_that(lambda: found),))


def test_a_pattern_that_re2_does_not_know_is_an_error_that_names_it() -> None:
    with pytest.raises(ConfigurationError, match="Example") as raised:
        KnownMachines((list_of("Example(?!Search)"),))

    assert "example-list" in str(raised.value)


def test_a_switched_off_pattern_is_not_used() -> None:
    source = list_of("Harmful")

    assert b"Harmful/1.0" in KnownMachines((source,))
    assert b"Harmful/1.0" not in KnownMachines((source._replace(off={"Harmful": "people"}),))


def test_a_hit_says_which_pattern_of_which_list() -> None:
    assert KnownMachines((list_of("Harmful"),)).hits(b"Harmful/1.0") == ["example-list: Harmful"]


def test_both_lists_are_in_use() -> None:
    named = {hit.split(":")[0] for hit in known_machines().hits(b"Mediapartners-Google")}

    assert named == {source.name for source in LISTS}


def test_hostile_agents_do_not_make_the_matcher_forget_its_patterns() -> None:
    machines = KnownMachines()
    patterns = [pattern for source in LISTS for pattern in patterns_of(source)]
    for start in range(0, len(patterns), 20):
        assert machines.hits(" ".join(patterns[start : start + 20]).encode()[:1024])

    assert b"x" * 1000 + b" Mediapartners-Google" in machines

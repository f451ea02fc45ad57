"""The registry: look-ups, live reload, the last good file, and what it costs on the hot path."""

from __future__ import annotations

import json
import logging
import threading
import time
from pathlib import Path

import pytest

from app.brands import BrandRegistry, new_webhook_secret, parse_webhook_secret
from app.errors import ConfigurationError

ONE = "version: 1\nbrands:\n  - {id: one, name: One, tracking_hosts: [t.one.example, t.bücher.example]}\n"
TWO = ONE + "  - {id: two, name: Two, tracking_hosts: [t.two.example]}\n"


class Clock:
    """A monotonic clock that moves when told to."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "brands.yaml"
    path.write_text(ONE)
    return path


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def registry(path: Path, clock: Clock) -> BrandRegistry:
    return BrandRegistry(path, path.parent / "secrets", monotonic=clock)


def replace(path: Path, text: str) -> None:
    """Write as editors and configuration tools do: a new file, renamed over the old one."""
    fresh = path.with_suffix(".new")
    fresh.write_text(text)
    fresh.replace(path)


def test_a_brand_is_found_by_id_and_by_any_spelling_of_its_host(registry: BrandRegistry) -> None:
    one = registry.by_id("one")
    assert one is not None
    for host in ("t.one.example", "T.ONE.example", "t.one.example:8080", "t.one.example.", "t.xn--bcher-kva.example"):
        assert registry.by_host(host) is one
    for host in ("", ":", "one.example", "x.t.one.example", "t.one.example.evil.test", "t.one.example@evil.test"):
        assert registry.by_host(host) is None
    assert registry.by_id("ONE") is None
    assert registry.all() == (one,)


def test_the_first_load_must_work(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"brands\.yaml: cannot be read"):
        BrandRegistry(tmp_path / "brands.yaml", tmp_path)
    (tmp_path / "brands.yaml").write_text("version: 1\nbrands: []\n")
    with pytest.raises(ConfigurationError, match="field brands"):
        BrandRegistry(tmp_path / "brands.yaml", tmp_path)


def test_a_change_is_picked_up_after_a_second_and_not_looked_for_before(
    registry: BrandRegistry, path: Path, clock: Clock
) -> None:
    version = registry.version
    replace(path, TWO)
    clock.seconds += 0.9
    assert registry.by_host("t.two.example") is None
    clock.seconds += 0.2
    assert registry.by_host("t.two.example") is not None
    assert registry.version != version
    replace(path, ONE)
    clock.seconds += 1.1
    assert registry.by_id("two") is None
    assert registry.version == version


def test_a_broken_file_keeps_the_last_good_one_and_is_logged_once_per_version(
    registry: BrandRegistry, path: Path, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "telltale.brands")
    version = registry.version
    for _ in range(5):
        replace(path, ONE.replace("name: One", "nam: One"))  # the same mistake saved again is no news
        clock.seconds += 1.1
        assert registry.by_host("t.one.example") is not None
    assert 'brand "one", field nam' in str(registry.last_error)
    assert registry.version == version
    replace(path, "version: 1\nbrands: [\n")
    clock.seconds += 1.1
    assert registry.by_id("one") is not None
    refused = [record for record in caplog.records if record.message == "brands_file_refused"]
    assert [record.levelname for record in refused] == ["ERROR", "ERROR"]
    assert "not valid YAML" in refused[1].__dict__["faults"][0]
    assert json.dumps(refused[0].__dict__["faults"])
    replace(path, TWO)
    clock.seconds += 1.1
    assert registry.last_error is None
    assert registry.by_id("two") is not None
    assert caplog.records[-1].message == "brands_loaded"


def test_a_file_that_disappears_keeps_the_last_good_one(registry: BrandRegistry, path: Path, clock: Clock) -> None:
    path.unlink()
    clock.seconds += 1.1
    assert registry.by_id("one") is not None
    assert "cannot be read" in str(registry.last_error)
    replace(path, ONE)
    clock.seconds += 1.1
    assert registry.last_error is None


def test_a_file_that_is_written_in_two_halves_ends_up_whole(registry: BrandRegistry, path: Path, clock: Clock) -> None:
    half = len(TWO) - 20
    with path.open("w") as stream:
        stream.write(TWO[:half])
        stream.flush()
        clock.seconds += 1.1
        assert registry.by_id("one") is not None
        stream.write(TWO[half:])
    clock.seconds += 1.1
    assert registry.by_id("two") is not None
    assert registry.last_error is None


def test_a_secret_that_changes_or_appears_is_picked_up(tmp_path: Path, clock: Clock) -> None:
    path = tmp_path / "brands.yaml"
    first, second = new_webhook_secret(), new_webhook_secret()
    (tmp_path / "main").write_text(first)
    entry = 'endpoints: [{id: e, url: "https://hooks.one.example/", secrets: ["file:main"]}]'
    path.write_text(
        f"version: 1\nbrands:\n  - id: one\n    name: One\n    tracking_hosts: [t.one.example]\n    {entry}\n"
    )
    registry = BrandRegistry(path, tmp_path, monotonic=clock)

    def key() -> bytes:
        return registry.all()[0].endpoints[0].secrets[0].key

    assert key() == parse_webhook_secret(first)
    replace(tmp_path / "main", second)
    clock.seconds += 1.1
    assert key() == parse_webhook_secret(second)
    (tmp_path / "main").unlink()
    clock.seconds += 1.1
    assert key() == parse_webhook_secret(second), "a missing secret must not take the endpoint away"
    assert "file:main does not exist" in str(registry.last_error)
    (tmp_path / "main").write_text(first)
    clock.seconds += 1.1
    assert key() == parse_webhook_secret(first)
    assert registry.last_error is None


def test_a_mistake_of_ours_during_a_reload_fails_no_look_up(
    path: Path, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(name: str) -> str | None:
        raise RuntimeError(name)

    registry = BrandRegistry(path, path.parent, read_variable=broken, monotonic=clock)
    entry = '{id: e, url: "https://hooks.one.example/", secrets: ["env:X"]}'
    replace(path, ONE.replace("name: One", f"name: One, endpoints: [{entry}]"))
    clock.seconds += 1.1
    assert registry.by_host("t.one.example") is not None
    assert "RuntimeError" in str(registry.last_error)
    assert caplog.records[-1].message == "brands_file_refused"


def test_readers_always_see_a_whole_file_while_it_is_replaced(path: Path) -> None:
    # Both files name all hosts; a reader that saw half of each would miss one.
    texts = [TWO, TWO.replace("name: One", "name: Uno").replace("name: Two", "name: Due")]
    path.write_text(texts[0])
    moment = iter(range(10**9))  # every call is a second after the last: every look-up looks at the file
    registry = BrandRegistry(path, path.parent, monotonic=lambda: float(next(moment)) * 2)
    names: set[tuple[str, ...]] = set()
    stop = threading.Event()

    def read() -> None:
        while not stop.is_set():
            names.add(tuple(brand.name for brand in registry.all()))

    readers = [threading.Thread(target=read) for _ in range(4)]
    for reader in readers:
        reader.start()
    deadline = time.monotonic() + 20
    rounds = 0
    while (rounds < 40 or len(names) < 2) and time.monotonic() < deadline:
        replace(path, texts[rounds % 2])
        rounds += 1
    stop.set()
    for reader in readers:
        reader.join(10)
    assert names == {("One", "Two"), ("Uno", "Due")}
    assert registry.last_error is None


def test_a_look_up_that_is_not_due_for_a_check_costs_less_than_a_microsecond(path: Path) -> None:
    registry = BrandRegistry(path, path.parent)
    best = float("inf")
    for _ in range(20):  # the best of many: the machine is shared
        start = time.perf_counter()
        for _ in range(2000):
            registry.by_host("t.one.example")
        best = min(best, (time.perf_counter() - start) / 2000)
    assert best < 1e-6

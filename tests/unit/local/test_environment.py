"""Ports that are remembered, short paths for sockets, settings of a copy, and nginx's configuration."""

from __future__ import annotations

import json
import shutil
import socket
import tempfile
from pathlib import Path

import pytest

from config.settings import load_settings
from local.environment import choose_ports, make_runtime_dir, process_environment, render, render_nginx
from local.ports import free_port, port_is_free
from local.secret_files import make_secrets

ROOT = Path(__file__).resolve().parents[3]


def test_ports_are_the_same_at_the_next_start(tmp_path: Path) -> None:
    first = choose_ports(tmp_path, 8080, own_mongod=True, own_valkey=True)
    assert choose_ports(tmp_path, 8080, own_mongod=True, own_valkey=True) == first
    assert len({first.nginx, first.flower, first.mongod, first.valkey}) == 4


def test_a_port_that_was_taken_meanwhile_is_replaced(tmp_path: Path) -> None:
    first = choose_ports(tmp_path, 8080, own_mongod=True, own_valkey=True)
    assert first.mongod is not None
    with socket.socket() as other:
        other.bind(("127.0.0.1", first.mongod))
        other.listen()
        second = choose_ports(tmp_path, 8080, own_mongod=True, own_valkey=True)
    assert second.mongod != first.mongod
    assert (second.valkey, second.flower) == (first.valkey, first.flower)


def test_a_port_is_not_given_out_twice_when_nginx_wants_a_remembered_one(tmp_path: Path) -> None:
    first = choose_ports(tmp_path, 8080, own_mongod=True, own_valkey=True)
    second = choose_ports(tmp_path, first.flower, own_mongod=True, own_valkey=True)
    assert second.flower != first.flower


def test_servers_given_by_url_get_no_port(tmp_path: Path) -> None:
    ports = choose_ports(tmp_path, 8080, own_mongod=False, own_valkey=False)
    assert (ports.mongod, ports.valkey) == (None, None)


@pytest.mark.parametrize("memory", ["", "[1]", "{", '{"flower": "x", "mongod": 99999999, "valkey": null}'])
def test_a_spoiled_memory_of_ports_only_means_other_ports(tmp_path: Path, memory: str) -> None:
    (tmp_path / "ports.json").write_text(memory)
    ports = choose_ports(tmp_path, 8080, own_mongod=True, own_valkey=True)
    assert json.loads((tmp_path / "ports.json").read_text())["flower"] == ports.flower


def test_a_port_with_a_listener_is_not_free() -> None:
    port = free_port()
    assert port_is_free(port)
    with socket.socket() as other:
        other.bind(("127.0.0.1", port))
        other.listen()
        assert not port_is_free(port)
        assert free_port({port}) != port


def test_sockets_lie_in_the_state_folder_and_what_a_killed_copy_left_is_gone() -> None:
    # A short path, which pytest's own folder may not be.
    with tempfile.TemporaryDirectory() as name:
        state = Path(name)
        (make_runtime_dir(state) / "old.sock").touch()
        folder = make_runtime_dir(state)
        assert folder.parent == state
        assert [one.name for one in folder.iterdir()] == ["metrics"]


def test_a_long_state_folder_gets_sockets_with_a_short_path(tmp_path: Path) -> None:
    state = tmp_path / ("long" * 20)
    state.mkdir()
    folder = make_runtime_dir(state)
    try:
        assert not folder.is_relative_to(state)
        assert len(str(folder / "supervisor.sock.12345")) < 108
        assert folder.stat().st_mode & 0o777 == 0o700
    finally:
        shutil.rmtree(folder)


@pytest.fixture
def state(tmp_path: Path) -> Path:
    make_secrets(tmp_path / "secrets", ROOT / "brands.yaml")
    return tmp_path


def _environment(state: Path, given: dict[str, str]) -> dict[str, str]:
    ports = choose_ports(
        state,
        8123,
        own_mongod="TELLTALE_MONGO_URL" not in given,
        own_valkey="TELLTALE_REDIS_URL" not in given,
    )
    return process_environment(state, state / "run", ports, brands_file=ROOT / "brands.yaml", given=given)


def test_settings_take_what_a_copy_is_told(state: Path) -> None:
    settings = load_settings(_environment(state, {}))
    assert settings.state_dir == state
    assert settings.public_port == 8123
    assert settings.mongo_url.endswith("directConnection=true")
    assert len({settings.redis_url, settings.broker_url, settings.cache_url}) == 3
    assert settings.webhook_allow_http


def test_what_a_person_sets_wins(state: Path) -> None:
    given = {
        "TELLTALE_MONGO_URL": "mongodb://db.example/",
        "TELLTALE_REDIS_URL": "redis://redis.example/",
        "TELLTALE_PUBLIC_SCHEME": "https",
        "TELLTALE_METRICS_TOKEN": "mine",
    }
    settings = load_settings(_environment(state, given))
    assert settings.mongo_url == "mongodb://db.example/"
    assert settings.broker_url == settings.cache_url == settings.redis_url == "redis://redis.example/"
    assert settings.public_scheme == "https"
    assert settings.metrics_token == "mine"


def test_render_replaces_our_placeholders_and_leaves_nginx_its_variables() -> None:
    assert render("a ${TELLTALE_X} $request_id ${other}", {"TELLTALE_X": "1"}) == "a 1 $request_id ${other}"
    with pytest.raises(KeyError):
        render("${TELLTALE_UNKNOWN}", {})


def test_only_trusted_proxies_may_name_the_client(state: Path) -> None:
    render_nginx(_environment(state, {"TELLTALE_TRUSTED_PROXIES": "10.0.0.0/8, 2001:db8::1"}), "127.0.0.1:8123")
    text = (state / "nginx" / "telltale.conf").read_text()
    assert "set_real_ip_from 10.0.0.0/8;\nset_real_ip_from 2001:db8::1/128;" in text
    render_nginx(_environment(state, {}), "127.0.0.1:8123")
    assert "set_real_ip_from" not in (state / "nginx" / "telltale.conf").read_text()


@pytest.mark.parametrize("proxies", ["10.0.0.0/8; }", "proxy.example"])
def test_a_proxy_that_is_no_network_is_refused(state: Path, proxies: str) -> None:
    with pytest.raises(ValueError, match="does not appear to be"):
        render_nginx(_environment(state, {"TELLTALE_TRUSTED_PROXIES": proxies}), "127.0.0.1:8123")


@pytest.mark.parametrize("name", ['a"b', "a$b", "a;b", "a{b"])
def test_a_path_that_would_change_nginx_configuration_is_refused(state: Path, name: str) -> None:
    environment = {**_environment(state, {}), "TELLTALE_RUNTIME_DIR": f"/somewhere/{name}"}
    with pytest.raises(ValueError, match="nginx cannot use"):
        render_nginx(environment, "127.0.0.1:8123")

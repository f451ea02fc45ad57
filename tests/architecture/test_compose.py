"""docker-compose.yml: valid by the Compose Specification's own schema, and true to the code it starts."""

from __future__ import annotations

import importlib.util
import json
import re
from importlib import resources
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from app.commands import create_app
from config.celery import HARD_LIMIT_SECONDS
from config.queues import Queue

ROOT = Path(__file__).resolve().parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = sorted(name for name, service in SERVICES.items() if service.get("image") == "telltale-app")
ONE_SHOT = {"database", "cli"}


def test_file_is_valid_by_the_schema_of_the_compose_specification() -> None:
    schema = resources.files("check_jsonschema").joinpath("builtin_schemas/vendor/compose-spec.json")
    jsonschema.validate(COMPOSE, json.loads(schema.read_text(encoding="utf-8")))


def test_every_part_of_the_design_has_a_service() -> None:
    assert SERVICES.keys() >= {"nginx", "web", "shipper", "beat", "flower", "mongo", "redis", "rabbitmq"}
    assert SERVICES.keys() >= {f"worker-{queue.value}" for queue in Queue}


@pytest.mark.parametrize("name", OURS)
def test_command_names_something_that_exists(name: str) -> None:
    program, *words = SERVICES[name]["command"]
    match program:
        case "uwsgi":
            assert words[0] == "--ini"
            assert (ROOT / words[1]).is_file()
        case "python":
            assert words[0] == "-m"
            assert importlib.util.find_spec(f"{words[1]}.__main__") is not None
        case "celery":
            assert words[:2] == ["-A", "tasks.celery_app"]
            assert (ROOT / "tasks" / "celery_app.py").is_file()
            assert words[2] in {"worker", "beat", "flower"}
        case "flask":
            assert words[:2] == ["--app", "app.commands"]
            assert words[2] == "--help" or _flask_command_exists(words[2:])
        case _:
            pytest.fail(f"{program} is not a program of ours")


def _flask_command_exists(words: list[str]) -> bool:
    group, command = words
    return command in create_app().cli.commands[group].commands  # type: ignore[attr-defined]


def test_every_queue_has_a_worker_here_and_in_the_local_copy() -> None:
    local = (ROOT / "config" / "supervisord.conf").read_text(encoding="utf-8")
    consumed = [_option(SERVICES[name]["command"], "-Q") for name in OURS if "worker" in SERVICES[name]["command"]]
    assert sorted(consumed) == sorted(queue.value for queue in Queue)
    here = [queue for queues in re.findall(r" worker -Q (\S+)", local) for queue in queues.split(",")]
    assert sorted(here) == sorted(queue.value for queue in Queue)


@pytest.mark.parametrize("queue", list(Queue))
def test_a_worker_is_given_time_to_finish_its_task(queue: Queue) -> None:
    grace = SERVICES[f"worker-{queue.value}"]["stop_grace_period"]
    assert int(grace.removesuffix("s")) > HARD_LIMIT_SECONDS


@pytest.mark.parametrize("name", sorted(SERVICES.keys() - ONE_SHOT))
def test_every_running_service_has_a_health_check_and_comes_back(name: str) -> None:
    assert SERVICES[name]["healthcheck"]["test"]
    assert SERVICES[name]["restart"] == "unless-stopped"


def test_no_password_has_a_default() -> None:
    text = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
    for name, default in re.findall(r"\$\{([A-Z_]*(?:PASSWORD|LOGIN|SECRET|KEY)[A-Z_]*)([^}]*)\}", text):
        # RabbitMQ is optional, and its service refuses to start without one.
        assert default.startswith(":?") or (name, default) == ("RABBITMQ_PASSWORD", ":-"), name
    assert 'test -n "$$RABBITMQ_DEFAULT_PASS" ||' in text
    assert SERVICES["flower"]["environment"]["FLOWER_BASIC_AUTH"].startswith("${FLOWER_LOGIN:?")


def test_front_and_shipper_share_the_journal_and_it_outlives_them() -> None:
    for name in ("web", "shipper"):
        assert "journal:/var/lib/telltale" in SERVICES[name]["volumes"]
    assert COMPOSE["volumes"].keys() == {"journal", "sockets", "mongo", "redis", "rabbitmq"}


def test_numbers_and_queues_are_never_evicted_and_survive_a_crash() -> None:
    command = " ".join(SERVICES["redis"]["command"])
    assert "--maxmemory-policy noeviction" in command
    assert "--appendonly yes" in command
    assert "redis:/data" in SERVICES["redis"]["volumes"]


def test_only_the_front_is_open_to_other_machines_and_stores_to_none() -> None:
    assert {name for name, service in SERVICES.items() if "ports" in service} == {"nginx", "flower"}
    assert all(port.startswith("127.0.0.1:") for port in SERVICES["flower"]["ports"])
    assert COMPOSE["networks"]["back"] == {"internal": True}
    assert all(SERVICES[name]["networks"] == ["back"] for name in ("mongo", "redis", "cache", "rabbitmq"))


def test_containers_of_ours_cannot_write_their_files_nor_gain_rights() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    assert re.search(r"^USER telltale$", dockerfile, re.MULTILINE)
    for name in OURS:
        assert SERVICES[name]["read_only"] is True
        assert SERVICES[name]["cap_drop"] == ["ALL"]


def test_every_variable_is_one_that_somebody_reads() -> None:
    files = ["config/settings.py", "config/uwsgi.ini", "nginx/telltale.conf.template"]
    readers = "\n".join((ROOT / file).read_text(encoding="utf-8") for file in files)
    given = {name for service in SERVICES.values() for name in service.get("environment", {})}
    for name in sorted(name for name in given if name.startswith("TELLTALE_")):
        setting = name.removeprefix("TELLTALE_")
        # A secret may come from a file named by NAME_FILE.
        known = (name, f'"{setting}"', f'secret("{setting.removesuffix("_FILE")}"')
        assert any(one in readers for one in known), name


def test_dockerfile_copies_only_what_the_context_lets_in() -> None:
    allowed = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    copied = re.findall(r"^COPY (?!--from)(\S+) ", (ROOT / "Dockerfile").read_text(encoding="utf-8"), re.MULTILINE)
    assert "*" in allowed
    for source in copied:
        assert (ROOT / source).exists(), source
        assert f"!{source.partition('/')[0]}" in allowed, source


def _option(command: list[str], name: str) -> str:
    return command[command.index(name) + 1]

"""What becomes of a log call: one JSON line with a constant event name, and nothing that could name a person."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from typing import Any

import pytest

from app.lib.log import WARNING, log_event, log_failure
from config.logging import JsonFormatter

ADDRESS = "marta.example@inbox.example"
NAME = "Marta Musterfrau"


class Lines(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(JsonFormatter())
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(self.format(record))

    @property
    def last(self) -> dict[str, Any]:
        line = json.loads(self.texts[-1])
        assert isinstance(line, dict)
        return line


@pytest.fixture
def lines() -> Lines:
    return Lines()


def _logger(name: str, lines: Lines) -> logging.Logger:
    logger = logging.Logger(name)
    logger.addHandler(lines)
    return logger


def test_an_event_is_one_line_of_json_with_its_fields(lines: Lines) -> None:
    log_event(_logger("app.shipper", lines), WARNING, "shipper_behind", behind_bytes=12, brand="alder", late=True)
    assert "\n" not in lines.texts[0]
    assert lines.last | {"at": "", "process": 0} == {
        "at": "",
        "level": "warning",
        "logger": "app.shipper",
        "process": 0,
        "event": "shipper_behind",
        "behind_bytes": 12,
        "brand": "alder",
        "late": True,
    }
    assert lines.last["at"].endswith("Z")


def test_fields_given_as_extra_are_kept_too(lines: Lines) -> None:
    _logger("app.web", lines).warning("api_failed", extra={"error": "KeyError", "where": ["a.py:1 f"]})
    assert lines.last["error"] == "KeyError"
    assert lines.last["where"] == ["a.py:1 f"]


def test_a_field_cannot_replace_what_every_line_has(lines: Lines) -> None:
    log_event(_logger("app.x", lines), WARNING, "odd", at="never", process="none")
    assert lines.last["at"] != "never"
    assert lines.last["at_"] == "never"


@pytest.mark.parametrize("value", [{"to": ADDRESS}, object(), [{"to": ADDRESS}], b"marta.example@inbox.example"])
def test_a_field_that_is_no_scalar_says_only_its_type(lines: Lines, value: Any) -> None:
    log_event(_logger("app.x", lines), WARNING, "odd", value=value)
    assert "marta" not in lines.texts[0]


@pytest.mark.parametrize(
    "value",
    [
        f"to {ADDRESS}",
        "https://t.brand.example/c/Xk29fLmQ?p=geheim",
        "mongodb://root:hunter2@db.example:27017/?authSource=admin",
        "call +49 151 2345 6789 now",
        "GET /u/Xk29fLmQ",
    ],
)
def test_a_field_with_an_address_a_code_or_a_password_loses_it(lines: Lines, value: str) -> None:
    log_event(_logger("app.x", lines), WARNING, "odd", value=value)
    for secret in (ADDRESS, "Xk29fLmQ", "geheim", "hunter2", "2345"):
        assert secret not in lines.texts[0]


def test_a_message_with_values_in_it_is_replaced_by_its_place(lines: Lines) -> None:
    _logger("app.x", lines).error(f"could not send to {ADDRESS}")
    assert lines.last["event"] == "unnamed_event"
    assert lines.last["at_line"].startswith("ops/test_log_lines.py:")
    assert ADDRESS not in lines.texts[0]


def test_an_exception_is_its_type_and_place_without_its_text(lines: Lines) -> None:
    try:
        try:
            {}[ADDRESS]
        except KeyError as error:
            raise ValueError(f"no {NAME}") from error
    except ValueError as error:
        log_failure(_logger("app.x", lines), "lookup_failed", error)
    assert lines.last["error"] == "ValueError from KeyError"
    assert lines.last["where"][-1].startswith("ops/test_log_lines.py:")
    assert ADDRESS not in lines.texts[0]
    assert NAME not in lines.texts[0]


def test_a_library_is_quoted_only_with_what_stands_in_its_source(lines: Lines) -> None:
    library = _logger("celery.worker", lines)
    library.error("connection to %s lost after %s s: %r", f"redis://:geheim@{ADDRESS}", 3, ValueError(NAME))
    assert lines.last["text"] == "connection to … lost after 3 s: ValueError"
    library.error("Task %(name)s[%(id)s] failed: %(exc)s", {"name": "ingest.batch", "id": NAME, "exc": NAME})
    assert lines.last["text"] == "Task ingest.batch[…] failed: …"


def test_a_librarys_message_that_was_put_together_from_values_is_not_quoted(lines: Lines) -> None:
    _logger("asyncio", lines).error("Task exception was never retrieved\nfuture: " + NAME)
    assert lines.last["event"] == "library"
    assert NAME not in lines.texts[0]
    _logger("asyncio", lines).error("could not read " + NAME)
    assert "text" not in lines.last


def test_a_process_that_dies_of_an_exception_prints_no_values() -> None:
    # A fresh interpreter: the hooks are the process's.
    program = f"""
import os, threading, warnings, logging
from config.logging import setup_logging
from config.settings import load_settings
key = "{"A" * 43}="
setup_logging(load_settings({{"TELLTALE_MONGO_URL": "m", "TELLTALE_REDIS_URL": "r", "TELLTALE_CODE_KEY": key,
                             "TELLTALE_MASTER_KEYS": "k:" + key}}))
logging.getLogger("celery").info("%s %s", {NAME!r})
warnings.warn({NAME!r})
def fail():
    raise ValueError({NAME!r})
thread = threading.Thread(target=fail); thread.start(); thread.join()
fail()
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert done.stdout == ""
    assert NAME not in done.stderr
    events = [json.loads(line)["event"] for line in done.stderr.splitlines()]
    assert events == ["library", "library", "thread_failed", "process_failed"]

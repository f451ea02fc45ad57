"""Every file of app/commands is a group of the command line or a part of one; the command line runs without the web."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import click
from flask import Flask

import app.commands

ROOT = Path(__file__).parents[3]


def flask(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The real `flask` program with nothing in its environment, in an empty folder."""
    command = [sys.executable, "-m", "flask", "--app", "app.commands", *arguments]
    environment = {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=60, check=False)


def test_every_file_is_a_group_or_a_part_of_one() -> None:
    bare = Flask("bare")
    app.commands.register(bare)
    files = {path.stem for path in Path(app.commands.__file__).parent.glob("*.py")} - {"__init__"}
    assert {"brands", "keys", "db"} <= files - {"encryption_keys"} <= set(bare.cli.commands)
    keys = bare.cli.commands["keys"]
    assert isinstance(keys, click.Group)
    assert {"create", "list", "revoke", "status", "rotate", "rewrap", "retire"} == set(keys.commands)


def test_brands_check_runs_where_there_is_nothing_else(tmp_path: Path) -> None:
    done = flask(tmp_path, "brands", "check", "--file", str(ROOT / "brands.yaml"), "--no-secrets")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1] == "OK: 22 brands in brands.yaml (secrets not checked)"
    (tmp_path / "brands.yaml").write_text("version: 1\nbrands: [{id: A, nam: x}]\n")
    broken = flask(tmp_path, "brands", "check")
    assert broken.returncode == 1
    assert 'brands.yaml, brand "A", field id: must be' in broken.stderr
    assert 'brands.yaml, brand "A", field name: is missing' in broken.stderr
    assert "Traceback" not in broken.stderr


def test_a_command_that_needs_the_settings_says_which_are_missing(tmp_path: Path) -> None:
    done = flask(tmp_path, "db", "init")
    assert done.returncode == 1
    assert "TELLTALE_MONGO_URL is missing" in done.stderr
    assert "Traceback" not in done.stderr

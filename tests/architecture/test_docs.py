"""The documents say what is: links, settings, targets, figures' names and samples are held against the code.

Whether a sentence is true no test can say; whether a list is complete, these can.
"""

from __future__ import annotations

import ast
import re
import subprocess
from pathlib import Path

import pytest

import app.commands
from app.analytics.definitions import FIGURES, ROWS
from app.models.event import PUBLIC_KINDS
from app.models.reasons import REASONS
from app.storage.indexes import INDEXES
from app.web.api import OPERATIONS, PREFIX
from app.web.health import CHECKS
from config.beat import PERIOD_SECONDS
from config.celery import HARD_LIMIT_SECONDS
from local.demo.breaks import BREAKS

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
BY_NAME = {str(path.relative_to(ROOT)): path.read_text(encoding="utf-8") for path in DOCUMENTS}
README, OPERATIONS_DOC = BY_NAME["README.md"], BY_NAME["docs/operations.md"]

_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
_OURS = ("app", "tasks", "config", "local", "tests", "docs", "benchmarks", "nginx")
_STRANGERS = {"www.standardwebhooks.com", "semver.org"}
"""Public sites that a document may lead to; every other host is a sample and ends in `.example`."""


def _prose(text: str) -> str:
    """Without code blocks, in which brackets mean something else."""
    return _FENCE.sub("", text)


def _anchors(text: str) -> set[str]:
    """Of the headings, as code hosts make them: lower case, punctuation dropped, blanks to hyphens."""
    headings = re.findall(r"^#+ (.+)$", _prose(text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def _first_cells(text: str) -> list[str]:
    """What stands in the first column of the tables."""
    return [row.split("|")[1].strip() for row in text.splitlines() if row.startswith("| ")]


@pytest.mark.parametrize("name", BY_NAME)
def test_every_relative_link_leads_somewhere(name: str) -> None:
    for target in _LINK.findall(_prose(BY_NAME[name])):
        if "://" in target:
            continue
        file, _, anchor = target.partition("#")
        path = (ROOT / name).parent / file if file else ROOT / name
        assert path.resolve().is_relative_to(ROOT), target
        assert path.exists(), target
        if anchor:
            assert anchor in _anchors(path.read_text(encoding="utf-8")), target


@pytest.mark.parametrize("name", BY_NAME)
def test_every_path_that_is_named_exists(name: str) -> None:
    named = set(re.findall(rf"`((?:{'|'.join(_OURS)})/[\w./-]+)`", BY_NAME[name]))
    assert [path for path in sorted(named) if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("name", BY_NAME)
def test_nothing_of_a_real_machine_or_company_is_named(name: str) -> None:
    text = BY_NAME[name]
    assert re.findall(r"(?<![\w.])/(?:work|tmp|home|root|Users)\b\S*", text) == []
    hosts = set(re.findall(r"https?://([\w.-]+)", text)) | set(re.findall(r"[\w.+-]+@([\w-]+(?:\.[\w-]+)+)", text))
    assert {host for host in hosts if not host.endswith(".example")} <= _STRANGERS | {"127.0.0.1"}


def _settings_in_code() -> dict[str, str]:
    """Variable → the method that reads it, from the calls in `load_settings`."""
    tree = ast.parse((ROOT / "config" / "settings.py").read_text(encoding="utf-8"))
    return {
        f"TELLTALE_{node.args[0].value}": node.func.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in ("value", "required", "secret")
        and node.args
        and isinstance(node.args[0], ast.Constant)
    }


def _table_after(mark: str) -> list[str]:
    """The first column of the README's table behind an HTML comment that begins with `mark`, without its head."""
    after = README.split(f"<!-- {mark}:", 1)[1]
    return _first_cells(after.split("\n\n", 2)[1])[2:]


def test_the_readme_has_every_setting_and_no_other() -> None:
    code = _settings_in_code()
    listed = _table_after("settings")
    assert sorted(re.findall(r"TELLTALE_[A-Z_]+", " ".join(listed))) == sorted(code)
    assert {cell.split("`")[1] for cell in listed if "★" in cell} == {
        name for name, method in code.items() if method == "secret"
    }


def test_the_readme_lists_launch_variables_that_something_reads() -> None:
    files = [*ROOT.glob("local/*.py"), *ROOT.glob("nginx/*"), ROOT / "config/uwsgi.ini", ROOT / "docker-compose.yml"]
    text = "\n".join(file.read_text(encoding="utf-8") for file in files)
    listed = [cell.strip("`") for cell in _table_after("launch")]
    assert listed
    assert [name for name in listed if name not in text or name in _settings_in_code()] == []
    # And the other way round for what a person must or may set in the compose file.
    compose = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
    asked = set(re.findall(r"\$\{(TELLTALE_[A-Z_]+)", compose))
    assert asked <= set(listed) | set(_settings_in_code())


def test_the_readme_has_every_make_target_and_no_other() -> None:
    done = subprocess.run(
        ["make", "--no-print-directory", "help"], cwd=ROOT, capture_output=True, text=True, timeout=30, check=True
    )
    targets = [line.split()[0] for line in done.stdout.splitlines() if line.strip()]
    assert len(targets) > 5
    assert sorted(re.findall(r"^\| `make ([a-z-]+)`", README, re.MULTILINE)) == sorted(targets)
    for name, text in BY_NAME.items():
        assert set(re.findall(r"`make ([a-z-]+)`", text)) <= set(targets), name


def test_the_readme_has_every_call_of_the_api() -> None:
    table = "\n".join(cell for cell in _first_cells(README) if PREFIX in cell)
    for operation in OPERATIONS:
        path = PREFIX + re.sub(r"\{\w+\}", "{id}", operation.path)
        assert re.search(rf"`[^|]*{operation.method}[^|]*{re.escape(path)}`", table), f"{operation.method} {path}"


def test_operations_has_every_metric_check_and_periodic_task() -> None:
    source = (ROOT / "app" / "web" / "metrics.py").read_text(encoding="utf-8")
    counters = set(re.findall(r'Counter(?:MetricFamily)?\("(telltale_\w+)"', source))
    names = set(re.findall(r'"(telltale_\w+)"', source))
    metrics = {f"{name}_total" if name in counters else name for name in names}
    cells = [cell.strip("`") for cell in _first_cells(OPERATIONS_DOC)]
    assert {cell for cell in cells if cell.startswith("telltale_")} == metrics
    assert set(CHECKS) <= set(cells)
    assert {task.value for task in PERIOD_SECONDS} <= set(cells)
    assert f"at most {HARD_LIMIT_SECONDS}\nseconds" in OPERATIONS_DOC


def test_the_glossary_has_every_event_type_and_reason() -> None:
    cells = [cell.strip("`") for cell in _first_cells(BY_NAME["docs/glossary.md"])]
    assert {kind.public_type for kind in PUBLIC_KINDS} == {cell for cell in cells if cell.startswith("message.")}
    assert cells[cells.index("reason", cells.index("type")) + 2 :] == list(REASONS)


def test_the_glossary_has_the_words_of_every_reason() -> None:
    for code, words in REASONS.items():
        assert f"| `{code}` | {words} |" in BY_NAME["docs/glossary.md"]


def test_figures_has_every_figure_and_row_in_the_words_of_the_code() -> None:
    lines = BY_NAME["docs/figures.md"].splitlines()
    figures = [f"| `{one.name}` | {one.unit.value} | {one.view.value} | {one.words} |" for one in FIGURES]
    head = lines.index("| figure | unit | view | says |")
    assert lines[head + 2 : head + 3 + len(figures)] == [*figures, ""]
    rows = [f"| `{name}` | {words} |" for name, words in ROWS.items()]
    head = lines.index("| `by` | a row is |")
    assert lines[head + 2 : head + 3 + len(rows)] == [*rows, ""]


def test_architecture_has_every_collection() -> None:
    cells = {cell.strip("`") for cell in _first_cells(BY_NAME["docs/architecture.md"])}
    without_indexes = {"blocks", "suppressions", "endpoint_turns", "counters"}
    assert INDEXES.keys() | without_indexes <= cells


def test_contributing_has_every_way_to_break_the_demo() -> None:
    assert re.findall(r"--break ([a-z-]+)", BY_NAME["CONTRIBUTING.md"]) == list(BREAKS)


def test_every_decision_is_in_the_list_under_its_number() -> None:
    files = sorted(path.name for path in (ROOT / "docs" / "decisions").glob("0*.md"))
    listed = re.findall(r"^\| \[(\d+)\]\(([\w-]+\.md)\)", BY_NAME["docs/decisions/README.md"], re.MULTILINE)
    assert [name for _, name in listed] == files
    for number, name in listed:
        text = BY_NAME[f"docs/decisions/{name}"]
        assert int(name[:4]) == int(number)
        assert text.startswith(f"# {number}. "), name
        assert {"context", "decision", "consequences"} <= _anchors(text), name


def test_commands_of_the_command_line_exist() -> None:
    command_line = app.commands.create_app().test_cli_runner()
    for name, text in BY_NAME.items():
        for group, command in re.findall(r"flask --app app\.commands (\w+) ([\w-]+)", text):
            done = command_line.invoke(args=[group, command, "--help"])
            assert done.exit_code == 0, f"{name}: {group} {command}\n{done.output}"

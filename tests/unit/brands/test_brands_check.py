"""`flask brands check`: a table and OK, or every fault and exit code 1; without servers, settings or an application."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from app.brands import new_webhook_secret
from app.commands.brands import group

SAMPLE = Path(__file__).parents[3] / "brands.yaml"
BRAND = """version: 1
brands:
  - id: acme
    name: Acme
    tracking_hosts: [t.acme.example]
    endpoints: [{id: acme-main, url: "https://hooks.acme.example/", secrets: ["%s"]}]
"""


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("BRANDS_FILE", "SECRETS_DIR", "STATE_DIR", "WEBHOOK_ALLOW_HTTP", "MONGO_URL", "REDIS_URL"):
        monkeypatch.delenv(f"TELLTALE_{name}", raising=False)
    monkeypatch.chdir(tmp_path)


def check(*arguments: str | Path) -> Result:
    return CliRunner().invoke(group, ["check", *map(str, arguments)])


def test_the_sample_is_listed_and_ok() -> None:
    result = check("--file", SAMPLE, "--no-secrets")
    assert result.exit_code == 0
    assert result.output.count(".example") > 22
    assert result.output.splitlines()[-1] == "OK: 22 brands in brands.yaml (secrets not checked)"


def test_a_missing_secret_is_a_fault_unless_secrets_are_left_out(tmp_path: Path) -> None:
    file = tmp_path / "brands.yaml"
    file.write_text(BRAND % "file:acme")
    result = check()
    assert result.exit_code == 1
    assert 'brand "acme", field endpoints[0].secrets[0]: file:acme does not exist' in result.output
    assert result.output.splitlines()[-1] == "1 fault in brands.yaml; it would be refused."
    assert check("--no-secrets").exit_code == 0


def test_secrets_are_found_in_the_folder_and_in_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(BRAND % "file:acme")
    (tmp_path / "keys").mkdir()
    secret = new_webhook_secret()
    (tmp_path / "keys" / "acme").write_text(secret)
    result = check("--file", file, "--secrets-dir", tmp_path / "keys")
    assert result.exit_code == 0, result.output
    assert result.output.splitlines()[-1] == "OK: 1 brand in mine.yaml"
    monkeypatch.setenv("TELLTALE_BRANDS_FILE", str(file))
    monkeypatch.setenv("ACME_SECRET", secret)
    file.write_text(BRAND % "env:ACME_SECRET")
    result = check()
    assert result.exit_code == 0, result.output
    assert secret.removeprefix("whsec_") not in result.output


def test_what_the_deployment_allows_is_allowed_here_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "brands.yaml"
    file.write_text((BRAND % "file:x").replace("https:", "http:"))
    result = check("--no-secrets")
    assert result.exit_code == 1
    assert "endpoints[0].url: must begin with https://" in result.output
    monkeypatch.setenv("TELLTALE_WEBHOOK_ALLOW_HTTP", "1")
    assert check("--no-secrets").exit_code == 0


def test_a_file_that_is_not_there_is_a_fault_and_no_trace(tmp_path: Path) -> None:
    result = check("--file", tmp_path / "none.yaml")
    assert result.exit_code == 1
    assert result.output.startswith("none.yaml: cannot be read (FileNotFoundError)")
    assert "Traceback" not in result.output

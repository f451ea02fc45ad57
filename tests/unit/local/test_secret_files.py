"""Secrets of a local copy: made once, good for the settings and for Standard Webhooks, readable by their owner only."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.brands import BrandsFileRefused, parse_webhook_secret
from config.settings import load_settings
from local.secret_files import make_secrets, write_private

BRANDS = """
version: 1
defaults:
  channels: [email]
brands:
  - id: oak
    name: Oak
    tracking_hosts: [t.oak.example]
    endpoints:
      - {id: oak-1, url: "https://hooks.oak.example/x", secrets: ["file:webhook-oak", "env:OAK", "file:sub/old"]}
"""


@pytest.fixture
def brands(tmp_path: Path) -> Path:
    path = tmp_path / "brands.yaml"
    path.write_text(BRANDS, encoding="utf-8")
    return path


def test_only_the_owner_can_read_secrets(tmp_path: Path, brands: Path) -> None:
    folder = tmp_path / "secrets"
    make_secrets(folder, brands)
    assert folder.stat().st_mode & 0o777 == 0o700
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert {path.stat().st_mode & 0o777 for path in files} == {0o600}
    assert {path.name for path in files} == {
        "code_key",
        "master_keys",
        "metrics_token",
        "flower_password",
        "webhook-oak",
        "old",
    }


def test_a_folder_that_others_could_read_is_closed(tmp_path: Path, brands: Path) -> None:
    folder = tmp_path / "secrets"
    folder.mkdir(mode=0o755)
    make_secrets(folder, brands)
    assert folder.stat().st_mode & 0o777 == 0o700


def test_secrets_that_exist_are_kept(tmp_path: Path, brands: Path) -> None:
    folder = tmp_path / "secrets"
    make_secrets(folder, brands)
    (folder / "webhook-oak").unlink()
    before = {path.name: path.read_text() for path in folder.iterdir() if path.is_file()}
    make_secrets(folder, brands)
    assert before.items() <= {path.name: path.read_text() for path in folder.iterdir() if path.is_file()}.items()
    assert (folder / "webhook-oak").exists()


def test_settings_and_webhooks_take_the_secrets(tmp_path: Path, brands: Path) -> None:
    folder = tmp_path / "secrets"
    make_secrets(folder, brands)
    settings = load_settings(
        {
            "TELLTALE_MONGO_URL": "mongodb://127.0.0.1/",
            "TELLTALE_REDIS_URL": "redis://127.0.0.1/",
            "TELLTALE_CODE_KEY_FILE": str(folder / "code_key"),
            "TELLTALE_MASTER_KEYS_FILE": str(folder / "master_keys"),
            "TELLTALE_METRICS_TOKEN_FILE": str(folder / "metrics_token"),
        }
    )
    assert [key_id for key_id, _ in settings.master_keys] == ["k1"]
    assert settings.master_keys[0][1] != settings.code_key
    assert len(parse_webhook_secret((folder / "webhook-oak").read_text().strip())) == 32


def test_a_brands_file_that_is_no_yaml_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("brands: [", encoding="utf-8")
    with pytest.raises(BrandsFileRefused, match=r"mine\.yaml"):
        make_secrets(tmp_path / "secrets", path)


def test_a_private_file_is_never_open_to_others_not_even_over_an_open_one(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    path.chmod(0o644)
    write_private(path, "new")
    assert path.read_text() == "new"
    assert path.stat().st_mode & 0o777 == 0o600
    assert [one.name for one in tmp_path.iterdir()] == ["file"]

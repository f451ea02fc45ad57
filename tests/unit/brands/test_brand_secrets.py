"""Secrets by reference: found where the reference says, in the one encoding verifiers agree on, never quoted."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from standardwebhooks import Webhook

from app.brands import new_webhook_secret, parse_webhook_secret
from app.brands.secrets import MAX_SECRET_FILE_BYTES, SecretReader


def no_variable(name: str) -> None:
    return None


def test_a_new_secret_is_one_that_we_and_the_standard_library_read_alike() -> None:
    secret = new_webhook_secret()
    assert len(parse_webhook_secret(secret)) == 32
    assert Webhook(secret)._whsecret == parse_webhook_secret(secret)
    assert secret != new_webhook_secret()


def test_the_known_vector_is_read() -> None:
    assert parse_webhook_secret("whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=") == bytes(range(32))


@pytest.mark.parametrize("size", [24, 64])
def test_24_to_64_bytes_are_accepted(size: int) -> None:
    assert len(parse_webhook_secret("whsec_" + base64.b64encode(bytes(size)).decode())) == size


@pytest.mark.parametrize(
    "text",
    [
        "",
        "whsec_",
        base64.b64encode(bytes(32)).decode(),
        "WHSEC_" + base64.b64encode(bytes(32)).decode(),
        "whsk_" + base64.b64encode(bytes(32)).decode(),
        "whsec_" + base64.b64encode(bytes(23)).decode(),
        "whsec_" + base64.b64encode(bytes(65)).decode(),
        "whsec_" + base64.urlsafe_b64encode(b"\xff" * 32).decode(),
        "whsec_" + base64.b64encode(bytes(32)).decode().rstrip("="),
        "whsec_" + base64.b64encode(bytes(32)).decode()[:-2] + "B=",
        "whsec_" + base64.b64encode(bytes(32)).decode() + "\n",
        "whsec_ " + base64.b64encode(bytes(32)).decode(),
        "whsec_" + "ü" * 44,
    ],
)
def test_a_secret_a_verifier_could_read_differently_is_refused_without_being_quoted(text: str) -> None:
    with pytest.raises(ValueError) as caught:
        parse_webhook_secret(text)
    tail = text.removeprefix("whsec_")
    assert not tail or tail not in str(caught.value)


def test_a_file_is_found_in_the_folder_and_by_absolute_path(tmp_path: Path) -> None:
    secret = new_webhook_secret()
    (tmp_path / "inside").mkdir()
    (tmp_path / "inside" / "one").write_text(secret + "\n")
    (tmp_path / "outside").write_text(secret)
    reader = SecretReader(tmp_path / "inside", no_variable)
    assert reader.webhook_key("file:one") == parse_webhook_secret(secret)
    assert reader.webhook_key(f"file:{tmp_path}/outside") == parse_webhook_secret(secret)
    assert set(reader.files) == {tmp_path / "inside" / "one", tmp_path / "outside"}


def test_a_file_that_is_no_secret_is_refused_without_being_quoted(tmp_path: Path) -> None:
    (tmp_path / "url-safe").write_text("whsec_" + base64.urlsafe_b64encode(b"\xff" * 32).decode())
    (tmp_path / "binary").write_bytes(b"\xff\x00")
    (tmp_path / "large").write_text("x" * (MAX_SECRET_FILE_BYTES + 1))
    (tmp_path / "folder").mkdir()
    reader = SecretReader(tmp_path, no_variable)
    for name, part in (
        ("url-safe", "URL-safe"),
        ("binary", "plain text"),
        ("large", "larger"),
        ("folder", "IsADirectoryError"),
    ):
        with pytest.raises(ValueError, match=part) as caught:
            reader.webhook_key(f"file:{name}")
        assert str(caught.value).startswith(f"file:{name} ")
        assert "____" not in str(caught.value)


def test_a_variable_is_asked_for_by_name() -> None:
    secret = new_webhook_secret()
    reader = SecretReader(Path("no-such-folder"), {"ACME": f" {secret}\n", "EMPTY": ""}.get)
    assert reader.webhook_key("env:ACME") == parse_webhook_secret(secret)
    for name in ("EMPTY", "MISSING"):
        with pytest.raises(ValueError, match=f"env:{name} is not set"):
            reader.webhook_key(f"env:{name}")

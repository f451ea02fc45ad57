"""Makes the secrets of a local copy, once, as files that only their owner can read; none is ever committed."""

from __future__ import annotations

import base64
import os
import secrets
from collections.abc import Callable
from pathlib import Path

from app.brands import new_webhook_secret, secret_references


def make_secrets(folder: Path, brands_file: Path) -> None:
    """Make every secret that is not there yet: keys, logins, and the webhook secrets that brands.yaml names.

    Args:
        folder: gets mode 0700, each file in it 0600.
        brands_file: its endpoints name their secrets as `file:NAME`.

    Raises:
        BrandsFileRefused: the brands file cannot be read at all.
        OSError: it is not there, or the folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    _make(folder / "code_key", _key)
    # An id stands before every key, so that a later one can be put in front of it.
    _make(folder / "master_keys", lambda: f"k1:{_key()}")
    _make(folder / "metrics_token", lambda: secrets.token_urlsafe(24))
    _make(folder / "flower_password", lambda: secrets.token_urlsafe(18))
    for reference in secret_references(brands_file.name, brands_file.read_bytes()):
        name = Path(reference.removeprefix("file:"))
        # An absolute path is a file that somebody keeps; the app refuses one that leaves the folder by itself.
        if reference.startswith("file:") and not name.is_absolute() and ".." not in name.parts:
            _make(folder / name, new_webhook_secret)


def _key() -> str:
    return base64.b64encode(secrets.token_bytes(32)).decode()


def _make(path: Path, value: Callable[[], str]) -> None:
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_private(path, value() + "\n")


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read; other processes see the old text or all of the new one."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        # A code key that a power cut took away would take every link ever sent with it.
        os.fsync(file.fileno())
    temporary.replace(path)

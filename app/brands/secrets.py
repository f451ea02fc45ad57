"""Secrets by reference: `env:NAME` or `file:NAME`, never the value itself. No message here ever quotes a secret."""

from __future__ import annotations

import base64
import binascii
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from app.lib.files import FileSignature, file_signature

ReadVariable = Callable[[str], str | None]
"""Gives the value of an environment variable, or None (`config.settings.read_variable`)."""

MAX_SECRET_FILE_BYTES = 4096
_PREFIX = "whsec_"
_ENV = re.compile(r"env:[A-Za-z_][A-Za-z0-9_]*")


def check_reference(text: str) -> str:
    """The reference itself, if it is one.

    Raises:
        ValueError: one sentence that does not quote the text: somebody may have put a secret there.
    """
    if text.startswith("env:"):
        if not _ENV.fullmatch(text):
            raise ValueError("must be env:NAME with a name of letters, digits and underscores")
        return text
    if text.startswith("file:"):
        name = text.removeprefix("file:")
        if not name or "\0" in name:
            raise ValueError("must be file:NAME with the name of a file")
        if not Path(name).is_absolute() and ".." in Path(name).parts:
            raise ValueError("must not leave the secrets folder with ..; give an absolute path instead")
        return text
    raise ValueError("must be a reference, env:NAME or file:NAME, never the secret itself")


@dataclass(slots=True)
class SecretReader:
    """Follows references during one load of the brands file, and remembers which files it looked at."""

    folder: Path
    """Where a relative `file:` leads; an absolute one stays what it is."""
    read_variable: ReadVariable
    follow: bool = True
    """Off: nothing is read and every reference gives no key (`flask brands check --no-secrets`)."""
    files: dict[Path, FileSignature | None] = field(default_factory=dict)

    def text(self, reference: str) -> str | None:
        """The text behind a reference, without blanks around it, or None when references are not followed.

        Raises:
            ValueError: one sentence naming the reference and what is wrong, never the value.
        """
        if not self.follow:
            return None
        if reference.startswith("file:"):
            path = self.folder / reference.removeprefix("file:")
            self.files[path] = file_signature(path)  # before reading, so that a later write is seen as a change
            return _read_file(reference, path).strip()
        text = self.read_variable(reference.removeprefix("env:")) or ""
        if not text:
            raise ValueError(f"{reference} is not set in the environment")
        return text.strip()

    def webhook_key(self, reference: str) -> bytes | None:
        """The signing key behind a reference, or None when references are not followed.

        Raises:
            ValueError: one sentence naming the reference and what is wrong, never the value.
        """
        text = self.text(reference)
        if text is None:
            return None
        try:
            return parse_webhook_secret(text)
        except ValueError as error:
            raise ValueError(f"{reference} {error}") from None  # the cause could quote the value


def parse_webhook_secret(text: str) -> bytes:
    """`whsec_` and standard base64, with padding, of 24-64 bytes (Standard Webhooks 1.0.0, "Signature scheme").

    URL-safe base64 is refused: common verifiers silently drop `-` and `_` and so derive another key.

    Raises:
        ValueError: one sentence without the value.
    """
    if not text.startswith(_PREFIX):
        raise ValueError("must begin with whsec_")
    encoded = text.removeprefix(_PREFIX)
    if "-" in encoded or "_" in encoded:
        raise ValueError("must be standard base64 after whsec_, not the URL-safe kind")
    try:
        key = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("must be standard base64 with padding after whsec_") from None
    if base64.b64encode(key).decode("ascii") != encoded:
        raise ValueError("must be canonical base64 after whsec_")
    if not 24 <= len(key) <= 64:
        raise ValueError("must hold 24 to 64 bytes")
    return key


def new_webhook_secret() -> str:
    """A fresh secret of 32 random bytes in its text form."""
    return _PREFIX + base64.b64encode(secrets.token_bytes(32)).decode("ascii")


def _read_file(reference: str, path: Path) -> str:
    try:
        with path.open("rb") as stream:
            raw = stream.read(MAX_SECRET_FILE_BYTES + 1)
        text = raw.decode("ascii")
    except FileNotFoundError:
        raise ValueError(f"{reference} does not exist in the secrets folder") from None
    except UnicodeDecodeError:
        raise ValueError(f"{reference} is not plain text") from None
    except OSError as error:
        raise ValueError(f"{reference} cannot be read ({type(error).__name__})") from None
    if len(raw) > MAX_SECRET_FILE_BYTES:
        raise ValueError(f"{reference} is larger than {MAX_SECRET_FILE_BYTES} bytes")
    return text

"""The last known token keys of all brands in a file of this machine, wrapped as in the store: for a process that starts
while MongoDB is away. Neighbour of `token_keys`."""

from __future__ import annotations

import base64
import os
import threading
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import msgspec

from app.models.brand_key import BrandKey, KeyKind

_MAX_BYTES = 16 * 1024 * 1024
_VERSION = 1


class _Row(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    brand_id: str
    number: int
    master_key_id: str
    wrapped: str
    created_at: datetime


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    version: int
    keys: list[_Row]


class TokenKeyFile:
    """Args:
    path: a file that this user may write; every process of the machine writes the same one.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> list[BrandKey]:
        """The keys; none when there is no file.

        Raises:
            OSError: it cannot be read.
            ValueError: it is not one of ours. The text quotes nothing of it.
        """
        try:
            with self._path.open("rb") as file:
                raw = file.read(_MAX_BYTES + 1)
        except FileNotFoundError:
            return []
        try:
            found = msgspec.json.decode(raw, type=_File)
            if found.version != _VERSION or len(raw) > _MAX_BYTES:
                raise ValueError
            return [_key(row) for row in found.keys]
        except (msgspec.DecodeError, ValueError):
            raise ValueError("not a file of token keys") from None

    def write(self, keys: Sequence[BrandKey]) -> None:
        """Replace the file unless it says the same already. A reader sees the old one or the new one, never a part.

        Raises:
            OSError: it cannot be written.
        """
        rows = [_row(key) for key in sorted(keys, key=lambda key: (key.brand_id, key.number))]
        raw = msgspec.json.encode(_File(_VERSION, rows))
        there = self._path.exists()
        if len(raw) > _MAX_BYTES or (self._path.read_bytes() == raw if there else not rows):
            return
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # A name of its own for each writer. One that is killed here leaves a small file behind, which nobody reads.
        temporary = self._path.with_name(f"{self._path.name}.{os.getpid()}.{threading.get_native_id()}")
        temporary.unlink(missing_ok=True)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(raw)
        temporary.replace(self._path)


def _row(key: BrandKey) -> _Row:
    return _Row(key.brand_id, key.number, key.master_key_id, base64.b64encode(key.wrapped).decode(), key.created_at)


def _key(row: _Row) -> BrandKey:
    wrapped = base64.b64decode(row.wrapped, validate=True)
    return BrandKey(row.brand_id, KeyKind.TOKEN, row.number, row.master_key_id, wrapped, row.created_at)

"""The file of wrapped token keys: a restart without the store, retirement, and a file that is damaged."""

from __future__ import annotations

import base64
import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest

from app.models.brand_key import BrandKey, KeyKind
from app.privacy.token_key_file import TokenKeyFile
from app.privacy.token_keys import Refusal
from tests.unit.privacy.token_processes import CONTENT, NEW, OPEN, Process, Store, eventually, token_of


def test_a_process_that_starts_while_the_store_is_away_has_the_keys_of_the_file(
    process: Process, store: Store, tmp_path: Path
) -> None:
    file = tmp_path / "keys" / "token_keys.json"
    token = token_of(process(file=file))
    secret = process().export("alder")[1]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    raw = file.read_bytes()
    assert base64.b64encode(secret)[:20] not in raw
    assert secret not in raw
    store.away = True
    restarted = process(file=file)
    assert restarted.open("alder", OPEN, token) == CONTENT
    assert token_of(restarted) == token
    assert process().open("alder", OPEN, token) is None, "without the file it cannot know"
    assert process(masters=[NEW], file=file).open("alder", OPEN, token) is None, "the file alone opens nothing"
    assert [path.name for path in file.parent.iterdir()] == ["token_keys.json"]


def test_a_retired_key_leaves_the_file_too(process: Process, store: Store, tmp_path: Path) -> None:
    file = tmp_path / "token_keys.json"
    keys, other = process(file=file), process(file=file, seconds=0.05)
    old = token_of(keys)
    keys.rotate("alder")
    keys.retire("alder", 1)
    eventually(lambda: other.check("alder", OPEN, old) is Refusal.UNKNOWN_KEY)
    other.close()
    keys.close()
    store.away = True
    assert process(file=file).open("alder", OPEN, old) is None


def test_a_deployment_without_tokens_writes_no_file(process: Process, tmp_path: Path) -> None:
    process(file=tmp_path / "keys" / "token_keys.json").refresh()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "content",
    [b"", b"{}", b"\xff\xfe", b'{"version":2,"keys":[]}', b'{"version":1,"keys":[{"brand_id":"alder"}]}', b"[" * 9999],
)
def test_a_damaged_file_is_replaced_by_what_the_store_has(process: Process, tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "token_keys.json"
    token = token_of(process(file=file))
    good = file.read_bytes()
    file.write_bytes(content)
    assert process(file=file).open("alder", OPEN, token) == CONTENT
    assert file.read_bytes() == good


def test_a_file_that_cannot_be_written_or_read_stops_nothing(process: Process, tmp_path: Path) -> None:
    file = tmp_path / "token_keys.json"
    file.mkdir()
    keys = process(file=file)
    assert keys.open("alder", OPEN, token_of(keys)) == CONTENT


def test_the_file_keeps_what_it_was_given(tmp_path: Path) -> None:
    file = TokenKeyFile(tmp_path / "deep" / "keys.json")
    assert file.read() == []
    rows = [
        BrandKey(
            name, KeyKind.TOKEN, number, "k1", bytes([number]) * 92, datetime(2026, 1, 1, 1, 2, 3, 4000, tzinfo=UTC)
        )
        for name, number in (("alder", 1), ("alder", 2), ("birch", 1))
    ]
    file.write(list(reversed(rows)))
    assert file.read() == rows
    before = (tmp_path / "deep" / "keys.json").stat().st_ino
    file.write(rows)
    assert (tmp_path / "deep" / "keys.json").stat().st_ino == before, "nothing new, nothing written"
    file.write([])
    assert file.read() == []

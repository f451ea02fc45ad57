"""Files of an hour: the same events give the same bytes and name, and what was changed is not read."""

from __future__ import annotations

import gzip
import random

import pytest

from app.archive import files
from app.archive.files import FileWriter, read_gzip_lines
from app.archive.lines import UnreadableArchive


def written(lines: list[bytes]) -> tuple[files.ArchivedFile, bytes]:
    writer = FileWriter(3)
    for number, line in enumerate(lines):
        writer.add(line, f"evt_{number}")
    return writer.close()


LINES = [b'{"n":%d}\n' % number for number in range(5000)]


def test_the_same_lines_give_the_same_bytes_and_name() -> None:
    assert written(LINES) == written(LINES)


def test_other_lines_never_have_the_same_name() -> None:
    assert written(LINES)[0].name != written(LINES[:-1])[0].name


def test_any_gzip_reads_it() -> None:
    file, content = written(LINES)
    assert gzip.decompress(content) == b"".join(LINES)
    assert (file.events, file.size, file.first_id, file.last_id) == (5000, len(content), "evt_0", "evt_4999")
    assert file.name.startswith("events-00003-")
    assert file.name.endswith(".jsonl.gz")


def test_lines_come_back() -> None:
    assert [line + b"\n" for line in read_gzip_lines(written(LINES)[1])] == LINES


def test_a_file_is_full_by_events() -> None:
    writer = FileWriter(0, max_events=2)
    writer.add(b"1\n", "evt_1")
    assert writer.room == 1
    writer.add(b"2\n", "evt_2")
    assert writer.room == 0


def test_a_file_is_full_by_bytes() -> None:
    writer = FileWriter(0, max_bytes=100_000)
    noise = random.Random(1)
    while writer.room:
        writer.add(noise.randbytes(1000), "evt_1")
    assert writer.room == 0
    assert 100_000 <= writer.close()[0].size < 200_000


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"plain",
        written(LINES)[1][:-20],
        written(LINES)[1] + b"more",
        gzip.compress(b"a line without an end"),
        gzip.compress(b"x" * (files.MAX_LINE_BYTES * 3)),
    ],
    ids=["empty", "plain", "cut off", "more", "no last line break", "one long line"],
)
def test_what_is_no_such_file_is_refused(content: bytes) -> None:
    with pytest.raises(UnreadableArchive):
        list(read_gzip_lines(content))

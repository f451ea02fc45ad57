"""The journal: whole lines, own segments, locks that die with their process."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest

from app.journal import segments
from app.journal.writer import JournalWriter
from app.lib import ids
from app.models import record_line
from app.models.record import HitKind, Record


def a_record(code: str = "abc", kind: HitKind = HitKind.CLICK, **fields: object) -> Record:
    record = Record(
        1, ids.new_id().hex(), kind, 1_700_000_000_000, "news.acme.example", code, "GET", "192.0.2.7", "Agent/1"
    )
    return msgspec.structs.replace(record, **fields)


def a_writer(folder: Path, **limits: float) -> JournalWriter:
    settings = {"max_bytes": 1 << 20, "max_seconds": 60.0, "low_bytes": 0, **limits}
    return JournalWriter(folder, **settings)


def read_all(folder: Path) -> list[Record]:
    return [
        record_line.decode(line)
        for segment in segments.list_segments(folder)
        for line in segment.read_bytes().split(b"\n")
        if line
    ]


def test_records_come_back_as_they_were_written(tmp_path: Path) -> None:
    writer = a_writer(tmp_path)
    written = [
        a_record("abc"),
        a_record("x", HitKind.OPEN, user_agent='quote " and \\ and \n and é and \x00', query="a=1"),
        a_record("y", HitKind.UNSUBSCRIBE, method="POST", headers={"form": "one_click"}),
    ]
    assert all(writer.append(record) for record in written)
    assert read_all(tmp_path) == written


def test_text_is_cut_before_it_is_written(tmp_path: Path) -> None:
    writer = a_writer(tmp_path)
    writer.append(a_record("c" * 9000, user_agent="u" * 100_000, host="h" * 9000, query="q" * 9000))
    (segment,) = segments.list_segments(tmp_path)
    assert segment.stat().st_size < record_line.MAX_LINE_BYTES
    assert len(read_all(tmp_path)[0].user_agent) == 1024


def test_a_full_or_old_segment_is_left_for_a_new_one(tmp_path: Path) -> None:
    writer = a_writer(tmp_path, max_bytes=300)
    for _ in range(5):
        writer.append(a_record())
    found = segments.list_segments(tmp_path)
    assert len(found) > 1
    assert [segments.is_complete(path) for path in found] == [True] * (len(found) - 1) + [False]
    assert len(read_all(tmp_path)) == 5


def test_a_segment_is_complete_as_soon_as_its_writer_is_killed(tmp_path: Path) -> None:
    program = (
        "import sys, time; sys.path[:0] = sys.argv[2:]\n"
        "from pathlib import Path\n"
        "from tests.unit.journal.test_journal import a_record, a_writer\n"
        "writer = a_writer(Path(sys.argv[1])); writer.append(a_record()); print('written', flush=True); time.sleep(60)"
    )
    child = subprocess.Popen([sys.executable, "-c", program, str(tmp_path), *sys.path], stdout=subprocess.PIPE)
    assert child.stdout is not None
    assert child.stdout.readline().strip() == b"written"
    (segment,) = segments.list_segments(tmp_path)
    assert not segments.is_complete(segment)
    child.send_signal(signal.SIGKILL)
    child.wait(10)
    child.stdout.close()
    assert segments.is_complete(segment)
    assert len(read_all(tmp_path)) == 1


def test_a_write_that_stops_half_way_spoils_one_record_only(tmp_path: Path) -> None:
    # The limit on file size makes the kernel take a part of a line, as a full disk does.
    program = (
        "import sys, resource, signal; sys.path[:0] = sys.argv[2:]\n"
        "from pathlib import Path\n"
        "from tests.unit.journal.test_journal import a_record, a_writer\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "writer = a_writer(Path(sys.argv[1])); assert writer.append(a_record())\n"
        "soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (writer._written + 40, hard))\n"
        "assert not writer.append(a_record('torn'))\n"
        "assert not writer.append(a_record('refused'))\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))\n"
        "assert writer.append(a_record('after')); assert writer.dropped == 2"
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path), *sys.path], check=True, timeout=30)
    (segment,) = segments.list_segments(tmp_path)
    lines = [line for line in segment.read_bytes().split(b"\n") if line]
    assert len(lines) == 3
    assert record_line.decode(lines[2]).code == "after"
    with pytest.raises(record_line.BrokenRecord):
        record_line.decode(lines[1])


def test_opens_are_dropped_first_when_the_disk_is_nearly_full(tmp_path: Path) -> None:
    writer = a_writer(tmp_path, low_bytes=1 << 62)
    assert not writer.append(a_record(kind=HitKind.OPEN))
    assert writer.append(a_record(kind=HitKind.CLICK))
    assert writer.append(a_record(kind=HitKind.UNSUBSCRIBE, method="POST"))
    assert writer.dropped == 1
    for method in ("GET", "HEAD"):
        assert not writer.append(a_record(kind=HitKind.UNSUBSCRIBE, method=method)), "a look at its page only"
    assert writer.dropped == 3


def test_a_refusing_disk_is_counted_and_never_raised(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    writer = a_writer(blocked / "journal")
    assert not writer.append(a_record())
    assert writer.dropped == 1


def test_nobody_meets_a_segment_that_is_not_locked_yet(tmp_path: Path) -> None:
    writer = a_writer(tmp_path, max_bytes=1)
    deadline = time.monotonic() + 0.5
    while time.monotonic() < deadline:
        writer.append(a_record())
        newest = segments.list_segments(tmp_path)[-1]
        assert not segments.is_complete(newest)


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"{",
        b"[]",
        b'"text"',
        b"{}",
        b'{"v":2}',
        b'{"v":1,"i":"0194215E3BE0A3B1C2D3E4F5A6B7C8D9","k":"o","t":1,"h":"h","c":"c","m":"GET"}',
        b'{"v":1,"i":"0194215e3be0a3b1c2d3e4f5a6b7c8d9","k":"o","t":-1,"h":"h","c":"c","m":"GET"}',
        b'{"v":1,"i":"x","k":"o","t":1,"h":"h","c":"c","m":"GET"}',
        b'{"v":1,"i":"0194215e3be0a3b1c2d3e4f5a6b7c8d9","k":"?","t":1,"h":"h","c":"c","m":"GET"}',
        b'{"v":1,"i":"0194215e3be0a3b1c2d3e4f5a6b7c8d9","k":"o","t":"1","h":"h","c":"c","m":"GET"}',
        b'{"v":1,"i":"0194215e3be0a3b1c2d3e4f5a6b7c8d9","k":"o","t":1,"h":null,"c":"c","m":"GET"}',
        b'{"v":1,"i":"0194215e3be0a3b1c2d3e4f5a6b7c8d9","k":["o"],"t":1,"h":"h","c":"c","m":"GET"}',
        b'{"v":1,"i":"0194215e3be0a3b1c2d3e4f5a6b7c8d9","k":"o","t":1,"h":"h","c":"c","m":"GET","x":"text"}',
        b'{"v":1,"i":"0194215e3be0a3b1c2d3e4f5a6b7c8d9","k":"o","t":1,"h":"h","c":"c","m":"GET","u":'
        + b'"'
        + b"x" * 20_000,
        b"\x00\xff\xfe",
    ],
)
def test_what_is_no_record_is_called_broken(line: bytes) -> None:
    with pytest.raises(record_line.BrokenRecord):
        record_line.decode(line)


@pytest.mark.parametrize(
    ("given", "facts"),
    [
        (None, ""),
        ("", ""),
        ("slmp", "slmp"),
        ("he", "he"),
        ("szlX9", "sl"),
        ("?", ""),
        ("\u00fc\x00", ""),
        ("l" * 5000, "l" * 8),
        ("z" * 5000 + "s", "s"),
    ],
)
def test_facts_are_known_letters_and_few_whatever_a_line_says(given: str | None, facts: str) -> None:
    line = msgspec.json.decode(record_line.encode(a_record()))
    if given is not None:
        line["f"] = given
    assert record_line.decode(msgspec.json.encode(line)) == msgspec.structs.replace(
        a_record(), hex_id=line["i"], facts=facts
    )


def test_a_key_from_the_future_does_not_break_a_record() -> None:
    line = record_line.encode(a_record(facts="sl")).replace(b'"f":', b'"zz":[1],"f":')
    assert record_line.decode(line).facts == "sl"


def test_bytes_that_are_not_utf_8_do_not_lose_the_record() -> None:
    line = record_line.encode(a_record(user_agent="raw")).replace(b'"raw"', b'"r\xffw"')
    assert record_line.decode(line).user_agent == "r\ufffdw"

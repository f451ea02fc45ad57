"""`flask networks` against a real server that behaves as servers do: slow, endless, elsewhere, broken, or well."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from app.commands.networks import group
from app.ingest.networks import Networks
from app.ingest.networks.catalogue import KINDS
from app.ingest.networks.fetch import FetchFailed, from_web
from app.ingest.networks.folder import SHIPPED, claimed, file_of, install, previous_of
from app.ingest.networks.list_file import list_text, read_list
from app.ingest.networks.ranges import prefixes
from app.models import signals

RELAY = read_list(file_of("relay", SHIPPED))
RELAY_PREFIXES = list(prefixes(RELAY.spans))
Answer = Callable[[BaseHTTPRequestHandler], None]


def apple(*prefixes: str) -> bytes:
    return "".join(f"{prefix},GB,GB-EN,London,\n" for prefix in (*RELAY_PREFIXES, *prefixes)).encode()


def says(content: bytes, status: int = 200, **headers: str) -> Answer:
    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(status)
        for name, value in {"Content_Length": str(len(content)), **headers}.items():
            request.send_header(name.replace("_", "-"), value)
        request.end_headers()
        request.wfile.write(content)

    return answer


@dataclass
class Mirror:
    """Files by path; everything else is 404."""

    url: str = ""
    files: dict[str, Answer] = field(default_factory=dict)
    asked: threading.Event = field(default_factory=threading.Event)
    closing: threading.Event = field(default_factory=threading.Event)

    def drip(self, request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.end_headers()
        self.asked.set()
        while not self.closing.wait(0.05):
            request.wfile.write(b"1")


@pytest.fixture
def mirror() -> Iterator[Mirror]:
    served = Mirror()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            try:
                served.files.get(self.path, says(b"", 404))(self)
            except OSError:
                self.close_connection = True  # the client has gone: that is what some tests are about

        def log_message(self, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    served.url = f"http://127.0.0.1:{server.server_address[1]}"
    yield served
    served.closing.set()
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "state" / "networks"


def networks(*arguments: str | Path) -> Result:
    return CliRunner().invoke(group, [str(argument) for argument in arguments])


def refresh(folder: Path, source: str | Path, *arguments: str) -> Result:
    return networks("refresh", "--from", source, "--folder", folder, *arguments)


def test_a_refreshed_list_is_installed_and_shown_and_used(mirror: Mirror, folder: Path) -> None:
    mirror.files["/egress-ip-ranges.csv"] = says(apple("57.1.0.0/27"))
    result = refresh(folder, mirror.url)
    assert result.exit_code == 0, result.output
    assert "with 10 ranges is installed" in result.output
    assert "scanners: nothing new" in result.output
    assert "refreshed" in next(
        row for row in networks("status", "--folder", folder).output.splitlines() if "Apple" in row
    )
    assert Networks(folder).of("57.1.0.7") == signals.PUBLIC_ADDRESS | signals.RELAY
    assert not previous_of("relay", folder).exists()
    mirror.files["/egress-ip-ranges.csv"] = says(apple())
    assert refresh(folder, mirror.url, "relay").exit_code == 0
    assert len(read_list(previous_of("relay", folder)).spans) == 10
    assert Networks(folder).of("57.1.0.7") == signals.PUBLIC_ADDRESS


def test_a_folder_is_a_mirror_too(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "egress-ip-ranges.csv").write_bytes(apple())
    (tmp_path / "asn-ipv4.csv").write_text("64.235.144.0,64.235.159.255,15324,Barracuda\n")
    (tmp_path / "asn-ipv6.csv").write_text("2620:bf::,2620:bf:0:ffff:ffff:ffff:ffff:ffff,15324,Barracuda\n")
    result = refresh(folder, tmp_path, "--table-version", "2026-11", "relay", "scanners")
    assert "relay: version" in result.output
    assert "scanners: refused: 67.231.144.0/20 would no longer be scanner" in result.output
    assert result.exit_code == 1
    assert sorted(path.name for path in folder.iterdir()) == [".lock", "relay.txt"]


def test_a_dry_run_installs_nothing(mirror: Mirror, folder: Path) -> None:
    mirror.files["/egress-ip-ranges.csv"] = says(apple())
    assert "would be installed" in refresh(folder, mirror.url, "--dry-run", "relay").output
    assert not file_of("relay", folder).exists()


def elsewhere(request: BaseHTTPRequestHandler) -> None:
    says(b"", 302, Location="http://localhost:1/egress-ip-ranges.csv")(request)


def circle(request: BaseHTTPRequestHandler) -> None:
    says(b"", 302, Location=request.path)(request)


def endless(request: BaseHTTPRequestHandler) -> None:
    request.send_response(200)
    request.end_headers()
    while True:
        request.wfile.write(bytes(100_000))


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (elsewhere, "leads to another host"),
        (circle, "leads in circles"),
        (says(b"", 503), "the answer is 503"),
        (says(b"x", Content_Encoding="gzip"), "compressed"),
        (says(b"172.224.226.0/27,GB,GB-EN,London,\n", Content_Length="5000"), "ClientPayloadError"),
        (says(b"<html>Please sign in</html>"), "columns"),
        (says(b""), "it is empty"),
        (says(apple("0.0.0.0/0")), "0.0.0.0/0 is wider than /8"),
        (says(apple("192.168.0.0/24")), "not public: 192.168.0.0/24"),
        (says(b"".join(apple().splitlines(keepends=True)[:3])), "would no longer be relay"),
    ],
)
def test_what_is_not_the_list_is_refused_and_the_old_one_stays(
    mirror: Mirror, folder: Path, answer: Answer, why: str
) -> None:
    with claimed(folder):
        install(replace(RELAY, date=datetime(2100, 1, 1, tzinfo=UTC)), folder)
    before = file_of("relay", folder).read_bytes()
    mirror.files["/egress-ip-ranges.csv"] = answer
    result = refresh(folder, mirror.url, "relay", "--force")
    assert result.exit_code == 1
    assert result.output.startswith("relay: refused: ")
    assert why in result.output
    assert file_of("relay", folder).read_bytes() == before


def test_a_redirect_on_the_same_host_is_followed(mirror: Mirror, folder: Path) -> None:
    mirror.files["/egress-ip-ranges.csv"] = says(b"", 301, Location="/moved/list.csv")
    mirror.files["/moved/list.csv"] = says(apple())
    assert refresh(folder, mirror.url, "relay").exit_code == 0


def test_a_list_that_shrinks_by_more_than_half_waits_for_a_person(mirror: Mirror, folder: Path) -> None:
    mirror.files["/egress-ip-ranges.csv"] = says(apple("57.1.0.0/16", *(f"57.{n}.0.0/16" for n in range(2, 12))))
    assert refresh(folder, mirror.url, "relay").exit_code == 0
    mirror.files["/egress-ip-ranges.csv"] = says(apple())
    result = refresh(folder, mirror.url, "relay")
    assert result.exit_code == 1
    assert "shrinks" in result.output
    assert refresh(folder, mirror.url, "relay", "--force").exit_code == 0


def test_a_server_that_drips_meets_the_deadline_and_holds_up_nobody(mirror: Mirror) -> None:
    mirror.files["/slow"] = mirror.drip
    mirror.files["/good"] = says(b"here")
    found = from_web({"slow": f"{mirror.url}/slow", "good": f"{mirror.url}/good"}, deadline_seconds=0.3)
    assert found["good"] == b"here"
    assert isinstance(found["slow"], FetchFailed)
    assert "within 0.3 seconds" in str(found["slow"])


def test_a_server_that_never_ends_is_left(mirror: Mirror) -> None:
    mirror.files["/endless"] = endless
    found = from_web({"endless": f"{mirror.url}/endless"}, deadline_seconds=60, max_bytes=1024 * 1024)
    assert str(found["endless"]) == "it is larger than 1 MiB"


def test_one_refused_list_does_not_keep_the_others_out(mirror: Mirror, folder: Path) -> None:
    mirror.files["/egress-ip-ranges.csv"] = says(apple())
    mirror.files["/ip-ranges.json"] = says(b"{}")
    result = refresh(folder, mirror.url)
    assert result.exit_code == 1
    assert "aws: refused: it is not the vendor's JSON" in result.output
    assert file_of("relay", folder).exists()


def test_a_mirror_without_any_of_the_files_is_an_error(mirror: Mirror, folder: Path, tmp_path: Path) -> None:
    for source in (mirror.url, tmp_path, tmp_path / "nowhere", "ftp://mirror.example"):
        result = refresh(folder, source)
        assert result.exit_code == 1
        assert "mirror has none" in result.output or "--from is neither" in result.output


def test_a_file_is_checked_without_being_installed(folder: Path, tmp_path: Path) -> None:
    good, bad = SHIPPED / "scanners.txt", tmp_path / "scanners.txt"
    assert "would be installed" in networks("check", good, "--folder", folder).output
    text = good.read_text()
    count = sum(not line.startswith("#") for line in text.splitlines())
    bad.write_text(text.replace(f"prefixes: {count}", f"prefixes: {count + 1}") + "73.15.2.0/24\n")
    result = networks("check", bad, "--folder", folder)
    assert result.exit_code == 1
    assert "scanners: refused: 73.0.0.0/10 would become scanner" in result.output
    bad.write_text(text[:500])
    assert networks("check", bad, "--folder", folder).exit_code == 1
    assert not folder.exists()


def test_status_names_a_file_that_is_not_used(folder: Path) -> None:
    folder.mkdir(parents=True)
    file_of("aws", folder).write_text("nothing")
    result = networks("status", "--folder", folder)
    assert result.exit_code == 1
    assert "aws: the refreshed file is not used: its header lacks" in result.output
    assert all(name in result.output for name in KINDS)


def test_two_refreshes_do_not_write_at_once(mirror: Mirror, folder: Path) -> None:
    mirror.files["/egress-ip-ranges.csv"] = says(apple())
    with claimed(folder):
        result = refresh(folder, mirror.url, "relay")
    assert result.exit_code == 1
    assert "Another refresh is at work" in result.output


REPLACING = """
import sys
from pathlib import Path
from app.ingest.networks.folder import claimed, install
from app.ingest.networks.list_file import read_list
with claimed(Path(sys.argv[1])):
    lists = [read_list(Path(path)) for path in sys.argv[2:]]
    while True:
        for one in lists:
            install(one, Path(sys.argv[1]))
            print(one.origin.version, flush=True)
"""


def test_a_reader_and_a_kill_meet_only_whole_lists(folder: Path, tmp_path: Path) -> None:
    """The writer is killed while it replaces one list by the other, over and over."""
    lists = {version: replace(RELAY, origin=RELAY.origin._replace(version=version)) for version in "AB"}
    for version, one in lists.items():
        (tmp_path / version).write_text(list_text(one))
    command = [sys.executable, "-c", REPLACING, str(folder), str(tmp_path / "A"), str(tmp_path / "B")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=Path(__file__).parents[3]) as writer:
        assert writer.stdout is not None
        for _ in range(50):
            assert writer.stdout.readline()
            assert read_list(file_of("relay", folder)).origin.version in {"A", "B"}
        writer.send_signal(signal.SIGKILL)
    assert read_list(file_of("relay", folder)).origin.version in {"A", "B"}
    assert networks("check", tmp_path / "A", "--folder", folder).exit_code == 0
    with claimed(folder):  # what the killed one held is free
        assert Networks(folder).faults == {}

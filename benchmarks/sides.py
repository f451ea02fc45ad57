"""The two sides that `benchmarks.front` compares, each a whole stack: nginx → uWSGI, one process of each.

Both use the repository's own nginx/ and config/uwsgi.ini; they differ in the application that uWSGI loads.
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local.binaries import nginx_binary, uwsgi_binary
from local.environment import REPOSITORY, render_nginx
from local.ports import LOOPBACK, free_port
from local.servers import Server

_READY_SECONDS = 30.0
_TICK_SECONDS = 1 / os.sysconf("SC_CLK_TCK")


@contextlib.contextmanager
def on_core(core: int) -> Iterator[None]:
    """Processes started inside run on this core only, for as long as they live."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes


class Side:
    """nginx and uWSGI with one application, started on the core that the caller is on.

    Args:
        module: what uWSGI loads, as `package.module:callable`.
        folder: of this side alone; short, because a socket lies in it.
        environment: what the application needs.
    """

    def __init__(self, module: str, folder: Path, environment: Mapping[str, str]) -> None:
        self.port = free_port()
        self._folder = folder
        (folder / "metrics").mkdir(parents=True)
        self._environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("TELLTALE_")},
            "TELLTALE_STATE_DIR": str(folder),
            "TELLTALE_RUNTIME_DIR": str(folder),
            "TELLTALE_PYTHON": sys.executable,
            "TELLTALE_WEB_PROCESSES": "1",
            "TELLTALE_UWSGI_SOCKET": str(folder / "uwsgi.sock"),
            "TELLTALE_UWSGI_SOCKET_MODE": "600",
            "PROMETHEUS_MULTIPROC_DIR": str(folder / "metrics"),
            **environment,
        }
        render_nginx(self._environment, f"{LOOPBACK}:{self.port}")
        uwsgi = [str(uwsgi_binary()), "--ini", str(REPOSITORY / "config" / "uwsgi.ini")]
        nginx = [str(nginx_binary()), "-p", str(folder / "nginx"), "-c", str(folder / "nginx" / "nginx.conf")]
        self._uwsgi = self._spawn([*uwsgi, "--module", module], "uwsgi.log")
        self._nginx = self._spawn([*nginx, "-e", "stderr"], "nginx.log")

    def ask(self, path: str, host: str) -> Answer:
        """One request on a connection of its own."""
        connection = http.client.HTTPConnection(LOOPBACK, self.port, timeout=10)
        with contextlib.closing(connection):
            connection.request("GET", path, headers={"Host": host})
            response = connection.getresponse()
            return Answer(response.status, dict(response.getheaders()), response.read())

    def wait_until_ready(self, path: str, host: str) -> None:
        """Wait for a 200 from `path`.

        Raises:
            SystemExit: with the end of uWSGI's log.
        """
        deadline = time.monotonic() + _READY_SECONDS
        while time.monotonic() < deadline and self._uwsgi.poll() is None and self._nginx.poll() is None:
            try:
                if self.ask(path, host).status == 200:
                    return
            except OSError:
                pass  # nginx does not listen yet
            time.sleep(0.05)
        logs = "".join((self._folder / name).read_text(errors="replace")[-2000:] for name in ("uwsgi.log", "nginx.log"))
        raise SystemExit(f"a side did not start:\n{logs}")

    def cpu_seconds(self) -> dict[str, float]:
        """Processor time so far, by program."""
        return {"nginx": cpu_seconds(self._nginx.pid), "uwsgi": cpu_seconds(self._uwsgi.pid)}

    def stop(self) -> None:
        """End both programs and wait for them."""
        for process in (self._nginx, self._uwsgi):
            process.send_signal(signal.SIGTERM)
        for process in (self._nginx, self._uwsgi):
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait(20)

    def _spawn(self, command: list[str], log: str) -> subprocess.Popen[bytes]:
        with (self._folder / log).open("wb") as output:
            # A session of its own: Ctrl-C is for the benchmark, which then stops its sides.
            return subprocess.Popen(
                command,
                cwd=REPOSITORY,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )


def cpu_seconds(pid: int) -> float:
    """Processor time of a process, its living children and those that it has buried; to a hundredth of a second."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
    except FileNotFoundError:
        return 0.0  # ended a moment ago (uWSGI replaces its workers); its parent counts it when asked next
    # utime, stime, cutime, cstime of proc(5), counted from behind the name.
    return sum(map(int, fields[11:15])) * _TICK_SECONDS + sum(cpu_seconds(int(child)) for child in children)


def application_environment(
    folder: Path, brands: Sequence[Mapping[str, Any]], mongod: Server, valkey: Server
) -> dict[str, str]:
    """What the application needs beside its place: brands, these stores, keys of its own."""
    brands_file = folder / "brands.yaml"
    brands_file.write_text(json.dumps({"version": 1, "brands": list(brands)}))  # JSON is YAML
    key = base64.b64encode(secrets.token_bytes(32)).decode()
    return {
        "TELLTALE_BRANDS_FILE": str(brands_file),
        "TELLTALE_MONGO_URL": mongod.url,
        "TELLTALE_REDIS_URL": valkey.url,
        "TELLTALE_CODE_KEY": key,
        "TELLTALE_MASTER_KEYS": f"k1:{key}",
    }

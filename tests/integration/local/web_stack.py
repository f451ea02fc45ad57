"""nginx and uWSGI as we configure them, for tests: started in a folder, spoken to over TCP, stopped at the end."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from http.client import HTTPConnection
from pathlib import Path

from local.binaries import nginx_binary, uwsgi_binary
from local.environment import render_nginx

ROOT = Path(__file__).resolve().parents[3]

Answer = tuple[int, dict[str, str], bytes]
"""Status, headers by name in lower case, body."""


class WebStack:
    """Args:
    folder: the state folder; gets the logs too.
    environment: from `local.environment.process_environment`.
    ini: what stands for config/uwsgi.ini.
    """

    def __init__(self, folder: Path, environment: Mapping[str, str], port: int, ini: str) -> None:
        self._folder = folder
        self._environment = environment
        self._port = port
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        (folder / "nginx").mkdir(exist_ok=True)
        render_nginx(environment, f"127.0.0.1:{port}")
        (folder / "uwsgi.ini").write_text(ini)

    def start_uwsgi(self) -> None:
        self._start("uwsgi", str(uwsgi_binary()), "--ini", str(self._folder / "uwsgi.ini"))

    def start_nginx(self) -> None:
        nginx = self._folder / "nginx"
        self._start("nginx", str(nginx_binary()), "-p", str(nginx), "-c", str(nginx / "nginx.conf"), "-e", "stderr")

    def stop_uwsgi(self) -> None:
        self._stop(self._processes.pop("uwsgi"))

    def stop(self) -> None:
        for process in reversed(self._processes.values()):
            self._stop(process)

    def request(
        self,
        path: str,
        method: str = "GET",
        body: object = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        connection = HTTPConnection("127.0.0.1", self._port, timeout=20)
        try:
            connection.request(method, path, body=body, headers=dict(headers or {}))  # type: ignore[arg-type]
            answer = connection.getresponse()
            return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
        finally:
            connection.close()

    def wait_until_it_answers(self, path: str = "/") -> None:
        until(lambda: self._answers(path))

    def logs(self) -> str:
        return "".join(path.read_text() for path in self._folder.glob("*.log"))

    def _answers(self, path: str) -> bool:
        try:
            return self.request(path)[0] == 200
        except OSError:
            return False

    def _start(self, name: str, *command: str) -> None:
        with (self._folder / f"{name}.log").open("ab") as log:
            self._processes[name] = subprocess.Popen(
                command, cwd=self._folder, env=self._environment, stdout=log, stderr=log, start_new_session=True
            )

    @staticmethod
    def _stop(process: subprocess.Popen[bytes]) -> None:
        process.send_signal(signal.SIGTERM)
        process.wait(20)


def until(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    """Wait for something that comes by itself."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "not in time"
        time.sleep(0.05)

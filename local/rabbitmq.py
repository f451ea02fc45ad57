"""A private RabbitMQ of Debian's package `rabbitmq-server`: tests start it, to see a brand's queue as it is.

With its own ports, node name, cookie, data and logs, as the user who starts it, and with its own epmd (Erlang's
directory of nodes), so that it neither meets nor disturbs a server of the machine.
"""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import time
from pathlib import Path
from typing import NamedTuple

from local.binaries import MissingProgram
from local.log_end import log_end
from local.ports import LOOPBACK, free_port
from local.servers import Server, ServerFailed

USER = "telltale"

# Not the command on the PATH: that one changes to the package's user and to its folders.
_SCRIPTS = Path("/usr/lib/rabbitmq/bin")
_START_SECONDS = 60.0


class Certificate(NamedTuple):
    """Of a server: PEM files."""

    chain: Path
    key: Path


class RabbitMq(Server):
    """A broker and its epmd. `url` carries the credentials and names no queue."""

    def __init__(self, folder: Path, ports: _Ports) -> None:
        self.password = _password(folder)
        self.tls_port = ports.tls
        self._environment = _environment(folder, ports)
        self._epmd_port = ports.epmd
        self._epmd, process = self._spawn(folder)
        super().__init__(process, f"amqp://{USER}:{self.password}@{LOOPBACK}:{ports.amqp}/%2F", ports.amqp, folder)
        self._wait()

    def start_again(self) -> None:
        """After `stop` or `kill`: on the same ports, with the data that is there."""
        self._epmd, self._process = self._spawn(self.folder)
        self._wait()

    def stop(self, timeout_seconds: float = 30.0) -> None:
        super().stop(timeout_seconds)
        self._end_epmd()

    def kill(self) -> None:
        super().kill()
        self._end_epmd()

    def control(self, *arguments: str) -> None:
        """Run `rabbitmqctl`, which takes a second or two."""
        command = [str(_SCRIPTS / "rabbitmqctl"), "--quiet", *arguments]
        subprocess.run(command, env=self._environment, capture_output=True, timeout=60, check=True)

    def _spawn(self, folder: Path) -> tuple[subprocess.Popen[bytes], subprocess.Popen[bytes]]:
        with (folder / "rabbitmq.log").open("ab") as log:

            def start(*command: str) -> subprocess.Popen[bytes]:
                return subprocess.Popen(
                    command,
                    env=self._environment,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,  # Ctrl-C is for whoever started it, who then stops it in order
                )

            # Started here, because a node that finds none starts one as a daemon that nobody ends.
            epmd = start("epmd", "-port", str(self._epmd_port), "-address", LOOPBACK)
            return epmd, start(str(_SCRIPTS / "rabbitmq-server"))

    def _wait(self) -> None:
        deadline = time.monotonic() + _START_SECONDS
        try:
            while not _listens(self.port):
                if self._process.poll() is not None or time.monotonic() > deadline:
                    log = log_end(self.folder / "rabbitmq.log")
                    raise ServerFailed(f"RabbitMQ ended, or was not ready in time; its log ends with:\n{log}")
                time.sleep(0.05)
        except BaseException:
            self.kill()
            raise

    def _end_epmd(self) -> None:
        self._epmd.terminate()
        self._epmd.wait(15)


class _Ports(NamedTuple):
    amqp: int
    tls: int
    node: int
    epmd: int


def start_rabbitmq(folder: Path, port: int | None = None, certificate: Certificate | None = None) -> RabbitMq:
    """Start a broker on the loopback address and wait until it takes connections.

    Args:
        folder: holds everything; the data of an earlier start is kept.
        port: a free one by default.
        certificate: with it, the broker also listens on `tls_port`.

    Raises:
        MissingProgram: the package is not installed.
        ServerFailed: it ended, or was not ready in time.
    """
    if shutil.which("epmd") is None or not (_SCRIPTS / "rabbitmq-server").exists():
        raise MissingProgram("RabbitMQ is not installed: apt-get install --no-install-recommends rabbitmq-server")
    ports = _free_ports(port)
    _write_files(folder, ports, certificate)
    return RabbitMq(folder, ports)


def _free_ports(port: int | None) -> _Ports:
    found: set[int] = set() if port is None else {port}
    while len(found) < len(_Ports._fields):
        found.add(free_port(found))
    others = [one for one in found if one != port]
    return _Ports(*others) if port is None else _Ports(port, *others)


def _write_files(folder: Path, ports: _Ports, certificate: Certificate | None) -> None:
    home = folder / "home"
    home.mkdir(mode=0o700, exist_ok=True)
    for path in (home / ".erlang.cookie", folder / "password"):
        if not path.exists():
            path.write_text(secrets.token_hex(16), encoding="ascii")
            path.chmod(0o400)
    (folder / "plugins").write_text("[].", encoding="ascii")
    lines = [
        f"listeners.tcp.1 = {LOOPBACK}:{ports.amqp}",
        f"default_user = {USER}",
        f"default_pass = {_password(folder)}",
        "log.console = true",
        "log.console.level = warning",
        "log.file = false",
    ]
    if certificate is not None:
        lines += [
            f"listeners.ssl.1 = {LOOPBACK}:{ports.tls}",
            f"ssl_options.certfile = {certificate.chain}",
            f"ssl_options.keyfile = {certificate.key}",
        ]
    (folder / "rabbitmq.conf").write_text("\n".join(lines) + "\n", encoding="ascii")


def _password(folder: Path) -> str:
    return (folder / "password").read_text(encoding="ascii")


def _environment(folder: Path, ports: _Ports) -> dict[str, str]:
    """Everything a node reads; nothing of the machine's own configuration."""
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": str(folder / "home"),
        "LANG": "C.UTF-8",
        # The script then becomes the server; else it would stay, as a parent that has to be told to stop it.
        "detached": "1",
        "ERL_EPMD_PORT": str(ports.epmd),
        "ERL_EPMD_ADDRESS": LOOPBACK,
        "RABBITMQ_CONF_ENV_FILE": os.devnull,
        "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq.conf"),
        "RABBITMQ_DIST_PORT": str(ports.node),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
        "RABBITMQ_LOG_BASE": str(folder / "log"),
        "RABBITMQ_MNESIA_BASE": str(folder / "data"),
        "RABBITMQ_NODENAME": "telltale@localhost",
        "RABBITMQ_PID_FILE": str(folder / "pid"),
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
    }


def _listens(port: int) -> bool:
    try:
        socket.create_connection((LOOPBACK, port), 1).close()
    except OSError:
        return False
    return True

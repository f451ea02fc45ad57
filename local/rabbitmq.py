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

    def __init__(
        self, process: subprocess.Popen[bytes], epmd: subprocess.Popen[bytes], ports: _Ports, folder: Path
    ) -> None:
        password = _password(folder)
        super().__init__(process, f"amqp://{USER}:{password}@{LOOPBACK}:{ports.amqp}/%2F", ports.amqp, folder)
        self.password = password
        self.tls_port = ports.tls
        self._epmd = epmd
        self._environment = _environment(folder, ports)

    def stop(self, timeout_seconds: float = 30.0) -> None:
        super().stop(timeout_seconds)
        _end(self._epmd)

    def kill(self) -> None:
        super().kill()
        _end(self._epmd)

    def control(self, *arguments: str) -> None:
        """Run `rabbitmqctl`, which takes a second or two."""
        command = [str(_SCRIPTS / "rabbitmqctl"), "--quiet", *arguments]
        subprocess.run(command, env=self._environment, capture_output=True, timeout=60, check=True)


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
    with (folder / "rabbitmq.log").open("ab") as log:
        # Started here, because a node that finds none starts one as a daemon that nobody ends.
        epmd = subprocess.Popen(
            ["epmd", "-port", str(ports.epmd), "-address", LOOPBACK], stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
        process = subprocess.Popen(
            [str(_SCRIPTS / "rabbitmq-server")],
            env=_environment(folder, ports),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    server = RabbitMq(process, epmd, ports, folder)
    try:
        _wait(process, ports.amqp)
    except BaseException as error:
        server.kill()
        if isinstance(error, ServerFailed):
            raise ServerFailed(f"{error}; its log ends with:\n{log_end(folder / 'rabbitmq.log')}") from error
        raise
    return server


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


def _wait(process: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while not _listens(port):
        if process.poll() is not None:
            raise ServerFailed("RabbitMQ ended while it started")
        if time.monotonic() > deadline:
            raise ServerFailed("RabbitMQ was not ready in time")
        time.sleep(0.05)


def _listens(port: int) -> bool:
    try:
        socket.create_connection((LOOPBACK, port), 1).close()
    except OSError:
        return False
    return True


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    process.wait(15)

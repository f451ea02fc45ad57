"""What the processes of one copy are told: their environment, and the nginx configuration rendered from `nginx/`.

`stack.py` decides when they start.
"""

from __future__ import annotations

import ipaddress
import json
import os
import re
import shlex
import shutil
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from local.binaries import nginx_binary
from local.ports import free_port, port_is_free
from local.secret_files import write_private
from local.servers import mongo_url, mongod_command, redis_command, redis_url

REPOSITORY = Path(__file__).resolve().parent.parent
FLOWER_USER = "telltale"

# A unix socket's path ends at 107 bytes; supervisord and uWSGI put their own names behind the folder's.
_LONGEST_RUNTIME_DIR = 80


@dataclass(frozen=True, slots=True)
class Ports:
    """The ports of one copy; `None` for a server that somebody else runs."""

    nginx: int
    flower: int
    mongod: int | None
    valkey: int | None


def choose_ports(state_dir: Path, nginx: int, *, own_mongod: bool, own_valkey: bool) -> Ports:
    """The ports of the last start as far as they are free, others elsewhere; remembered for the next start."""
    memory = state_dir / "ports.json"
    remembered = _read_ports(memory)
    taken = {nginx}
    for name, wanted in (("flower", True), ("mongod", own_mongod), ("valkey", own_valkey)):
        if wanted:
            port = remembered.get(name)
            if port is None or port in taken or not port_is_free(port):
                port = free_port(taken)
            remembered[name] = port
            taken.add(port)
    write_private(memory, json.dumps(remembered) + "\n")
    return Ports(
        nginx=nginx,
        flower=remembered["flower"],
        mongod=remembered["mongod"] if own_mongod else None,
        valkey=remembered["valkey"] if own_valkey else None,
    )


def _read_ports(memory: Path) -> dict[str, int]:
    try:
        content = json.loads(memory.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}  # Nothing is lost with it: other ports are chosen.
    if not isinstance(content, dict):
        return {}
    return {name: port for name, port in content.items() if isinstance(port, int) and 0 < port < 65536}


def make_runtime_dir(state_dir: Path) -> Path:
    """An empty folder for sockets and counters: in the state folder, or with a short path when that one is too long."""
    folder = state_dir / "run"
    if len(os.fsencode(folder)) > _LONGEST_RUNTIME_DIR:
        folder = Path(tempfile.mkdtemp(prefix="telltale-"))
    else:
        # A start that was killed leaves files behind.
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(mode=0o700)
    (folder / "metrics").mkdir()
    return folder


def process_environment(
    state_dir: Path,
    runtime_dir: Path,
    ports: Ports,
    *,
    brands_file: Path,
    given: Mapping[str, str],
    root: Path = REPOSITORY,
) -> dict[str, str]:
    """The environment of every process of a copy.

    Args:
        given: the environment of the person or the test; wins over our defaults, so that any setting of
            config/settings.py can be tried with `make run`.
        root: where the code lies.
    """
    secrets = state_dir / "secrets"
    defaults = {
        "TELLTALE_SECRETS_DIR": str(secrets),
        "TELLTALE_PUBLIC_SCHEME": "http",
        "TELLTALE_PUBLIC_PORT": str(ports.nginx),
        "TELLTALE_WEBHOOK_ALLOW_HTTP": "1",
        "TELLTALE_WEBHOOK_ALLOW_NETWORKS": "127.0.0.0/8,::1/128",
        "TELLTALE_WEB_PROCESSES": "2",
        "PYTHONUNBUFFERED": "1",
    }
    for name in ("CODE_KEY", "MASTER_KEYS", "METRICS_TOKEN"):
        if f"TELLTALE_{name}" not in given:
            defaults[f"TELLTALE_{name}_FILE"] = str(secrets / name.lower())
    fixed = {
        "TELLTALE_STATE_DIR": str(state_dir),
        "TELLTALE_BRANDS_FILE": str(brands_file),
        "TELLTALE_ROOT": str(root),
        "TELLTALE_RUNTIME_DIR": str(runtime_dir),
        "TELLTALE_BIN": str(Path(sys.executable).parent),
        "TELLTALE_PYTHON": sys.executable,
        "TELLTALE_NGINX": str(nginx_binary()),
        "TELLTALE_UWSGI_INI": str(REPOSITORY / "config" / "uwsgi.ini"),
        "TELLTALE_UWSGI_SOCKET": str(runtime_dir / "uwsgi.sock"),
        "TELLTALE_UWSGI_SOCKET_MODE": "600",
        # Counters of the web processes (app/web/metrics.py). Gone at every start, as Prometheus expects of a process.
        "TELLTALE_METRICS_DIR": str(runtime_dir / "metrics"),
        "TELLTALE_FLOWER_PORT": str(ports.flower),
        "FLOWER_BASIC_AUTH": f"{FLOWER_USER}:{(secrets / 'flower_password').read_text(encoding='utf-8').strip()}",
        "TELLTALE_RUNNER_PID": str(os.getpid()),
    }
    # Programs that are not ours to start still stand in config/supervisord.conf and need some value.
    servers = {"TELLTALE_MONGOD_COMMAND": "true", "TELLTALE_VALKEY_COMMAND": "true"}
    if ports.mongod is not None:
        servers["TELLTALE_MONGOD_COMMAND"] = shlex.join(mongod_command(state_dir / "mongod", ports.mongod))
        servers["TELLTALE_MONGO_URL"] = mongo_url(ports.mongod)
    if ports.valkey is not None:
        servers["TELLTALE_VALKEY_COMMAND"] = shlex.join(redis_command(state_dir / "valkey", ports.valkey))
        servers["TELLTALE_REDIS_URL"] = redis_url(ports.valkey, 0)
        # Databases of their own, so that keys cannot meet and a person can empty the cache alone.
        defaults["TELLTALE_BROKER_URL"] = redis_url(ports.valkey, 1)
        defaults["TELLTALE_CACHE_URL"] = redis_url(ports.valkey, 2)
    return {**defaults, **given, **fixed, **servers}


def render_nginx(environment: Mapping[str, str], listen: str) -> None:
    """Write nginx.conf and telltale.conf into the state folder.

    Args:
        listen: address and port.

    Raises:
        ValueError: TELLTALE_TRUSTED_PROXIES is not a list of networks.
    """
    folder = Path(environment["TELLTALE_STATE_DIR"]) / "nginx"
    (folder / "temp").mkdir(parents=True, exist_ok=True)
    trusted = [text.strip() for text in environment.get("TELLTALE_TRUSTED_PROXIES", "").split(",") if text.strip()]
    values = {
        "TELLTALE_RUNTIME_DIR": _quoted(environment["TELLTALE_RUNTIME_DIR"]),
        "TELLTALE_UWSGI": _quoted(f"unix:{environment['TELLTALE_UWSGI_SOCKET']}"),
        "TELLTALE_LISTEN": listen,
        # Without the line nginx, started as root, would give its workers an account that cannot reach the socket.
        "TELLTALE_NGINX_USER": "user root root;" if os.geteuid() == 0 else "",
        "TELLTALE_REAL_IP": "\n".join(f"set_real_ip_from {ipaddress.ip_network(text)};" for text in trusted),
        "TELLTALE_OPERATORS": "allow 127.0.0.0/8; allow ::1;",
        # One machine is the client, the mail proxies and the load test at once.
        "TELLTALE_API_RATE": "2000",
        "TELLTALE_API_BURST": "2000",
    }
    for template, target in (("local.conf.template", "nginx.conf"), ("telltale.conf.template", "telltale.conf")):
        text = (REPOSITORY / "nginx" / template).read_text(encoding="utf-8")
        write_private(folder / target, render(text, values))


def render(template: str, values: Mapping[str, str]) -> str:
    """Replace each `${TELLTALE_NAME}`; nginx's own `$variables` stay.

    Raises:
        KeyError: the template names a value that is not there.
    """
    return re.sub(r"\$\{(TELLTALE_[A-Z_]+)\}", lambda match: values[match[1]], template)


def _quoted(text: str) -> str:
    """A path inside an nginx string; one with a quote or a variable would change the configuration."""
    if any(char in text for char in "\"'\\$\n;{}"):
        raise ValueError(f"nginx cannot use this path: {text!r}")
    return text

"""Private MongoDB and Valkey servers: how they are started, made ready and stopped.

Tests start them through `start_mongod` and `start_redis`; `stack.py` gives the same commands to the supervisor.
"""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pymongo
import redis
from pymongo.errors import OperationFailure, PyMongoError
from redis.backoff import NoBackoff
from redis.retry import Retry

from local.binaries import mongod_binary, redis_binary
from local.log_end import log_end
from local.ports import LOOPBACK, free_port, port_is_free

REPLICA_SET = "telltale"
CACHE_GB = 0.5

_NOT_YET_INITIALIZED = 94
_INVALID_CONFIG = 93
"""What a member answers that is not in its own configuration: it was started on another port than before."""


class ServerFailed(RuntimeError):
    """A server ended, or was not ready in time; the text has the end of its log."""


class Server:
    """A child process with a port and a folder of its own."""

    def __init__(self, process: subprocess.Popen[bytes], url: str, port: int, folder: Path) -> None:
        self.url = url
        self.port = port
        self.folder = folder
        self._process = process

    @property
    def pid(self) -> int:
        return self._process.pid

    def stop(self, timeout_seconds: float = 15.0) -> None:
        """End the server and wait for it; may be called again, and after somebody killed it."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(timeout_seconds)
            except subprocess.TimeoutExpired:
                self._process.kill()
        self._process.wait(timeout_seconds)

    def kill(self) -> None:
        """End the server as a crash would (`kill -9`)."""
        self._process.kill()
        self._process.wait(15)


def start_mongod(
    folder: Path, port: int | None = None, timeout_seconds: float = 60.0, cache_gb: float = CACHE_GB
) -> Server:
    """Start a one-node replica set on the loopback address and wait until it takes writes.

    Args:
        folder: holds data and log; the data of an earlier start is kept, also when the port changed.
        port: a free one by default.
        cache_gb: MongoDB's own cache in GiB.
    """

    def start(chosen: int, deadline: float) -> Server:
        process = _spawn(mongod_command(folder / "data", chosen, cache_gb), folder / "mongod.log")
        server = Server(process, mongo_url(chosen), chosen, folder)
        _ready_or_stopped(server, process, lambda: make_primary(chosen, deadline, lambda: process.poll() is None))
        return server

    return _with_port(start, port, timeout_seconds)


def start_redis(folder: Path, port: int | None = None, timeout_seconds: float = 30.0) -> Server:
    """Start a Valkey (or Redis) with an append-only file on the loopback address and wait until it answers.

    Args:
        folder: holds data and log; the data of an earlier start is kept.
        port: a free one by default.
    """

    def start(chosen: int, deadline: float) -> Server:
        process = _spawn(redis_command(folder / "data", chosen), folder / "redis.log")
        server = Server(process, redis_url(chosen), chosen, folder)
        _ready_or_stopped(server, process, lambda: wait_for_redis(server.url, deadline, lambda: process.poll() is None))
        return server

    return _with_port(start, port, timeout_seconds)


def mongo_url(port: int) -> str:
    # Direct: the driver must not follow the host name in the replica set's configuration, which is
    # wrong for a moment whenever the port changed.
    return f"mongodb://{LOOPBACK}:{port}/?directConnection=true"


def redis_url(port: int, database: int = 0) -> str:
    return f"redis://{LOOPBACK}:{port}/{database}"


def mongod_command(data: Path, port: int, cache_gb: float = CACHE_GB) -> list[str]:
    """The command of a small private MongoDB; makes the data folder."""
    data.mkdir(parents=True, exist_ok=True, mode=0o700)
    return [
        str(mongod_binary()),
        *("--dbpath", str(data), "--port", str(port), "--bind_ip", LOOPBACK, "--nounixsocket"),
        # Even one node is a replica set: a standalone acknowledges from memory and knows no transactions.
        *("--replSet", REPLICA_SET, "--oplogSize", "128"),
        # The journal's compression costs a tenth of an insert and saves disk that is soon free again.
        *("--wiredTigerJournalCompressor", "none"),
        # Half the machine's memory is the default, for every copy that runs.
        *("--wiredTigerCacheSizeGB", str(cache_gb)),
        # Slow operations are logged with their values, so almost none may be "slow".
        *("--quiet", "--slowms", "10000"),
        *("--setParameter", "diagnosticDataCollectionEnabled=false"),
    ]


def redis_command(data: Path, port: int) -> list[str]:
    """The command of a small private Valkey; makes the data folder."""
    data.mkdir(parents=True, exist_ok=True, mode=0o700)
    return [
        str(redis_binary()),
        *("--port", str(port), "--bind", LOOPBACK, "--dir", str(data), "--daemonize", "no"),
        # A crash loses nothing (the kernel has it), a power cut a second; snapshots would add forks and no safety.
        *("--appendonly", "yes", "--appendfsync", "everysec", "--save", ""),
        # Numbers and queues must never be evicted: a full server says so instead.
        *("--maxmemory", "512mb", "--maxmemory-policy", "noeviction"),
    ]


def make_primary(port: int, deadline: float, alive: Callable[[], bool] = lambda: True) -> None:
    """Make the MongoDB on `port` the primary of its own replica set; whatever it was before.

    Args:
        deadline: on `time.monotonic()`'s scale.
        alive: false as soon as waiting is of no use.
    """
    client: pymongo.MongoClient[dict[str, object]] = pymongo.MongoClient(
        mongo_url(port), serverSelectionTimeoutMS=200, connectTimeoutMS=1000, socketTimeoutMS=5000, maxPoolSize=1
    )
    with client:
        while True:
            try:
                if _step_towards_primary(client, f"{LOOPBACK}:{port}"):
                    return
            except PyMongoError:
                pass  # Not listening yet, or between two states; the deadline decides.
            _pause("MongoDB", deadline, alive)


def _step_towards_primary(client: pymongo.MongoClient[dict[str, object]], host: str) -> bool:
    """Do the next thing that is needed; whether the server is primary under its own address already."""
    hello = client.admin.command("hello")
    if hello.get("isWritablePrimary") and hello.get("me") == host:
        return True
    try:
        client.admin.command("replSetGetStatus")
    except OperationFailure as error:
        if error.code == _NOT_YET_INITIALIZED:
            client.admin.command("replSetInitiate", {"_id": REPLICA_SET, "members": [{"_id": 0, "host": host}]})
            return False
        if error.code != _INVALID_CONFIG:
            raise
    config = client.admin.command("replSetGetConfig")["config"]
    if config["members"][0]["host"] != host:
        config["members"] = [{**config["members"][0], "host": host}]
        config["version"] += 1
        client.admin.command("replSetReconfig", config, force=True)
    return False


def wait_for_redis(url: str, deadline: float, alive: Callable[[], bool] = lambda: True) -> None:
    """Wait until the server answers and has read its data; arguments as for `make_primary`."""
    client = redis.Redis.from_url(url, socket_timeout=1, socket_connect_timeout=1, retry=Retry(NoBackoff(), 0))
    try:
        while True:
            try:
                client.ping()
                return
            except redis.RedisError:
                _pause("Valkey", deadline, alive)
    finally:
        client.close()


def _pause(name: str, deadline: float, alive: Callable[[], bool]) -> None:
    if not alive():
        raise ServerFailed(f"{name} ended while it started")
    if time.monotonic() > deadline:
        raise ServerFailed(f"{name} was not ready in time")
    time.sleep(0.05)


def _spawn(command: list[str], log: Path) -> subprocess.Popen[bytes]:
    with log.open("ab") as output:
        # A session of its own: Ctrl-C in the terminal is for whoever started the server, who then stops it in order.
        return subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )


def _ready_or_stopped(server: Server, process: subprocess.Popen[bytes], wait: Callable[[], None]) -> None:
    try:
        wait()
    except ServerFailed as error:
        server.stop()
        log = next(server.folder.glob("*.log"))
        raise ServerFailed(f"{error}; {log} ends with:\n{log_end(log)}") from error
    except BaseException:
        server.stop()
        raise


def _with_port(start: Callable[[int, float], Server], port: int | None, timeout_seconds: float) -> Server:
    deadline = time.monotonic() + timeout_seconds
    if port is not None:
        # Else we would wait for, and even configure, the server that has it.
        if not port_is_free(port):
            raise ServerFailed(f"port {port} is taken")
        return start(port, deadline)
    try:
        return start(free_port(), deadline)
    except ServerFailed:
        # Between choosing and listening somebody else may have taken the port.
        return start(free_port(), deadline)

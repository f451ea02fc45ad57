"""A whole copy of Telltale: starts every process in the order the data needs, watches them, stops them in order.

`run.py` is its command line; end-to-end tests, the demo and benchmarks use `Stack` itself.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from app.brands import Brand, BrandRegistry, BrandsFileRefused, EndpointRules
from app.errors import ConfigurationError
from config.settings import Settings, SettingsError, load_settings
from local.api_keys import LocalKeys
from local.binaries import MissingProgram
from local.commands import Command, CommandFailed
from local.environment import (
    FLOWER_USER,
    REPOSITORY,
    Ports,
    choose_ports,
    process_environment,
    render_nginx,
)
from local.log_end import log_end
from local.ports import LOOPBACK, port_is_free
from local.readiness import FailingPrograms, status
from local.run_file import Login, RunInfo
from local.secret_files import make_secrets
from local.servers import ServerFailed, make_primary, wait_for_redis
from local.state_folder import FolderInUse, StateFolder
from local.stop_order import STOP_ORDER, WORKERS
from local.supervision import NotStarted, Supervisor
from local.watch import Watch


class StackFailed(RuntimeError):
    """The copy cannot start or go on; the text says which part, and has the end of its log."""


class Cancelled(StackFailed):
    """Somebody asked to stop while the copy was starting."""


@dataclass(frozen=True, slots=True)
class _Plan:
    """What one start was given and has chosen."""

    settings: Settings
    brands: tuple[Brand, ...]
    ports: Ports
    environment: Mapping[str, str]


class Stack:
    """One copy with a state folder and a port of its own.

    Call `start` from a thread that lives as long as the copy: the kernel ends the copy together with it.

    Args:
        state_dir: everything the copy keeps; made if it is not there.
        port: nginx's port.
        brands_file: default: the `brands.yaml` of the repository.
        extra_env: settings (`TELLTALE_…`) on top of this process's environment.
        host: the address nginx listens on.
        progress: called with the name of each step as it begins.
        cancelled: makes a `start` that is under way give up; a signal handler may set it.
    """

    def __init__(
        self,
        state_dir: Path,
        port: int = 8080,
        brands_file: Path | None = None,
        extra_env: Mapping[str, str] | None = None,
        *,
        host: str = LOOPBACK,
        progress: Callable[[str], None] = lambda step: None,
        cancelled: threading.Event | None = None,
    ) -> None:
        self.folder = StateFolder(state_dir)
        self.url = f"http://{LOOPBACK}:{port}"
        self.brands: tuple[Brand, ...] = ()
        self._port = port
        self._host = host
        self._brands_file = (brands_file or REPOSITORY / "brands.yaml").resolve()
        self._given = {**os.environ, **(extra_env or {})}
        self._progress = progress
        self._cancelled = cancelled or threading.Event()
        self._failing = FailingPrograms()
        self._supervisor: Supervisor | None = None
        self._watch: Watch | None = None
        self._writing = threading.Lock()
        self._run_info: RunInfo | None = None
        self._deadline = 0.0

    @property
    def run_info(self) -> RunInfo:
        """What `run.json` says now.

        Raises:
            StackFailed: the copy is not ready.
        """
        if self._run_info is None:
            raise StackFailed("the copy is not ready")
        return self._run_info

    @property
    def failed(self) -> bool:
        """Whether a copy that was ready cannot go on: its supervisor is gone."""
        return self._watch is not None and self._watch.supervisor_died.is_set()

    def start(self, timeout: float = 120.0) -> RunInfo:
        """Start everything and wait until it answers; when that fails nothing is left running.

        Raises:
            StackFailed: not ready within `timeout` seconds, set up wrongly, or another copy has the folder or port.
        """
        self._deadline = time.monotonic() + timeout
        try:
            with _readable_errors():
                plan = self._prepare()
                self._start_stores(plan)
                return self._start_processes(plan)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop every process in order and wait until all are gone; may be called again."""
        with self._writing:
            self._run_info = None
            self.folder.close()
        if self._watch is not None:
            self._watch.stop()
        if self._supervisor is not None:
            for names, seconds in STOP_ORDER:
                self._supervisor.stop(names, seconds)
            self._supervisor.shut_down(60.0)
        if self._watch is not None:
            self._watch.end_all()
        self._supervisor = self._watch = None
        self.folder.give_back()

    def _prepare(self) -> _Plan:
        self._progress("configuration and secrets")
        self.folder.take()
        if self.folder.end_leftovers():
            self._progress("cleared away what an earlier start left behind")
        if not port_is_free(self._port, self._host):
            raise StackFailed(f"port {self._port} is taken by another program: choose another with TELLTALE_PORT")
        make_secrets(self.folder.secrets, self._brands_file)
        ports = choose_ports(
            self.folder.path,
            self._port,
            own_mongod=not self._given.get("TELLTALE_MONGO_URL"),
            own_valkey=not self._given.get("TELLTALE_REDIS_URL"),
        )
        environment = process_environment(
            self.folder.path, self.folder.runtime_dir(), ports, brands_file=self._brands_file, given=self._given
        )
        settings = load_settings(environment)
        rules = EndpointRules(allow_http=settings.webhook_allow_http, allow_networks=settings.webhook_allow_networks)
        registry = BrandRegistry(settings.brands_file, settings.secrets_dir, read_variable=environment.get, rules=rules)
        self.brands = registry.all()
        render_nginx(environment, f"{self._host}:{self._port}")
        return _Plan(settings, self.brands, ports, environment)

    def _start_stores(self, plan: _Plan) -> None:
        self._progress("MongoDB and Valkey")
        self._supervisor = Supervisor(plan.environment)
        self._watch = Watch(self._supervisor, self.folder.groups_file, self._note_pids)
        self._until("supervisord", self._supervisor.ready)
        own = {"mongod": plan.ports.mongod, "valkey": plan.ports.valkey}
        self._supervisor.start(name for name, port in own.items() if port is not None)
        self._watch.start()
        wait_for_redis(plan.settings.redis_url, self._deadline, self._going_on)
        if plan.ports.mongod is not None:
            make_primary(plan.ports.mongod, self._deadline, self._going_on)
        self._progress("database")
        # Before anything serves: an event without its unique index could be stored twice.
        self._flask(plan, "db", "init")

    def _start_processes(self, plan: _Plan) -> RunInfo:
        self._progress("web, shipper, workers, beat, Flower")
        assert self._supervisor is not None  # noqa: S101 - made in the step before
        self._supervisor.start(("uwsgi", "nginx", *WORKERS, "shipper", "beat", "flower"))
        workers = self._command(plan, "python", "-m", "local.await_workers", *WORKERS, "beat")
        flower = f"http://{LOOPBACK}:{plan.ports.flower}"
        try:
            keys = self._api_keys(plan)
            self._until("uwsgi", lambda: status(f"{self.url}/healthz") == 200)
            self._until("uwsgi", lambda: status(f"{self.url}/readyz") == 200)
            self._until("flower", lambda: status(f"{flower}/healthcheck") == 200)
            self._progress("workers and beat answer")
            workers.result(self._check)
        finally:
            workers.kill()
        self._until("shipper", self._everything_runs)
        info = RunInfo(
            url=self.url,
            api_keys=keys,
            flower=Login(flower, FLOWER_USER, plan.environment["FLOWER_BASIC_AUTH"].partition(":")[2]),
            dashboard=None,
            mongo_url=plan.settings.mongo_url,
            redis_url=plan.settings.redis_url,
            journal_dir=str(plan.settings.journal_dir),
            pids={},
        )
        assert self._watch is not None  # noqa: S101 - made in the step before
        with self._writing:
            self._run_info = replace(info, pids=self._watch.pids)
            self._run_info.write(self.folder.run_file)
        return self._run_info

    def _api_keys(self, plan: _Plan) -> dict[str, str]:
        keys = LocalKeys(self.folder.secrets / "api_keys.json")
        brands = {brand.id for brand in plan.brands}
        if keys.load():
            keys.make_missing(brands, lambda *words: self._flask(plan, *words))
            self._until("uwsgi", lambda: status(f"{self.url}/healthz") == 200)
            first = next(iter(keys.by_brand.values()))
            # The database may have been replaced since.
            if status(f"{self.url}/v1/events?limit=1", {"Authorization": f"Bearer {first}"}) == 401:
                keys.make_all(lambda *words: self._flask(plan, *words))
        else:
            keys.make_all(lambda *words: self._flask(plan, *words))
        return keys.by_brand

    def _everything_runs(self) -> bool:
        assert self._supervisor is not None  # noqa: S101 - only asked after the start of the stores
        programs = self._supervisor.programs()
        wanted = {"uwsgi", "nginx", *WORKERS, "shipper", "beat", "flower"}
        return all(name in programs and programs[name].state == "RUNNING" for name in wanted)

    def _note_pids(self, pids: dict[str, int]) -> None:
        with self._writing:
            if self._run_info is not None:
                self._run_info = replace(self._run_info, pids=pids)
                self._run_info.write(self.folder.run_file)

    # Waiting.

    def _flask(self, plan: _Plan, *words: str) -> str:
        return self._command(plan, "flask", "--app", "app.commands", *words).result(self._check)

    def _command(self, plan: _Plan, program: str, *words: str) -> Command:
        return Command([Path(plan.environment["TELLTALE_BIN"]) / program, *words], plan.environment, REPOSITORY)

    def _until(self, program: str, condition: Callable[[], bool]) -> None:
        while not condition():
            self._check(program)
            time.sleep(0.05)

    def _check(self, waiting_for: str = "") -> None:
        """Raise what ends a wait."""
        if self._cancelled.is_set():
            raise Cancelled("stopped while starting")
        if self._supervisor is not None:
            if not self._supervisor.alive:
                raise StackFailed(f"supervisord ended:\n{self._supervisor.output()}")
            failing = self._failing.look(self._supervisor.programs())
            if failing:
                raise StackFailed(f"{failing} does not start; its log ends with:\n{self._log_end(failing)}")
        if time.monotonic() > self._deadline:
            detail = f"{waiting_for} is not ready; its log ends with:\n{self._log_end(waiting_for)}"
            raise StackFailed(f"out of time: {detail}" if waiting_for else "out of time")

    def _log_end(self, program: str) -> str:
        return log_end(self.folder.logs / f"{program}.log")

    def _going_on(self) -> bool:
        self._check()
        return True


_EXPECTED = (
    BrandsFileRefused,
    CommandFailed,
    ConfigurationError,
    FolderInUse,
    MissingProgram,
    NotStarted,
    ServerFailed,
)


@contextmanager
def _readable_errors() -> Iterator[None]:
    """What can go wrong at a start, as one kind of error with a text for people."""
    try:
        yield
    except _EXPECTED as error:
        raise StackFailed(str(error)) from error
    except SettingsError as error:
        raise StackFailed(str(error.code)) from error
    except (OSError, ValueError) as error:
        raise StackFailed(f"{type(error).__name__}: {error}") from error

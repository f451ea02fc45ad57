"""The only reader of the environment.

Every value comes from a variable `TELLTALE_…`; a secret may come from a file named by `TELLTALE_…_FILE`
instead. A wrong or missing value stops the process with one message that names every fault at once.
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import os
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

IpNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network


class SettingsError(SystemExit):
    """The environment cannot be used; the text names each variable and what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What this deployment is. Times are seconds, sizes are bytes."""

    state_dir: Path
    brands_file: Path
    secrets_dir: Path
    mongo_url: str
    mongo_database: str
    redis_url: str
    """Numbers and locks; must be `noeviction`."""
    broker_url: str
    cache_url: str
    """Blocks and hints: everything in it may be lost at any time."""
    code_key: bytes = field(repr=False)
    """32 bytes behind codes and message ids. Never rotated: every link ever sent depends on it."""
    master_keys: tuple[tuple[str, bytes], ...] = field(repr=False)
    """(key id, 32 bytes), newest first: wraps brand keys, seals batches on the broker."""
    public_scheme: str = "https"
    public_port: int | None = None
    """Only for local use: appended to the tracking host in the URLs we make."""
    webhook_allow_http: bool = False
    webhook_allow_networks: tuple[IpNetwork, ...] = ()
    webhook_delay_factor: float = 1.0
    """Multiplies every retry delay, so that a test sees a schedule of days in seconds."""
    webhook_deadline_seconds: float = 30.0
    """The most an endpoint may ask for."""
    webhook_breaker_attempts: int = 10
    """An endpoint's breaker opens when of at least so many attempts in a minute `webhook_breaker_percent` failed."""
    webhook_breaker_percent: int = 70
    webhook_disable_after_hours: float = 120.0
    """An endpoint is disabled when nothing got through for so long, after at least `webhook_disable_failures`."""
    webhook_disable_failures: int = 20
    webhook_strikes: int = 3
    """And when its name led where nothing may be sent so often within an hour."""
    opensearch_url: str | None = field(default=None, repr=False)
    """Where events are indexed for searching; None: MongoDB answers."""
    segment_max_bytes: int = 32 * 1024 * 1024
    segment_max_seconds: float = 60.0
    batch_max_records: int = 2000
    batch_max_wait_seconds: float = 0.2
    reship_after_seconds: float = 20.0
    journal_low_bytes: int = 256 * 1024 * 1024
    """Free space on the journal's disk below which opens are dropped and counted; readiness is red at 4 times it."""
    trusted_proxies: tuple[IpNetwork, ...] = ()
    sentry_dsn: str | None = field(default=None, repr=False)
    environment: str = "local"
    log_level: str = "INFO"
    metrics_token: str | None = field(default=None, repr=False)
    """When set, `/metrics` asks for it as a bearer token."""
    host_name: str = "local"

    @property
    def journal_dir(self) -> Path:
        return self.state_dir / "journal"

    @property
    def shipper_dir(self) -> Path:
        return self.state_dir / "shipper"


def load_settings(environ: Mapping[str, str] | None = None) -> Settings:
    """Read the settings from `environ` (default: the process's environment).

    Raises:
        SettingsError: with one line per faulty variable.
    """
    read = _Reader(os.environ if environ is None else environ)
    state_dir = read.value("STATE_DIR", Path, default=Path("var")).resolve()
    redis_url = read.required("REDIS_URL")
    settings = Settings(
        state_dir=state_dir,
        brands_file=read.value("BRANDS_FILE", Path, default=Path("brands.yaml")).resolve(),
        secrets_dir=read.value("SECRETS_DIR", Path, default=state_dir / "secrets").resolve(),
        mongo_url=read.required("MONGO_URL"),
        mongo_database=read.value("MONGO_DATABASE", str, default="telltale"),
        redis_url=redis_url,
        broker_url=read.value("BROKER_URL", str, default=redis_url),
        cache_url=read.value("CACHE_URL", str, default=redis_url),
        code_key=read.secret("CODE_KEY", _key),
        master_keys=read.secret("MASTER_KEYS", _named_keys),
        public_scheme=read.value("PUBLIC_SCHEME", _one_of("https", "http"), default="https"),
        public_port=read.value("PUBLIC_PORT", int, default=None),
        webhook_allow_http=read.value("WEBHOOK_ALLOW_HTTP", _flag, default=False),
        webhook_allow_networks=read.value("WEBHOOK_ALLOW_NETWORKS", _networks, default=()),
        webhook_delay_factor=read.value("WEBHOOK_DELAY_FACTOR", _positive, default=1.0),
        webhook_deadline_seconds=read.value("WEBHOOK_DEADLINE_SECONDS", _positive, default=30.0),
        webhook_breaker_attempts=read.value("WEBHOOK_BREAKER_ATTEMPTS", _count, default=10),
        webhook_breaker_percent=read.value("WEBHOOK_BREAKER_PERCENT", _percent, default=70),
        webhook_disable_after_hours=read.value("WEBHOOK_DISABLE_AFTER_HOURS", _positive, default=120.0),
        webhook_disable_failures=read.value("WEBHOOK_DISABLE_FAILURES", _count, default=20),
        webhook_strikes=read.value("WEBHOOK_STRIKES", _count, default=3),
        opensearch_url=read.secret("OPENSEARCH_URL", str, default=None),
        segment_max_bytes=read.value("SEGMENT_MAX_BYTES", int, default=32 * 1024 * 1024),
        segment_max_seconds=read.value("SEGMENT_MAX_SECONDS", _positive, default=60.0),
        batch_max_records=read.value("BATCH_MAX_RECORDS", int, default=2000),
        batch_max_wait_seconds=read.value("BATCH_MAX_WAIT_SECONDS", _positive, default=0.2),
        reship_after_seconds=read.value("RESHIP_AFTER_SECONDS", _positive, default=20.0),
        journal_low_bytes=read.value("JOURNAL_LOW_BYTES", int, default=256 * 1024 * 1024),
        trusted_proxies=read.value("TRUSTED_PROXIES", _networks, default=()),
        sentry_dsn=read.value("SENTRY_DSN", str, default=None),
        environment=read.value("ENVIRONMENT", str, default="local"),
        log_level=read.value("LOG_LEVEL", _one_of("DEBUG", "INFO", "WARNING", "ERROR"), default="INFO"),
        metrics_token=read.secret("METRICS_TOKEN", str, default=None),
        host_name=read.value("HOST_NAME", _host_name, default=_host_name(socket.gethostname())),
    )
    read.finish()
    return settings


@dataclass(frozen=True, slots=True)
class BrandsSettings:
    """The part of `Settings` that reading brands.yaml needs."""

    brands_file: Path
    secrets_dir: Path
    webhook_allow_http: bool
    webhook_allow_networks: tuple[IpNetwork, ...]


def load_brands_settings(environ: Mapping[str, str] | None = None) -> BrandsSettings:
    """For `flask brands check`, which works where the rest of the environment is still missing.

    Raises:
        SettingsError: with one line per faulty variable.
    """
    read = _Reader(os.environ if environ is None else environ)
    state_dir = read.value("STATE_DIR", Path, default=Path("var"))
    settings = BrandsSettings(
        brands_file=read.value("BRANDS_FILE", Path, default=Path("brands.yaml")).resolve(),
        secrets_dir=read.value("SECRETS_DIR", Path, default=state_dir / "secrets").resolve(),
        webhook_allow_http=read.value("WEBHOOK_ALLOW_HTTP", _flag, default=False),
        webhook_allow_networks=read.value("WEBHOOK_ALLOW_NETWORKS", _networks, default=()),
    )
    read.finish()
    return settings


class _Reader:
    """Collects every fault before it speaks."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._faults: list[str] = []

    def value(self, name: str, convert: Callable[[str], T], default: T | None = None) -> T:
        return self._convert(name, self._environ.get(f"TELLTALE_{name}"), convert, default)

    def required(self, name: str) -> str:
        text = self._environ.get(f"TELLTALE_{name}", "")
        if not text:
            self._faults.append(f"TELLTALE_{name} is missing")
        return text

    def secret(self, name: str, convert: Callable[[str], T], default: T | None = ...) -> T:  # type: ignore[assignment]
        text = self._environ.get(f"TELLTALE_{name}")
        path = self._environ.get(f"TELLTALE_{name}_FILE")
        if path:
            try:
                text = Path(path).read_text(encoding="utf-8").strip()
            except (OSError, UnicodeDecodeError) as error:
                self._faults.append(f"TELLTALE_{name}_FILE cannot be read ({type(error).__name__})")
                return None  # type: ignore[return-value]
        if not text and default is ...:
            self._faults.append(f"TELLTALE_{name} (or TELLTALE_{name}_FILE) is missing")
            return None  # type: ignore[return-value]
        return self._convert(name, text, convert, default)

    def _convert(self, name: str, text: str | None, convert: Callable[[str], T], default: T | None) -> T:
        if text is None or text == "":
            return default  # type: ignore[return-value]
        try:
            return convert(text)
        except ValueError as error:
            # Our converters never put the value into their message: it may be a secret.
            detail = str(error) if convert not in (int, float) else "not a number"
            self._faults.append(f"TELLTALE_{name}: {detail}")
            return default  # type: ignore[return-value]

    def finish(self) -> None:
        if self._faults:
            raise SettingsError("Telltale cannot start:\n  " + "\n  ".join(self._faults))


def _key(text: str) -> bytes:
    try:
        raw = base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError("must be standard base64") from error
    if len(raw) != 32:
        raise ValueError(f"must be 32 bytes in base64, not {len(raw)}")
    return raw


def _named_keys(text: str) -> tuple[tuple[str, bytes], ...]:
    keys: list[tuple[str, bytes]] = []
    for item in text.split(","):
        key_id, colon, encoded = item.strip().partition(":")
        if not colon or not key_id.isalnum() or len(key_id) > 8:
            raise ValueError("must be ID:BASE64 items, newest first, ids of 1-8 letters and digits")
        keys.append((key_id, _key(encoded)))
    if len({key_id for key_id, _ in keys}) != len(keys):
        raise ValueError("has the same key id twice")
    return tuple(keys)


def _networks(text: str) -> tuple[IpNetwork, ...]:
    return tuple(ipaddress.ip_network(item.strip()) for item in text.split(",") if item.strip())


def _flag(text: str) -> bool:
    if text.lower() in ("1", "true", "yes", "on"):
        return True
    if text.lower() in ("0", "false", "no", "off"):
        return False
    raise ValueError("must be true or false")


def _positive(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        raise ValueError("not a number") from None
    if not 0 < number < float("inf"):
        raise ValueError("must be above zero")
    return number


def _count(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 1_000_000:
        raise ValueError("must be a number from 1 to 1000000")
    return int(text)


def _percent(text: str) -> int:
    if _count(text) > 100:
        raise ValueError("must be at most 100")
    return int(text)


def _one_of(*allowed: str) -> Callable[[str], str]:
    def convert(text: str) -> str:
        if text not in allowed:
            raise ValueError(f"must be one of {', '.join(allowed)}")
        return text

    return convert


def _host_name(text: str) -> str:
    """Names journal segments and batches, so only what a file name and an id can carry."""
    return "".join(char if char.isalnum() else "-" for char in text)[:40] or "host"


def read_variable(name: str) -> str | None:
    """One variable, for `env:` references of brands.yaml."""
    return os.environ.get(name)

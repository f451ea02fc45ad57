"""The brands as this process sees them now: loaded once, then live-reloaded from whatever call comes."""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from app.brands.brand import Brand
from app.brands.faults import BrandsFileRefused, Fault
from app.brands.load import MAX_FILE_BYTES, parse_brands
from app.brands.schema import EndpointRules
from app.brands.secrets import ReadVariable, SecretReader
from app.errors import ConfigurationError
from app.lib.files import FileSignature, file_signature
from app.lib.http_url import host_of_header

CHECK_SECONDS = 1.0
"""How often the files are looked at. One `stat` per file, from whatever call comes first after that time."""

_log = logging.getLogger("telltale.brands")


@dataclass(frozen=True, slots=True)
class _Snapshot:
    """Everything a look-up needs; replaced as a whole, so that readers need no lock."""

    brands: tuple[Brand, ...]
    by_id: Mapping[str, Brand]
    by_host: Mapping[str, Brand]
    version: str


class BrandRegistry:
    """Brands by id and by tracking host.

    A changed file is picked up by the first call after it, at most a second late. A file that cannot be used is
    refused as a whole: the last good one stays, one error per distinct broken file is logged, and `last_error`
    says so until it is repaired. Secret files that the brands file refers to are watched as well.

    Raises:
        ConfigurationError: from the constructor, when the first load fails; with all faults of the file.
    """

    def __init__(
        self,
        path: Path,
        secrets_dir: Path,
        *,
        read_variable: ReadVariable = lambda name: None,
        rules: EndpointRules | None = None,
        check_secrets: bool = True,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """
        Args:
            path: brands.yaml.
            secrets_dir: where relative `file:` references lead.
            read_variable: gives an environment variable for `env:` references.
            rules: what the operator allows of endpoint URLs.
            check_secrets: off only for `flask brands check --no-secrets`; endpoints then have no keys.
            monotonic: seconds; decides when the next look at the files is due.
        """
        self._path = path
        self._secrets_dir = secrets_dir
        self._read_variable = read_variable
        self._check_secrets = check_secrets
        self._rules = rules or EndpointRules()
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._watched: dict[Path, FileSignature | None] = {}
        self._last_error: ConfigurationError | None = None
        self._read_version = ""
        self._refused = ("", "")
        self._snapshot = self._load()
        self._next_check = monotonic() + CHECK_SECONDS

    def by_id(self, brand_id: str) -> Brand | None:
        return self._current().by_id.get(brand_id)

    def by_host(self, host: str) -> Brand | None:
        """The brand of a Host header's text (port, case and a trailing dot do not matter)."""
        known = self._current().by_host
        return known.get(host) or known.get(host_of_header(host))

    def all(self) -> tuple[Brand, ...]:
        """In the order of the file."""
        return self._current().brands

    @property
    def version(self) -> str:
        """Hex, 16 characters: changes with the content of the file in use."""
        return self._current().version

    @property
    def last_error(self) -> ConfigurationError | None:
        """Why the file on disk is not the one in use; None when it is. For readiness."""
        self._current()
        return self._last_error

    def _current(self) -> _Snapshot:
        if self._monotonic() >= self._next_check:
            self._check()
        return self._snapshot

    def _check(self) -> None:
        # Whoever comes while another thread reloads goes on with the brands there are.
        if not self._lock.acquire(blocking=False):
            return
        try:
            self._next_check = self._monotonic() + CHECK_SECONDS
            if any(file_signature(path) != signature for path, signature in self._watched.items()):
                self._reload()
        finally:
            self._lock.release()

    def _reload(self) -> None:
        try:
            snapshot = self._load()
        except ConfigurationError as error:
            self._refuse(error)
            return
        except Exception as error:  # noqa: BLE001 - this runs inside somebody's hit; a mistake of ours must not fail it
            self._refuse(ConfigurationError(f"{self._path.name} could not be read: {type(error).__name__}"))
            return
        self._snapshot = snapshot
        self._last_error = None
        _log.info("brands_loaded", extra={"version": snapshot.version, "brands": len(snapshot.brands)})

    def _refuse(self, error: ConfigurationError) -> None:
        refused = (self._read_version, str(error))
        if self._last_error is None or refused != self._refused:
            faults = str(error).splitlines()
            _log.error(
                "brands_file_refused",
                extra={"file": self._path.name, "faults": faults, "version_kept": self._snapshot.version},
            )
        self._refused = refused
        self._last_error = error

    def _load(self) -> _Snapshot:
        # Signatures are taken before reading: a file written meanwhile is then seen as changed next time.
        watched = {self._path: file_signature(self._path)}
        secrets = SecretReader(self._secrets_dir, self._read_variable, follow=self._check_secrets)
        try:
            raw = _read(self._path)
            self._read_version = hashlib.sha256(raw).hexdigest()[:16]
            brands = parse_brands(self._path.name, raw, secrets, self._rules)
        finally:
            self._watched = {**watched, **secrets.files}
        return _Snapshot(
            brands=brands,
            by_id={brand.id: brand for brand in brands},
            by_host={host: brand for brand in brands for host in brand.tracking_hosts},
            version=self._read_version,
        )


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as stream:
            return stream.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise BrandsFileRefused([Fault(path.name, f"cannot be read ({type(error).__name__})")]) from error

"""`/healthz` (the process lives) and `/readyz` (what is wrong), for supervisors, deployments and alarms.

A load balancer in front of the tracking hosts goes by `/healthz`, or by `/readyz?check=journal`: pixels and cached
links need no store, and taking every host out because Redis restarts would turn away people we could have answered.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
from flask import Flask, Response, request

from app.errors import TransientError
from app.journal.shipper_status import read_shipper_status
from app.journal.writer import free_bytes
from app.services import Services
from app.storage.health import eviction_policy, is_primary

TOTAL_SECONDS = 2.0
_MONGO_SECONDS = 0.6
_MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found; `detail` is for a person and holds no URL, no secret and no exception's text."""

    ok: bool
    detail: str


@dataclass(frozen=True, slots=True)
class Check:
    ask: Callable[[Services], Finding]
    needed: bool = True
    """Without it this copy cannot do everything it promises; the others are said and do no harm for a while."""


def register(flask_app: Flask, services: Services) -> None:
    """Add both pages."""

    @flask_app.get("/healthz")
    def healthz() -> Response:
        return _json({"status": "ok"})

    @flask_app.get("/readyz")
    def readyz() -> Response:
        """Every check, or those named by `?check=…` (may be repeated); 503 when a needed one fails."""
        asked = request.args.getlist("check")
        unknown = [name for name in asked if name not in CHECKS]
        if unknown:
            return _json({"ready": False, "detail": "there is no such check", "known": list(CHECKS)}, 400)
        findings = check_all(services, asked or list(CHECKS))
        ready = all(finding.ok or not CHECKS[name].needed for name, finding in findings.items())
        checks = {
            name: {"ok": finding.ok, "needed": CHECKS[name].needed, "detail": finding.detail}
            for name, finding in findings.items()
        }
        return _json({"ready": ready, "checks": checks}, 200 if ready else 503)


def check_all(services: Services, names: list[str]) -> Mapping[str, Finding]:
    """Ask one after the other. Each has its own deadline; together they take little more than `TOTAL_SECONDS`."""
    until = time.monotonic() + TOTAL_SECONDS
    findings = {}
    for name in names:
        if time.monotonic() >= until:
            findings[name] = Finding(False, "not asked: the others took too long")
            continue
        try:
            findings[name] = CHECKS[name].ask(services)
        except TransientError as error:
            findings[name] = Finding(False, f"does not answer ({error})")
        except (OSError, ValueError) as error:
            findings[name] = Finding(False, f"cannot be read ({type(error).__name__})")
    return findings


def _journal(services: Services) -> Finding:
    settings = services.settings
    folder = _existing(settings.journal_dir)
    free, wanted = free_bytes(folder), 4 * settings.journal_low_bytes
    if not os.access(folder, os.W_OK):
        return Finding(False, "the folder cannot be written")
    return Finding(free >= wanted, f"{free // _MIB} MiB free, {wanted // _MIB} MiB wanted")


def _existing(folder: Path) -> Path:
    """The folder, or the nearest one above it: it is made with the first record."""
    return next(place for place in (folder, *folder.parents) if place.exists())


def _shipper(services: Services) -> Finding:
    status = read_shipper_status(services.settings.shipper_dir)
    if status is None:
        return Finding(False, "has never reported here")
    fault = status.fault()
    return Finding(
        fault is None, fault or f"{status.behind_bytes} bytes, {status.oldest_unshipped_seconds:.1f} s behind"
    )


def _brands(services: Services) -> Finding:
    if services.brands.last_error is None:
        return Finding(True, f"{len(services.brands.all())} brands, version {services.brands.version}")
    return Finding(False, "the file has an error and the last good one is in use; `flask brands check` says which")


def _counter(services: Services) -> Finding:
    policy = eviction_policy(services.redis)
    if policy == "noeviction":
        return Finding(True, "answers, evicts nothing")
    return Finding(False, "its memory policy evicts keys, numbers and queued tasks among them; it must be noeviction")


def _cache(services: Services) -> Finding:
    return Finding(True, f"answers, memory policy {eviction_policy(services.cache)}")


def _mongo(services: Services) -> Finding:
    primary = is_primary(services.database, timeout_seconds=_MONGO_SECONDS)
    return Finding(primary, "primary" if primary else "takes no writes")


def _broker(services: Services) -> Finding:
    waiting = sum(services.broker.depths().values())
    return Finding(True, f"{waiting} tasks waiting or held")


# In the order they are asked: what needs no network first.
CHECKS: dict[str, Check] = {
    "journal": Check(_journal),
    "shipper": Check(_shipper),
    "brands": Check(_brands, needed=False),
    "redis": Check(_counter),
    "cache": Check(_cache, needed=False),
    "mongo": Check(_mongo),
    "broker": Check(_broker),
}


def _json(body: Mapping[str, Any], status: int = 200) -> Response:
    return Response(
        orjson.dumps(body), status=status, content_type="application/json", headers={"Cache-Control": "no-store"}
    )

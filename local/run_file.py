"""`run.json`: how to reach a running copy. It is there while the copy is ready, readable by its owner only."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from local.secret_files import write_private


@dataclass(frozen=True, slots=True)
class Login:
    """A page with a password."""

    url: str
    user: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class RunInfo:
    """What a person, a test or `make demo` needs to know of a running copy."""

    url: str
    api_keys: dict[str, str] = field(repr=False)
    """Brand id → plaintext key."""
    flower: Login
    dashboard: Login | None
    mongo_url: str
    redis_url: str
    journal_dir: str
    pids: dict[str, int]
    """Process name (as in config/supervisord.conf) → id of its first process."""

    def write(self, path: Path) -> None:
        write_private(path, json.dumps(asdict(self), indent=2) + "\n")


def read_run_info(path: Path) -> RunInfo:
    """Read a `run.json`.

    Raises:
        OSError: no copy is ready there.
    """
    content = json.loads(path.read_text(encoding="utf-8"))
    dashboard = content["dashboard"]
    return RunInfo(
        **{
            **content,
            "flower": Login(**content["flower"]),
            "dashboard": None if dashboard is None else Login(**dashboard),
        }
    )

"""In which order the programs of a copy are stopped: the door first, the stores last."""

from __future__ import annotations

from collections.abc import Mapping

from local import process_groups
from local.process_groups import Leader

WORKERS = ("worker-ingest", "worker-webhooks", "worker-maintenance", "worker-archive")
STOP_ORDER: tuple[tuple[tuple[str, ...], float], ...] = (
    (("nginx",), 15.0),
    (("uwsgi",), 40.0),
    (("shipper", "beat"), 20.0),
    ((*WORKERS, "flower"), 40.0),
    (("valkey", "mongod"), 20.0),
)
"""What is stopped together, and how many seconds it may take before it is killed (as in config/supervisord.conf)."""


def end_in_order(groups: Mapping[str, Leader]) -> None:
    """End these programs without their supervisor; all at once, workers would wait for a broker that is gone."""
    supervisor = [one for name, one in groups.items() if name == "supervisord"]
    # The supervisor first, with time for its own order: it would start the others anew.
    process_groups.end(supervisor, 60.0)
    for names, seconds in STOP_ORDER:
        process_groups.end([groups[name] for name in names if name in groups], seconds)

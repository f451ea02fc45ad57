"""A whole private copy for end-to-end tests: four small brands, and endpoints that lead to a test's receiver."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from local.ports import LOOPBACK, free_port
from local.stack import Stack
from tests.end_to_end.receiver import Receiver

NOBODY = f"http://{LOOPBACK}:9/nobody"
"""A port where nothing listens (discard, RFC 863)."""


def brands(receiver: Receiver) -> list[dict[str, Any]]:
    """`heron` has everything, `ibis` little, `jackdaw` also an endpoint where nobody listens, `kestrel` no endpoint."""
    return [
        {
            "id": "heron",
            "name": "Heron Mail",
            "channels": ["email", "sms"],
            "tracking_hosts": ["t.heron.example", "h.heron.example"],
            "sms_host": "h.heron.example",
            "pixel": {"header": True, "footer": True},
            "metadata_keys": ["campaign", "lead"],
            "client_address": "prefix",
            "unsubscribe": {"mailto": "leave@heron.example", "scope": "list"},
            "endpoints": [_endpoint("heron", receiver, mode="full")],
        },
        {
            "id": "ibis",
            "name": "Ibis Books",
            "tracking_hosts": ["t.ibis.example"],
            "destinations": ["ibis.example"],
            "endpoints": [_endpoint("ibis", receiver)],
        },
        {
            "id": "jackdaw",
            "name": "Jackdaw Jobs",
            "channels": ["email", "sms"],
            "tracking_hosts": ["t.jackdaw.example"],
            "unsubscribe": {"scope": "brand"},
            "endpoints": [
                _endpoint("jackdaw", receiver, mode="full"),
                {**_endpoint("jackdaw-away", receiver, mode="full"), "url": NOBODY},
            ],
        },
        {
            "id": "kestrel",
            "name": "Kestrel Watches",
            "tracking_hosts": ["t.kestrel.example"],
            "client_address": "prefix",
            "page": {"title": "Kestrel & <Sons>"},
        },
    ]


def _endpoint(name: str, receiver: Receiver, mode: str = "thin") -> dict[str, Any]:
    return {"id": name, "url": receiver.url(name), "secrets": [f"file:webhook-{name}"], "mode": mode}


@contextmanager
def own_copy(folder: Path, receiver: Receiver, environment: Mapping[str, str] | None = None) -> Iterator[Stack]:
    """A running copy in `folder`, with stores of its own; stopped at the end.

    Args:
        receiver: listens already; learns the secrets of the endpoints.
        environment: settings on top of those for tests.

    Raises:
        StackFailed: it does not start.
    """
    file = folder / "brands.yaml"
    file.write_text(json.dumps({"version": 1, "brands": brands(receiver)}, indent=1), encoding="utf-8")
    settings = {
        # Whatever a developer uses: these stores are ours, and are looked into.
        "TELLTALE_MONGO_URL": "",
        "TELLTALE_REDIS_URL": "",
        "TELLTALE_JOURNAL_LOW_BYTES": "1048576",
        "TELLTALE_WEBHOOK_DELAY_FACTOR": "0.1",
        **(environment or {}),
    }
    stack = Stack(folder / "state", free_port(), file, settings)
    stack.start()
    try:
        for secret in stack.folder.secrets.glob("webhook-*"):
            receiver.trust(secret.name.removeprefix("webhook-"), secret.read_text(encoding="ascii"))
        yield stack
    finally:
        stack.stop()

"""What `benchmarks.front` compares with: the usual Flask view that hands every hit to Celery before it answers.

Written as a careful developer would: results off, headers against caches, one connection to the broker that is reused.
Destinations lie in a dict in memory, which is cheaper than any real look-up. No worker runs: only publishing counts.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

from celery import Celery
from flask import Flask, Response, abort, redirect, request

from app.web.tracking.answers import PIXEL

celery = Celery("plain", broker=os.environ["BENCH_BROKER_URL"])
celery.conf.update(task_ignore_result=True, broker_connection_retry_on_startup=True)

application = Flask("plain")
links: dict[str, str] = json.loads(Path(os.environ["BENCH_LINKS_FILE"]).read_text(encoding="utf-8"))


@celery.task(name="plain.record_hit")  # type: ignore[untyped-decorator]  # Celery's decorators carry no types
def record_hit(*, kind: str, code: str, at: float, host: str, client: str | None, user_agent: str) -> None:
    """Would store the hit; here the queue is emptied instead."""


def enqueue(kind: str, code: str) -> None:
    record_hit.apply_async(
        kwargs={
            "kind": kind,
            "code": code,
            "at": time.time(),
            "host": request.host,
            "client": request.remote_addr,
            "user_agent": request.headers.get("User-Agent", ""),
        }
    )


@application.get("/o/<code>.gif")
def opened(code: str) -> Response:
    enqueue("open", code)
    return Response(PIXEL, content_type="image/gif", headers={"Cache-Control": "no-store"})


@application.get("/c/<code>")
def clicked(code: str) -> Response:
    destination = links.get(code)
    if destination is None:
        abort(404)
    enqueue("click", code)
    response = redirect(destination)
    response.headers["Cache-Control"] = "no-store"
    return response  # type: ignore[return-value]  # Werkzeug's base class; Flask's own is what it makes

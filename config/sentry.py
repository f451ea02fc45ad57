"""Error reports to Sentry, when a DSN is set. What leaves is put together from a list of what may leave.

Sentry's own defaults send local variables, bodies, queries and paths; its scrubber knows key names only.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from config.scrub import scrub, scrub_url
from config.settings import Settings

_KEPT = ("event_id", "timestamp", "level", "platform", "environment", "release", "server_name", "sdk", "logger", "type")
_KEPT_FRAME = ("filename", "function", "module", "lineno", "colno", "in_app")
_SAFE_SOURCES = ("route", "component", "task")
"""Where a transaction's name comes from when it is a pattern or a name of ours; `url` would be the path itself."""
_MAX_FRAMES = 60
_MAX_TAGS = 20


def setup_sentry(settings: Settings, *, transport: Any = None) -> bool:
    """Start error reports for this process; without a DSN nothing happens. After a fork, once per process.

    Args:
        transport: Sentry's own by default; a test gives one that keeps the envelopes.

    Returns:
        whether reports are sent.
    """
    if not settings.sentry_dsn:
        return False
    # Here, because a process without a DSN need not load any of it.
    import sentry_sdk
    from sentry_sdk.integrations.atexit import AtexitIntegration
    from sentry_sdk.integrations.dedupe import DedupeIntegration
    from sentry_sdk.integrations.excepthook import ExcepthookIntegration
    from sentry_sdk.integrations.flask import FlaskIntegration
    from sentry_sdk.integrations.threading import ThreadingIntegration

    sentry_sdk.init(
        dsn=settings.sentry_dsn,
        transport=transport,
        environment=settings.environment,
        server_name=settings.host_name,
        # By name: the automatic ones collect arguments, log texts, outgoing requests and task arguments.
        default_integrations=False,
        auto_enabling_integrations=False,
        integrations=[
            AtexitIntegration(callback=_say_nothing),
            DedupeIntegration(),
            ExcepthookIntegration(),
            FlaskIntegration(transaction_style="endpoint"),
            ThreadingIntegration(propagate_scope=False),
        ],
        # send_default_pii stays at its default, false: naming it is deprecated, and its successor, data_collection,
        # turns the scrubber off when it is set.
        include_local_variables=False,
        include_source_context=False,
        max_request_body_size="never",
        max_breadcrumbs=0,
        before_breadcrumb=lambda crumb, hint: None,
        before_send=before_send,
        # No traces are made; should a setting of the environment ask for them, they are dropped.
        before_send_transaction=lambda event, hint: None,
        auto_session_tracking=False,
        send_client_reports=False,
        shutdown_timeout=2,
    )
    return True


def before_send(event: Any, hint: Mapping[str, Any]) -> Any:
    """The event as it may leave: kinds and places of errors, the route, our tags. No text of an exception."""
    kept: dict[str, Any] = {name: event[name] for name in _KEPT if name in event}
    if (event.get("transaction_info") or {}).get("source") in _SAFE_SOURCES:
        kept["transaction"] = scrub(str(event.get("transaction", "")))
    runtime = (event.get("contexts") or {}).get("runtime")
    if runtime:
        kept["contexts"] = {"runtime": {name: runtime[name] for name in ("name", "version") if name in runtime}}
    kept["exception"] = {"values": [_exception(value) for value in _values(event.get("exception"))]}
    kept["tags"] = {str(name): scrub(str(value)) for name, value in list(_items(event.get("tags")))[:_MAX_TAGS]}
    request = event.get("request") or {}
    if request:
        kept["request"] = {"method": str(request.get("method", ""))[:10], "url": scrub_url(str(request.get("url", "")))}
    return kept


def _exception(value: Mapping[str, Any]) -> dict[str, Any]:
    mechanism = value.get("mechanism") or {}
    frames = ((value.get("stacktrace") or {}).get("frames") or [])[-_MAX_FRAMES:]
    return {
        "type": value.get("type"),
        "module": value.get("module"),
        "mechanism": {name: mechanism[name] for name in ("type", "handled") if name in mechanism},
        "stacktrace": {"frames": [{name: frame[name] for name in _KEPT_FRAME if name in frame} for frame in frames]},
    }


def _values(section: Any) -> list[Any]:
    values = section.get("values") if isinstance(section, Mapping) else section
    return list(values or [])


def _items(tags: Any) -> Iterator[tuple[Any, Any]]:
    pairs = tags.items() if isinstance(tags, Mapping) else tags or []
    yield from ((pair[0], pair[1]) for pair in pairs if pair)


def _say_nothing(pending: int, timeout: float) -> None:
    """Sentry prints how many events it is sending when a process ends; our output is JSON lines."""

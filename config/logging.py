"""Logs as JSON lines on standard error: time, level, logger, event, fields. Our code logs through `app.lib.log`.

Nothing personal can get in by accident: our records carry a constant name and chosen scalars; of other people's records
(Celery, redis-py, werkzeug, uWSGI's Python side) only the constant part of the text and where it was logged is kept;
exceptions are types and places, never messages.
"""

from __future__ import annotations

import json
import logging
import re
import sys
import threading
import time
import traceback
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from types import TracebackType
from typing import Any

from config.queues import Queue, TaskName
from config.scrub import scrub
from config.settings import Settings

_EVENT = re.compile(r"[a-z][a-z0-9_.]{0,63}")
_OURS = ("app", "tasks", "config", "local", "benchmarks", "telltale")
_MAX_FIELDS = 20
_MAX_ITEMS = 20
_MAX_FRAMES = 12
_MAX_CAUSES = 4
_QUIETED = {
    # Requests are nginx's and the journal's business; here they would be lines full of paths.
    "werkzeug": logging.ERROR,
    "aiohttp.access": logging.ERROR,
    "tornado.access": logging.ERROR,
    # Two lines for each task that goes well, and one for each tick of beat. What goes wrong, tasks/base.py says.
    "celery.worker.strategy": logging.WARNING,
    "celery.app.trace": logging.WARNING,
    "celery.beat": logging.WARNING,
}
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "fields", "data"}
# Words of ours that a stranger's record may repeat: no task or queue name is personal.
_KNOWN_WORDS = frozenset(name.value for name in TaskName) | frozenset(queue.value for queue in Queue)


def setup_logging(settings: Settings) -> None:
    """Send everything this process logs, warns of or dies of through the JSON formatter, and nothing past it."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    root = logging.getLogger()
    # Of those that were there, only the plain kind that libraries put up by themselves goes.
    root.handlers[:] = [*(kept for kept in root.handlers if type(kept) is not logging.StreamHandler), handler]
    # Libraries say nothing useful below INFO, and drivers would log every command there.
    root.setLevel(max(logging.INFO, logging.getLevelNamesMapping()[settings.log_level]))
    for name in _OURS:
        logging.getLogger(name).setLevel(settings.log_level)
    for name in list(logging.root.manager.loggerDict):
        logger = logging.getLogger(name)
        logger.handlers[:] = [kept for kept in logger.handlers if type(kept) is not logging.StreamHandler]
        logger.propagate = True
    for name, level in _QUIETED.items():
        logging.getLogger(name).setLevel(max(level, root.level))
    # What loggers without any handler fall back to, such as that of Celery's process pool.
    logging.lastResort = handler
    logging.captureWarnings(True)
    # Logging prints a record it cannot format, with its values, unless told otherwise.
    logging.raiseExceptions = False
    # Only in place of the interpreter's own, which print messages: error reporting and test runners have theirs.
    if sys.excepthook is sys.__excepthook__:
        sys.excepthook = _log_uncaught
    if threading.excepthook is threading.__excepthook__:
        threading.excepthook = _log_uncaught_in_thread
    if sys.unraisablehook is sys.__unraisablehook__:
        sys.unraisablehook = _log_unraisable


class JsonFormatter(logging.Formatter):
    """One record as one line."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "at": f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(record.created))}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "process": record.process,
        }
        ours = record.name.partition(".")[0] in _OURS
        line.update(_our_event(record) if ours else _foreign_event(record))
        if record.exc_info and record.exc_info[1] is not None:
            line["error"], line["where"] = describe_exception(record.exc_info[1])
        return json.dumps(line, ensure_ascii=False, separators=(",", ":"))


def describe_exception(error: BaseException) -> tuple[str, list[str]]:
    """An exception and its causes as type names, and its last frames as `file:line function`. No message, no values."""
    kinds = [_type_name(cause) for cause in _chain(error)]
    frames = traceback.extract_tb(error.__traceback__)[-_MAX_FRAMES:]
    return " from ".join(kinds), [f"{_short(frame.filename)}:{frame.lineno} {frame.name}" for frame in frames]


def _our_event(record: logging.LogRecord) -> dict[str, Any]:
    # A text with values in it is a mistake of ours; the place is enough to find and mend it.
    event = record.msg if isinstance(record.msg, str) and _EVENT.fullmatch(record.msg) else "unnamed_event"
    extra = {name: value for name, value in vars(record).items() if name not in _STANDARD}
    given = getattr(record, "fields", None)
    fields = {**extra, **(given if isinstance(given, Mapping) else {})}
    place = {} if event != "unnamed_event" else {"at_line": _place(record)}
    reserved = ("at", "level", "logger", "process", "event")
    kept = {
        (f"{name}_" if name in reserved else name): _plain(value) for name, value in list(fields.items())[:_MAX_FIELDS]
    }
    return {"event": event, **kept, **place}


def _plain(value: object) -> object:
    """A field's value as a JSON scalar, or a short list of them; anything else only says its type."""
    match value:
        case None | bool() | int() | float():
            return value
        case str():
            return scrub(str(value))
        case list() | tuple() | set() | frozenset():
            return [_plain(item) if isinstance(item, str | int | float) else "…" for item in list(value)[:_MAX_ITEMS]]
        case BaseException():
            return _type_name(value)
    return f"<{type(value).__name__}>"


def _foreign_event(record: logging.LogRecord) -> dict[str, Any]:
    line: dict[str, Any] = {"event": "library", "at_line": _place(record)}
    text = str(record.msg).strip().partition("\n")[0]
    # A text that stands in the source as it is was not put together from values.
    if text and text in _source_of(record.pathname):
        line["text"] = scrub(_filled_in(text, record.args))
    return line


def _filled_in(text: str, args: object) -> str:
    """The text with those of its values that cannot be personal: numbers, types of exceptions, our own names."""
    try:
        match args:
            case Mapping():
                return text % {name: _harmless(value) for name, value in args.items()}
            case tuple() if args and text.count("%") == len(args):
                return text.replace("%r", "%s").replace("%d", "%s").replace("%i", "%s") % tuple(map(_harmless, args))
    except (TypeError, ValueError, KeyError):
        pass  # more placeholders than the first line has, or an exotic one: the bare text says enough
    return text


def _harmless(value: object) -> object:
    if isinstance(value, bool | int | float):
        return value
    if isinstance(value, BaseException):
        return _type_name(value)
    return value if isinstance(value, str) and value in _KNOWN_WORDS else "…"


@lru_cache(maxsize=64)
def _source_of(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")[:500_000]
    except (OSError, ValueError):
        return ""


def _place(record: logging.LogRecord) -> str:
    return f"{_short(record.pathname)}:{record.lineno}"


def _short(path: str) -> str:
    """The last two parts of a path: enough to find the file, nothing about this machine."""
    return "/".join(Path(path).parts[-2:])


def _type_name(error: BaseException) -> str:
    kind = type(error)
    return kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__name__}"


def _chain(error: BaseException) -> Iterator[BaseException]:
    current: BaseException | None = error
    for _ in range(_MAX_CAUSES):
        if current is None:
            return
        yield current
        current = current.__cause__ or (None if current.__suppress_context__ else current.__context__)


def _log_uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        return
    logging.getLogger("app.process").critical("process_failed", exc_info=(kind, error, trace))


def _log_uncaught_in_thread(args: threading.ExceptHookArgs) -> None:
    if args.exc_value is not None and not issubclass(args.exc_type, SystemExit):
        error = args.exc_value
        logging.getLogger("app.process").critical("thread_failed", exc_info=(type(error), error, args.exc_traceback))


def _log_unraisable(args: Any) -> None:
    # `args.object` and `args.err_msg` may show values; the type and the place do not.
    error = args.exc_value
    if error is not None:
        logging.getLogger("app.process").error("unraisable", exc_info=(type(error), error, args.exc_traceback))

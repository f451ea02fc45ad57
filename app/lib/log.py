"""How our code logs: a static event name and fields. What becomes of them is decided in `config.logging`."""

from __future__ import annotations

import logging
from collections.abc import Sequence

Field = str | int | float | bool | None | Sequence[str]

DEBUG, INFO, WARNING, ERROR = logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR


def log_event(logger: logging.Logger, level: int, event: str, **fields: Field) -> None:
    """Log that something happened.

    Args:
        event: a constant in snake_case, the same text every time.
        fields: numbers, ids and names we chose. Never an address, a token, a body or a foreign exception's text.
    """
    logger.log(level, event, extra={"fields": fields}, stacklevel=2)


def log_failure(logger: logging.Logger, event: str, error: BaseException, **fields: Field) -> None:
    """Log an error with its type and where it was raised; its text stays out, it may quote values."""
    logger.error(event, exc_info=(type(error), error, error.__traceback__), extra={"fields": fields}, stacklevel=2)

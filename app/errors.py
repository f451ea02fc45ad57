"""One error tree, by what the caller should do.

    TelltaleError
    ├── TransientError          try again later, the same call may work
    │   ├── StoreUnavailable    MongoDB or Redis did not answer in time
    │   └── BrokerUnavailable   the task was perhaps not queued
    ├── PermanentError          the same call will never work
    │   └── ConfigurationError  brands.yaml or a secret reference cannot be used
    └── CallerError             whoever asked has to change the request; becomes an RFC 9457 answer
        ├── InvalidRequest      400 / 422
        ├── Unauthenticated     401
        ├── Forbidden           403
        ├── NotFound            404
        ├── Conflict            409
        └── TooLarge            413

Foreign exceptions are translated where they enter (`raise … from`); HTTP and retries are decided once, at the edge.
"""

from __future__ import annotations

from collections.abc import Sequence


class TelltaleError(Exception):
    """Everything we raise on purpose."""


class TransientError(TelltaleError):
    """Try again later."""


class StoreUnavailable(TransientError):
    """MongoDB or Redis did not answer in time."""


class BrokerUnavailable(TransientError):
    """The task may or may not have been queued."""


class PermanentError(TelltaleError):
    """Trying again is useless."""


class ConfigurationError(PermanentError):
    """A configuration file or a secret reference cannot be used."""


class CallerError(TelltaleError):
    """The request has to change.

    Args:
        detail: one sentence for a person, without personal data or secrets.
        code: stable, snake_case, what a program switches on.
        errors: one mapping per faulty field: {"pointer": "/recipients/0/address", "detail": "…"}.
    """

    status = 400
    title = "Bad request"

    def __init__(self, detail: str, *, code: str = "", errors: Sequence[dict[str, str]] = ()) -> None:
        super().__init__(detail)
        self.detail = detail
        self.code = code or self.title.lower().replace(" ", "_")
        self.errors = list(errors)


class InvalidRequest(CallerError):
    """The request is not understood; `status` 422 when its JSON is fine and its values are not."""

    def __init__(
        self, detail: str, *, code: str = "", errors: Sequence[dict[str, str]] = (), status: int = 400
    ) -> None:
        super().__init__(detail, code=code or "invalid_request", errors=errors)
        self.status = status
        self.title = "Unprocessable content" if status == 422 else "Bad request"


class Unauthenticated(CallerError):
    status = 401
    title = "Unauthenticated"


class Forbidden(CallerError):
    status = 403
    title = "Forbidden"


class NotFound(CallerError):
    status = 404
    title = "Not found"


class Conflict(CallerError):
    status = 409
    title = "Conflict"


class TooLarge(CallerError):
    status = 413
    title = "Content too large"

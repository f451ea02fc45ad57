"""Opens OpenSearch, and turns what its client raises into ours."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from opensearchpy import OpenSearch
from opensearchpy.exceptions import OpenSearchException, TransportError

from app.errors import StoreUnavailable
from app.search.busy import SearchBusy

TOO_MANY_REQUESTS = 429

# It logs every failure with the address it asked; what matters of one is logged where it is handled.
logging.getLogger("opensearch").setLevel(logging.CRITICAL)


def connect(url: str, *, timeout_seconds: float = 10.0, pool_size: int = 4) -> OpenSearch:
    """A client that never repeats a request by itself. The URL may carry a name and a password.

    Args:
        timeout_seconds: for each request that says nothing else; connecting included.
    """
    return OpenSearch(
        url, timeout=timeout_seconds, max_retries=0, retry_on_timeout=False, http_compress=True, pool_maxsize=pool_size
    )


@contextmanager
def translated() -> Iterator[None]:
    """Raises:
    SearchBusy: 429.
    StoreUnavailable: anything else, without the client's text: it may quote what was looked for.
    """
    try:
        yield
    except TransportError as error:
        busy = error.status_code == TOO_MANY_REQUESTS
        raise (SearchBusy if busy else StoreUnavailable)(type(error).__name__) from error
    except OpenSearchException as error:
        raise StoreUnavailable(type(error).__name__) from error

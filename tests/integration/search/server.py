"""One OpenSearch for the whole session, started by the first test that needs it; whoever cannot have it says why."""

from __future__ import annotations

import atexit
import functools
import shutil
import tempfile
from pathlib import Path

import pytest

from local.opensearch import NoOpenSearch, start_opensearch
from local.servers import Server, ServerFailed


def opensearch_url() -> str:
    """Skips the test where none can start."""
    found = _started()
    if isinstance(found, str):
        pytest.skip(f"no OpenSearch: {found}")
    return found.url


@functools.cache
def _started() -> Server | str:
    folder = Path(tempfile.mkdtemp(prefix="telltale-opensearch-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    try:
        server = start_opensearch(folder)
    except (NoOpenSearch, ServerFailed) as error:
        return str(error)
    atexit.register(server.stop)
    return server

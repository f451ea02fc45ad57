"""Both stores with one corpus: MongoDB is the truth, OpenSearch is behind a proxy that can fail."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from pymongo.database import Database

from app.search.client import connect
from app.search.finder import IndexSearch
from tests.integration.search.corpus import Corpus
from tests.integration.search.proxy import Proxy, proxy_to
from tests.integration.search.server import opensearch_url


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    with proxy_to(opensearch_url()) as found:
        yield found


@pytest.fixture
def corpus(proxy: Proxy, database: Database[dict[str, Any]]) -> Iterator[Corpus]:
    client = connect(proxy.url)
    found = Corpus(database, client)
    yield found
    proxy.away, proxy.busy = False, 0
    for brand_id in ("alder", "birch"):
        found.index.drop(brand_id)
    client.close()


@pytest.fixture
def finder(corpus: Corpus) -> IndexSearch:
    assert corpus.client is not None
    return IndexSearch(corpus.client, corpus.names)

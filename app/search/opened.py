"""An OpenSearch, opened: the half that fills it and the half that asks it, on one client."""

from __future__ import annotations

from dataclasses import dataclass

from app.search.client import connect
from app.search.event_index import EventIndex
from app.search.finder import IndexSearch
from app.search.names import Names


@dataclass(frozen=True, slots=True)
class Opened:
    index: EventIndex
    finder: IndexSearch


def open_search(url: str, prefix: str) -> Opened:
    """Args:
    prefix: of this deployment's indexes.
    """
    client, names = connect(url), Names(prefix)
    return Opened(EventIndex(client, names), IndexSearch(client, names))

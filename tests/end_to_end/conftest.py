"""One whole running copy for all end-to-end tests that kill nothing, and what they ask it with."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pymongo
import pytest
from pymongo.database import Database

from local.stack import Stack
from tests.end_to_end.client import Client
from tests.end_to_end.own_copy import own_copy
from tests.end_to_end.receiver import Receiver


@pytest.fixture(scope="session")
def receiver() -> Iterator[Receiver]:
    """Where the endpoints of `stack` lead."""
    with Receiver() as receiver:
        yield receiver


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory, receiver: Receiver) -> Iterator[Stack]:
    # Segments as long-lived as the session: each journal line of every test stays where it can be looked at.
    keep = {"TELLTALE_SEGMENT_MAX_SECONDS": "36000"}
    with own_copy(tmp_path_factory.mktemp("copy"), receiver, keep) as stack:
        yield stack


@pytest.fixture(scope="session")
def client(stack: Stack) -> Client:
    return Client(stack.run_info)


@pytest.fixture(scope="session")
def database(stack: Stack) -> Iterator[Database[dict[str, Any]]]:
    """The copy's own database (not the fresh one that other tests get under this name)."""
    with pymongo.MongoClient[dict[str, Any]](stack.run_info.mongo_url, tz_aware=True) as mongo:
        yield mongo["telltale"]

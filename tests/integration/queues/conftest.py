"""The brokers of the contract suite, and what publishes to them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from app.queues.publisher import Queues
from tests.contracts.brokers import OpenGuard, rabbitmq, sqs

__all__ = ["rabbitmq", "sqs"]


@pytest.fixture
def queues() -> Iterator[Queues]:
    queues = Queues(OpenGuard())
    yield queues
    queues.close()

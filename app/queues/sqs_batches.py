"""Messages as SQS takes them: ten and 256 KiB to a request, text only, order by group in a FIFO queue.

Limits: "Amazon SQS message quotas" of its developer guide, and `SendMessageBatch` of its API reference.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from app.queues.message import QueueMessage, attributes

MAX_ENTRIES = 10
MAX_BYTES = 262_144
"""Of a message with its attributes, and of all messages of a request together."""

# The characters of XML 1.0; SQS refuses a whole request for any other one in a body.
_NOT_CARRIED = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class Entry(NamedTuple):
    """A message that can be sent."""

    message_id: str
    size: int
    """Bytes as SQS counts them."""
    fields: dict[str, Any]
    """Of a `SendMessageBatch` entry, without its `Id`."""


def entry(message: QueueMessage, *, fifo: bool) -> Entry | None:
    """A message as an entry; None when SQS will never take it."""
    try:
        body = message.body.decode()
    except UnicodeDecodeError:
        return None
    beside = attributes(message)
    size = len(message.body) + sum(len(f"{name}String{value}".encode()) for name, value in beside.items())
    if not body or size > MAX_BYTES or _NOT_CARRIED.search(body):
        return None
    fields: dict[str, Any] = {
        "MessageBody": body,
        "MessageAttributes": {name: {"DataType": "String", "StringValue": value} for name, value in beside.items()},
    }
    if fifo:
        # A fallback can come twice within five minutes; SQS then keeps the first only.
        fields["MessageDeduplicationId"] = message.id
        fields["MessageGroupId"] = message.group or message.id
    return Entry(message.id, size, fields)


def batches(entries: Sequence[Entry]) -> Iterator[list[Entry]]:
    """The entries in their order, as few requests as their order allows."""
    batch: list[Entry] = []
    size = 0
    for one in entries:
        if batch and (len(batch) == MAX_ENTRIES or size + one.size > MAX_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(one)
        size += one.size
    if batch:
        yield batch

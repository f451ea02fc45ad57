"""Ids of webhook batches, `bat_…`: made from what a batch is, so that making it twice gives the same id."""

from __future__ import annotations

import hashlib

from app.lib import ids

_PREFIX = "bat_"


def batch_id_of(delivery_id: str, at_ms: int) -> str:
    """Of a new batch.

    Args:
        delivery_id: of its row.
        at_ms: when it was made, in milliseconds.
    """
    return _made(at_ms, f"new {delivery_id}")


def part_id_of(batch_id: str, part: int) -> str:
    """Of a part of a batch that was divided."""
    return _made(_ms_of(batch_id), f"part {part} {batch_id}")


def smaller_batch_id(batch_id: str, left: int) -> str:
    """Of what is left of a batch when events of erased persons are gone from it."""
    return _made(_ms_of(batch_id), f"left {left} {batch_id}")


def _made(at_ms: int, text: str) -> str:
    return _PREFIX + ids.to_text(ids.make_id(at_ms, hashlib.blake2b(text.encode(), digest_size=10).digest()))


def _ms_of(batch_id: str) -> int:
    return ids.ms_of(ids.from_text(batch_id.removeprefix(_PREFIX)))

"""What the index holds of an event: what is looked for and counted, and nothing that is shown.

Shown are events as MongoDB has them, found by their ids. So nothing that an erasure takes out of MongoDB is ever in
the index: no client address, no query field, nothing sealed, and of a block no destination and no label.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from app.lib import ids
from app.models.event import Event
from app.models.search import NO_REFERENCES, References, words_of

_words = lru_cache(maxsize=4096)(words_of)
"""User agents and campaigns come again and again."""
_EXACT = {"type": "keyword"}
_NUMBER = {"type": "long"}

MAPPINGS: Mapping[str, Any] = {
    # A field that is not named here is not indexed; nothing is guessed.
    "dynamic": False,
    "_source": {"enabled": False},
    "properties": {
        "brand": _EXACT,
        "kind": _EXACT,
        "verdict": _EXACT,
        "counted": {"type": "boolean"},
        "reason": _EXACT,
        "campaign": _EXACT,
        "list": {"type": "keyword", "doc_values": False},
        "job_source": {"type": "keyword", "doc_values": False},
        "message": {"type": "long", "doc_values": False},
        "block": {"type": "long", "doc_values": False},
        "slot": {"type": "integer", "doc_values": False},
        "recorded": _NUMBER,
        # The order of search; `_id` itself cannot be sorted by without loading all of them.
        "id": _EXACT,
        "word": {"type": "keyword", "doc_values": False},
    },
}


def to_document(event: Event, references: References = NO_REFERENCES) -> dict[str, Any]:
    """Args:
    references: of its block; a sealed token's event has none.
    """
    list_id, job_source = references
    judgement = event.judgement
    texts = (event.user_agent, event.campaign_id, list_id, job_source, *judgement.reasons)
    optional = {"campaign": event.campaign_id, "list": list_id, "job_source": job_source}
    return {
        "brand": event.brand_id,
        "kind": event.kind.value,
        "verdict": judgement.verdict.value,
        "counted": judgement.counted,
        "reason": judgement.reasons,
        "message": event.message,
        "block": event.block,
        "slot": event.slot,
        "recorded": event.recorded_ms,
        "id": ids.to_text(event.id),
        "word": sorted(set().union(*(_words(text) for text in texts if text))),
        **{name: value for name, value in optional.items() if value is not None},
    }

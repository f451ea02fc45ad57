"""Which links a text means: their URLs and labels are sealed at rest, so they are opened for the one campaign that is
asked about, and events are then looked for by the links' places."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection

from app.errors import InvalidRequest
from app.models.block import FIRST_LINK_SLOT, Link
from app.models.search import LinkPlaces, Word, read_words, words_of
from app.web.api.operation import Call

_MOST_BLOCKS = 1_000
_SECONDS = 1.0


def links_of(call: Call, text: str, campaign_id: str | None) -> tuple[LinkPlaces, ...]:
    """The clicked links of a campaign whose URL and label have all words of a text.

    Raises:
        InvalidRequest: no campaign is named.
        TooWide: the campaign has too many blocks.
        StoreUnavailable: a block is not in memory and MongoDB does not answer.
    """
    if campaign_id is None:
        errors = [{"pointer": "/link", "detail": "goes with campaign_id only"}]
        raise InvalidRequest("1 field is not valid.", code="invalid_parameter", errors=errors)
    words = read_words(text)
    starts = call.services.search.clicked_blocks(call.brand.id, campaign_id, most=_MOST_BLOCKS, seconds=_SECONDS)
    places: defaultdict[int, list[int]] = defaultdict(list)
    for block in call.services.block_cache.starting_at(starts).values():
        for slot, link in enumerate(block.links, FIRST_LINK_SLOT):
            if _has_all(link, words):
                places[slot].append(block.start)
    return tuple(LinkPlaces(slot, tuple(sorted(blocks))) for slot, blocks in sorted(places.items()))


def _has_all(link: Link, words: Collection[Word]) -> bool:
    there = words_of(link.shown) | words_of(link.label)
    return all(
        any(one.startswith(word.text) for one in there) if word.beginning else word.text in there for word in words
    )

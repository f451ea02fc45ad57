"""Which networks an address is in, of all lists together: two sorted rows for each family, one binary search."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping

from app.ingest.networks.ranges import Span, merged, parse_address, span_of
from app.lib.special_networks import NOT_PUBLIC_V4, NOT_PUBLIC_V6
from app.models.signals import CLOUD, GOOGLE, MICROSOFT, PUBLIC_ADDRESS, RELAY, SCANNER, YAHOO

NOT_PUBLIC = merged(span_of(text) for text in (*NOT_PUBLIC_V4, *NOT_PUBLIC_V6, "::/3", "4000::/2", "8000::/1"))
"""Addresses of nobody on the internet; the last three are all of IPv6 that has not been given out."""

_BITS = (RELAY, MICROSOFT, GOOGLE, YAHOO, CLOUD, SCANNER)
_PLACE = {bit: 1 << place for place, bit in enumerate(_BITS)}
_PRIVATE = 1 << len(_BITS)


def _settled(byte: int) -> int:
    """What one byte of the rows means.

    Lists of different days overlap where space changed hands. Then the reading wins that is kinder to a person: whoever
    comes through Apple's relay or Microsoft's network gets no cloud's point besides. But a customer of Google's cloud
    is not Google: otherwise anybody could pass for Gmail's image proxy by renting a machine there.
    """
    if byte & _PRIVATE:
        return 0
    bits = PUBLIC_ADDRESS | sum(bit for bit, place in _PLACE.items() if byte & place)
    if bits & (RELAY | MICROSOFT):
        bits &= ~CLOUD
    if bits & CLOUD:
        bits &= ~GOOGLE
    return bits


_SETTLED = tuple(_settled(byte) for byte in range(_PRIVATE * 2))


class Table:
    """Args:
    lists: ranges by the bit of `app.models.signals` that they mean.
    """

    def __init__(self, lists: Mapping[int, Iterable[Span]]) -> None:
        changes: dict[int, dict[int, int]] = {4: defaultdict(int, {0: 0}), 6: defaultdict(int, {0: 0})}
        # Merged ranges of one kind never touch, so each end simply turns its bit over.
        for place, spans in [(_PRIVATE, NOT_PUBLIC), *((_PLACE[bit], lists[bit]) for bit in lists)]:
            for span in merged(spans):
                changes[span.family][span.start] ^= place
                changes[span.family][span.end + 1] ^= place
        self._starts_v4, self._bytes_v4 = _rows(changes[4], 1 << 32)
        self._starts_v6, self._bytes_v6 = _rows(changes[6], 1 << 64)

    def bits(self, address: str) -> int:
        """0 for anything that is not an address of the internet; never raises."""
        parsed = parse_address(address)
        return 0 if parsed is None else self.bits_at(*parsed)

    def bits_at(self, family: int, number: int) -> int:
        """As `bits`, of what `parse_address` made of an address."""
        if family == 4:
            return _SETTLED[self._bytes_v4[bisect_right(self._starts_v4, number) - 1]]
        return _SETTLED[self._bytes_v6[bisect_right(self._starts_v6, number) - 1]]

    def within(self, span: Span) -> Iterator[int]:
        """The bits of each part of a range."""
        starts, found = (self._starts_v4, self._bytes_v4) if span.family == 4 else (self._starts_v6, self._bytes_v6)
        for place in range(bisect_right(starts, span.start) - 1, bisect_right(starts, span.end)):
            yield _SETTLED[found[place]]


def _rows(changes: Mapping[int, int], limit: int) -> tuple[list[int], bytearray]:
    # A list, not an array: that makes a number at every step of a search, which is half of its time.
    starts, found, byte = list[int](), bytearray(), 0
    for start in sorted(changes):
        if start == limit:
            break
        byte ^= changes[start]
        if not found or found[-1] != byte:
            starts.append(start)
            found.append(byte)
    return starts, found

"""What indexes are called: one for each brand and month of recording, so that a month goes at once when it is past.

A dot stands between the parts and in none of them (`brands.yaml` allows letters, digits, `-` and `_` in a brand's id):
no brand's name is the beginning of another's.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from app.lib import clock


class Names:
    """Args:
    prefix: of this deployment; several may share an OpenSearch.
    """

    def __init__(self, prefix: str = "telltale") -> None:
        if not prefix or "." in prefix or "*" in prefix:
            raise ValueError("the prefix of the indexes must be a name without dots")
        self._prefix = prefix

    def template(self, brand_id: str) -> str:
        return f"{self._prefix}.{brand_id}"

    def every(self, brand_id: str) -> str:
        """A pattern for all of a brand's indexes and nobody else's."""
        return f"{self._prefix}.{brand_id}.*"

    def of(self, brand_id: str, recorded_ms: int) -> str:
        moment = clock.from_ms(recorded_ms)
        return f"{self._prefix}.{brand_id}.{moment.year:04d}-{moment.month:02d}"

    def between(self, brand_id: str, since_ms: int, until_ms: int) -> Iterator[str]:
        """The indexes of events recorded from `since_ms` to before `until_ms`."""
        start = since_ms
        while start < until_ms:
            yield self.of(brand_id, start)
            start = _next_month(start)

    def end_ms(self, name: str) -> int:
        """When the month of an index is over."""
        year, month = map(int, name.rpartition(".")[2].split("-"))
        return _next_month(int(datetime(year, month, 1, tzinfo=UTC).timestamp()) * 1000)


def _next_month(ms: int) -> int:
    moment = clock.from_ms(ms)
    year, month = (moment.year + 1, 1) if moment.month == 12 else (moment.year, moment.month + 1)
    return int(datetime(year, month, 1, tzinfo=UTC).timestamp()) * 1000

"""The bytes of a request: of one event as they are, of a batch joined and always the same."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from app.models.delivery import Delivery, Item
from app.webhooks.body import delivery_body
from app.webhooks.payload import SCHEMA

NOW = datetime(2026, 1, 1, 0, 3, 0, 456789, tzinfo=UTC)
BATCH = "bat_01JGFJM0000000000000000001"


def delivery(*bodies: bytes, batch_id: str = "") -> Delivery:
    items = tuple(Item(f"evt_{number}", "message.opened", body) for number, body in enumerate(bodies))
    return Delivery("d", "main", "harbour", items, created_at=NOW, next_attempt_at=NOW, batch_id=batch_id)


def test_one_event_is_sent_as_it_was_stored() -> None:
    assert delivery_body(delivery(b'{ "a": 1 }')) == b'{ "a": 1 }'


def test_a_batch_has_the_form_of_the_contract() -> None:
    expected = (
        f'{{"id":"{BATCH}","type":"events.batch","timestamp":"2026-01-01T00:03:00.456Z","schema":"{SCHEMA}",'
        '"data":{"count":2,"events":[{"id":"evt_0"},{"id":"evt_1"}]}}'
    )
    assert delivery_body(delivery(b'{"id":"evt_0"}', b'{"id":"evt_1"}', batch_id=BATCH)) == expected.encode()


def test_a_batch_of_one_is_a_batch() -> None:
    assert json.loads(delivery_body(delivery(b"{}", batch_id=BATCH)))["data"] == {"count": 1, "events": [{}]}


def test_a_batch_is_the_same_after_its_time_was_stored_in_milliseconds() -> None:
    made = delivery(b"{}", b"{}", batch_id=BATCH)
    stored = Delivery(
        "d", "main", "harbour", made.items, NOW.replace(microsecond=456000), NOW + timedelta(hours=5), BATCH, attempts=3
    )
    assert delivery_body(stored) == delivery_body(made)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.dictionaries(st.text(), inner, max_size=3)
)


@given(st.lists(st.dictionaries(st.text(), JSON, max_size=4), min_size=1, max_size=6), st.booleans())
def test_what_goes_into_a_batch_comes_out_of_it(events: list[dict[str, object]], ascii_only: bool) -> None:
    bodies = [json.dumps(event, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass") for event in events]
    read = json.loads(delivery_body(delivery(*bodies, batch_id=BATCH)).decode("utf-8", "surrogatepass"))
    assert (read["data"]["count"], read["data"]["events"]) == (len(events), events)

"""What SQS is asked to take in one request, and what it is not asked to take."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from app.queues.message import QueueMessage
from app.queues.sqs_batches import MAX_BYTES, MAX_ENTRIES, Entry, batches, entry

PLAIN = QueueMessage("evt_1", 1767225605, "v1,x", "message.opened", "alder", "", b"{}", "msg_7")


@given(st.lists(st.integers(1, MAX_BYTES), max_size=60))
def test_batches_keep_the_order_and_both_limits(sizes: list[int]) -> None:
    entries = [Entry(f"evt_{number}", size, {}) for number, size in enumerate(sizes)]
    made = list(batches(entries))
    assert [one for batch in made for one in batch] == entries
    assert all(1 <= len(batch) <= MAX_ENTRIES for batch in made)
    assert all(sum(one.size for one in batch) <= MAX_BYTES for batch in made)


def test_attributes_count_towards_the_size() -> None:
    found = entry(PLAIN, fifo=False)
    assert found is not None
    room = MAX_BYTES - found.size + len(PLAIN.body)
    assert entry(PLAIN._replace(body=b"x" * room), fifo=False) is not None
    assert entry(PLAIN._replace(body=b"x" * (room + 1)), fifo=False) is None


def test_what_sqs_cannot_carry_is_not_sent() -> None:
    for body in (b"", b"\xff", b"\x00", "\ufffe".encode(), b"a\x1bb"):
        assert entry(PLAIN._replace(body=body), fifo=False) is None, body
    assert entry(PLAIN._replace(body="Straße\t\r\n🎉".encode()), fifo=False) is not None


def test_a_fifo_message_is_grouped_by_its_message_and_known_by_its_webhook_id() -> None:
    found = entry(PLAIN, fifo=True)
    assert found is not None
    assert (found.fields["MessageGroupId"], found.fields["MessageDeduplicationId"]) == ("msg_7", "evt_1")
    alone = entry(PLAIN._replace(group=""), fifo=True)
    assert alone is not None
    assert alone.fields["MessageGroupId"] == "evt_1"
    standard = entry(PLAIN, fifo=False)
    assert standard is not None
    assert not {"MessageGroupId", "MessageDeduplicationId"} & standard.fields.keys()

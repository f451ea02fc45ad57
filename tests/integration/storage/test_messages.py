"""Messages on a real MongoDB: what is sealed, what is left of an erased person, and what of an old message."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from bson import encode
from pymongo.database import Database

from app.models.block import Channel
from app.models.message import Message, Recipient
from app.privacy import Keyring
from app.privacy.recipients import Vault
from app.storage.messages import Messages
from app.storage.recipient_keys import RecipientKeys

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
MARKS = (b"ann", b"lead-7", b"order-9")


def make(keyring: Keyring, number: int, person: str = "ann", **changes: Any) -> Message:
    address = f"{person}@people.example"
    fields = {
        "brand_id": "alder",
        "channel": Channel.EMAIL,
        "recipient": Recipient(address, id=f"contact-{person}", name=f"Name of {person}"),
        "address_hash": keyring.address_hash("alder", Channel.EMAIL, address),
        "created_at": NOW,
        "campaign_id": "spring",
        "list_id": "news",
        "job_source": "crm",
        "metadata": {"lead": "lead-7"},
        "values": {"order": "order-9"},
    }
    return Message(number=number, **{**fields, **changes})


def old_style(keyring: Keyring, message: Message) -> dict[str, Any]:
    """A message as it was stored before persons had keys."""
    recipient = message.recipient
    personal = {"a": recipient.address, "i": recipient.id, "n": recipient.name, "m": dict(message.metadata)}
    return {
        "_id": message.number,
        "b": message.brand_id,
        "ch": message.channel.value,
        "h": message.address_hash,
        "at": message.created_at,
        "c": message.campaign_id,
        "p": keyring.seal(message.brand_id, "message", orjson.dumps(personal)),
    }


def without_key(found: Message | None) -> Message:
    assert found is not None
    assert found.key_id
    return replace(found, key_id=b"")


def test_a_message_is_stored_once_and_nothing_of_the_person_is_to_be_seen(
    messages: Messages, keyring: Keyring, database: Database[dict[str, Any]]
) -> None:
    made = [make(keyring, 100), make(keyring, 107, "ben")]
    messages.insert_many(made)
    messages.insert_many([replace(made[0], list_id="other"), make(keyring, 114)])
    found = messages.get_many([100, 107, 114, 121])
    assert [without_key(found[number]) for number in (100, 107)] == made
    assert sorted(found) == [100, 107, 114]
    assert found[100].key_id == found[114].key_id != found[107].key_id
    raw = b"".join(encode(row) for name in database.list_collection_names() for row in database[name].find({}))
    assert not any(mark in raw for mark in MARKS)


def test_a_person_whose_key_is_gone_is_erased_in_every_answer(
    messages: Messages, keyring: Keyring, recipient_keys: RecipientKeys
) -> None:
    ann, ben = make(keyring, 100), make(keyring, 107, "ben")
    messages.insert_many([ann, ben])
    assert messages.values_of(100) == {"order": "order-9"}
    recipient_keys.delete("alder", ann.address_hash)
    found = messages.get_many([100, 107])
    assert found[100].erased
    assert not any((found[100].recipient.address, found[100].address_hash, found[100].metadata, found[100].key_id))
    assert without_key(found[107]) == ben
    assert messages.values_of(100) is None
    assert messages.values_of(999) is None


def test_a_person_who_registers_again_gets_a_new_key_and_old_messages_stay_closed(
    messages: Messages, keyring: Keyring, recipient_keys: RecipientKeys
) -> None:
    messages.insert_many([make(keyring, 100)])
    recipient_keys.delete("alder", make(keyring, 100).address_hash)
    messages.insert_many([make(keyring, 107)])
    found = messages.get_many([100, 107])
    assert (found[100].erased, found[107].erased) == (True, False)


def test_a_persons_messages_come_in_pages_and_can_be_forgotten(messages: Messages, keyring: Keyring) -> None:
    made = [make(keyring, number) for number in range(100, 110)]
    messages.insert_many([*made, make(keyring, 200, "ben"), make(keyring, 201, brand_id="birch")])
    ann = made[0].address_hash
    first = messages.of_recipient("alder", ann, limit=6)
    rest = messages.of_recipient("alder", ann, after=first[-1].number, limit=6)
    assert [message.number for message in first + rest] == list(range(109, 99, -1))
    assert messages.forget([message.number for message in first + rest]) == 10
    assert messages.of_recipient("alder", ann) == []
    assert all(message.erased for message in messages.get_many(range(100, 110)).values())
    assert messages.hash_of(100) is None
    assert not messages.get_many([200])[200].erased
    assert messages.forget([]) == 0


def test_of_a_forgotten_message_only_what_points_to_nobody_is_left(
    messages: Messages, keyring: Keyring, database: Database[dict[str, Any]]
) -> None:
    messages.insert_many([make(keyring, 100)])
    messages.forget([100])
    assert database["messages"].find_one({}) == {"_id": 100, "b": "alder", "ch": "email", "at": NOW, "x": True}


def test_an_erased_persons_messages_are_found_after_the_key_is_gone(
    messages: Messages, keyring: Keyring, recipient_keys: RecipientKeys
) -> None:
    made = make(keyring, 100)
    messages.insert_many([made])
    recipient_keys.delete("alder", made.address_hash)
    assert [message.number for message in messages.of_recipient("alder", made.address_hash)] == [100]


def test_past_retention_the_hash_stays_so_that_an_unsubscribe_finds_whom(
    messages: Messages, keyring: Keyring, database: Database[dict[str, Any]]
) -> None:
    old, new = NOW - timedelta(days=400), NOW
    messages.insert_many([make(keyring, 100 + number, created_at=old) for number in range(5)])
    messages.insert_many([make(keyring, 200, created_at=new), make(keyring, 300, brand_id="birch", created_at=old)])
    database["messages"].insert_one(old_style(keyring, make(keyring, 50, created_at=old)))
    before = NOW - timedelta(days=365)
    assert [messages.strip_older_than("alder", before, 4) for _ in range(3)] == [4, 2, 0]
    ann = make(keyring, 100)
    row = database["messages"].find_one({"_id": 100})
    assert row == {"_id": 100, "b": "alder", "ch": "email", "at": old, "h": ann.address_hash, "l": "news"}
    assert messages.hash_of(100) == messages.hash_of(50) == ann.address_hash
    assert messages.get_many([100])[100].erased
    assert not messages.get_many([200])[200].erased
    assert not messages.get_many([300])[300].erased


def test_messages_of_before_persons_had_keys_are_read_and_erased_like_others(
    messages: Messages, keyring: Keyring, database: Database[dict[str, Any]], recipient_keys: RecipientKeys
) -> None:
    plain = make(keyring, 100, list_id=None, job_source=None, values={})
    database["messages"].insert_one(old_style(keyring, plain))
    messages.insert_many([make(keyring, 107)])
    found = messages.get_many([100, 107])
    assert found[100] == plain
    assert without_key(found[107]) == make(keyring, 107)
    recipient_keys.delete("alder", plain.address_hash)
    messages.forget([message.number for message in messages.of_recipient("alder", plain.address_hash)])
    assert [message.erased for message in messages.get_many([100, 107]).values()] == [True, True]
    assert "p" not in (database["messages"].find_one({"_id": 100}) or {})


def test_killed_between_key_and_message_nothing_is_wrong(
    messages: Messages, keyring: Keyring, vault: Vault, recipient_keys: RecipientKeys
) -> None:
    made = make(keyring, 100)
    vault.seal_many("alder", "message", [(made.address_hash, b"this process dies now")])
    (left,) = recipient_keys.find_by_hash("alder", [made.address_hash])
    messages.insert_many([made])
    assert messages.get_many([100])[100].key_id == left.id


def test_work_for_retention_and_for_old_messages_is_found_by_index(
    messages: Messages, keyring: Keyring, database: Database[dict[str, Any]]
) -> None:
    messages.insert_many([make(keyring, number) for number in range(20)])
    for field, index in (("s", "kept"), ("p", "old_style")):
        query = {"b": {"$eq": "alder"}, "at": {"$lt": NOW}, field: {"$exists": True}}
        plan = database["messages"].find(query).explain()["queryPlanner"]["winningPlan"]
        assert plan["inputStage"]["indexName"] == index


@pytest.mark.parametrize("number", [0, 1 << 62])
def test_a_number_that_is_not_there_has_no_hash(messages: Messages, number: int) -> None:
    assert messages.hash_of(number) is None

"""What every store of persons' keys must do; run over MongoDB and over memory."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest

from app.models.recipient_key import RecipientKey
from app.privacy.memory import MemoryRecipientKeys
from app.storage.recipient_keys import RecipientKeys

Store = RecipientKeys | MemoryRecipientKeys
NOW = datetime(2026, 1, 1, tzinfo=UTC)
ANN, BEN = (hashlib.sha256(name).hexdigest() for name in (b"ann", b"ben"))


@pytest.fixture(params=["mongo", "memory"])
def store(request: pytest.FixtureRequest) -> Store:
    if request.param == "memory":
        return MemoryRecipientKeys()
    database = request.getfixturevalue("database")
    database["recipient_keys"].create_indexes(list(RecipientKeys.INDEXES))
    return RecipientKeys(database)


def key(number: int = 1, brand_id: str = "acme", person: str = ANN, kn: int = 1) -> RecipientKey:
    return RecipientKey(number.to_bytes(12, "big"), brand_id, person, kn, bytes([number]) * 63)


def test_nobody_has_a_key_at_first(store: Store) -> None:
    assert store.find_by_hash("acme", [ANN, BEN]) == []
    assert store.find([key().id]) == []
    assert store.find([]) == []


def test_what_is_inserted_is_found_unchanged_by_person_and_by_id(store: Store) -> None:
    keys = [key(1), key(2, person=BEN), key(3, "birch")]
    assert store.insert(keys, NOW) == set()
    assert sorted(store.find_by_hash("acme", [ANN, BEN])) == keys[:2]
    assert store.find_by_hash("birch", [ANN, BEN]) == [keys[2]]
    assert sorted(store.find([keys[0].id, keys[2].id, bytes(12)])) == [keys[0], keys[2]]


def test_a_person_keeps_the_first_key_and_the_second_comer_is_told(store: Store) -> None:
    store.insert([key(1)], NOW)
    assert store.insert([key(2, person=BEN), key(3)], NOW) == {1}
    assert sorted(store.find_by_hash("acme", [ANN, BEN])) == [key(1), key(2, person=BEN)]


def test_of_many_that_insert_at_once_one_wins(store: Store) -> None:
    with ThreadPoolExecutor(8) as pool:
        taken = list(pool.map(lambda number: store.insert([key(number)], NOW), range(1, 9)))
    assert sorted(map(len, taken)) == [0, *[1] * 7]
    assert store.find_by_hash("acme", [ANN]) == [key(taken.index(set()) + 1)]


def test_a_deleted_key_is_gone_and_nobody_elses(store: Store) -> None:
    store.insert([key(1), key(2, person=BEN), key(3, "birch")], NOW)
    assert store.delete("acme", ANN) is True
    assert store.delete("acme", ANN) is False
    assert store.find_by_hash("acme", [ANN, BEN]) == [key(2, person=BEN)]
    assert store.find([key(1).id]) == []
    assert store.find_by_hash("birch", [ANN]) == [key(3, "birch")]

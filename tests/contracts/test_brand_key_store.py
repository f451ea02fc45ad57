"""What every store of brand keys must do; run over MongoDB and over memory."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest

from app.models.brand_key import BrandKey, KeyKind
from app.privacy.memory import MemoryBrandKeys
from app.storage.brand_keys import BrandKeys

Store = BrandKeys | MemoryBrandKeys


@pytest.fixture(params=["mongo", "memory"])
def store(request: pytest.FixtureRequest) -> Store:
    return BrandKeys(request.getfixturevalue("database")) if request.param == "mongo" else MemoryBrandKeys()


def key(brand_id: str = "acme", kind: KeyKind = KeyKind.DATA, number: int = 1, byte: int = 7) -> BrandKey:
    return BrandKey(brand_id, kind, number, "k1", bytes([byte]) * 60, datetime(2026, 1, 1, tzinfo=UTC))


def test_a_brand_without_keys_has_none(store: Store) -> None:
    assert list(store.find("acme")) == []


def test_what_is_added_is_found_unchanged(store: Store) -> None:
    assert store.add(key()) == key()
    assert list(store.find("acme")) == [key()]


def test_the_first_key_stays_and_the_second_comer_gets_it(store: Store) -> None:
    store.add(key(byte=1))
    assert store.add(key(byte=2)) == key(byte=1)
    assert list(store.find("acme")) == [key(byte=1)]


def test_kinds_numbers_and_brands_are_apart(store: Store) -> None:
    keys = [key(), key(kind=KeyKind.INDEX), key(number=2), key(brand_id="acme-2")]
    for each in keys:
        assert store.add(each) == each
    assert sorted(store.find("acme"), key=repr) == sorted(keys[:3], key=repr)
    assert list(store.find("acme-2")) == [keys[3]]


def test_many_that_add_at_once_all_get_the_same_key(store: Store) -> None:
    for number in range(1, 11):
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda byte, n=number: store.add(key(number=n, byte=byte)), range(8)))
        assert len(set(answers)) == 1
        assert answers[0] in store.find("acme")


def test_all_brands_keys_of_one_kind_are_found_together(store: Store) -> None:
    tokens = [key(kind=KeyKind.TOKEN), key(kind=KeyKind.TOKEN, number=2), key("birch", KeyKind.TOKEN)]
    for each in (*tokens, key(), key(kind=KeyKind.INDEX)):
        store.add(each)
    assert sorted(store.find_all(KeyKind.TOKEN), key=repr) == sorted(tokens, key=repr)


def test_a_removed_key_is_gone_and_nothing_else(store: Store) -> None:
    keys = [key(kind=KeyKind.TOKEN, number=number) for number in (1, 2)]
    others = [key("acme-2", KeyKind.TOKEN), key()]
    for each in (*keys, *others):
        store.add(each)
    assert store.remove("acme", KeyKind.TOKEN, 1) is True
    assert list(store.find_all(KeyKind.TOKEN)) == [keys[1], others[0]]
    assert sorted(store.find("acme"), key=repr) == sorted([keys[1], others[1]], key=repr)


def test_removing_what_is_not_there_says_so_and_changes_nothing(store: Store) -> None:
    store.add(key(kind=KeyKind.TOKEN))
    assert store.remove("acme", KeyKind.TOKEN, 2) is False
    assert store.remove("acme", KeyKind.INDEX, 1) is False
    assert store.remove("nobody", KeyKind.TOKEN, 1) is False
    assert list(store.find_all(KeyKind.TOKEN)) == [key(kind=KeyKind.TOKEN)]


def test_a_key_is_wrapped_anew_once_and_only_from_the_form_that_is_there(store: Store) -> None:
    old, new, other = key(byte=1), key(byte=2), key(byte=3)
    store.add(old)
    store.add(key(number=2))
    assert store.renew(old, new) is True
    assert store.renew(old, other) is False
    assert sorted(store.find("acme"), key=repr) == sorted([new, key(number=2)], key=repr)
    assert store.renew(key("nobody"), key("nobody", byte=9)) is False

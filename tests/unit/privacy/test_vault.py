"""The vault over stores in memory: each person's key opens that person's values and nothing else."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.models.recipient_key import RecipientKey
from app.privacy import Keyring, SealBroken
from app.privacy.memory import MemoryBrandKeys, MemoryRecipientKeys
from app.privacy.recipients import Vault

MASTER = ("k1", bytes(range(32)))
ANN, BEN = (hashlib.sha256(name).hexdigest() for name in (b"ann", b"ben"))
TEXT = b"Ann Lee <ann@shop.example>"


class CountingKeys(MemoryRecipientKeys):
    """Counts the questions."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []

    def find_by_hash(self, brand_id: str, hashes: Iterable[str]) -> list[RecipientKey]:
        self.asked.append("find_by_hash")
        return super().find_by_hash(brand_id, hashes)

    def find(self, key_ids: Iterable[bytes]) -> list[RecipientKey]:
        self.asked.append("find")
        return super().find(key_ids)


@pytest.fixture
def keys() -> CountingKeys:
    return CountingKeys()


@pytest.fixture
def keyring() -> Keyring:
    return Keyring([MASTER], MemoryBrandKeys())


@pytest.fixture
def vault(keyring: Keyring, keys: CountingKeys) -> Vault:
    return Vault(keyring, keys)


def test_what_is_sealed_opens_again_and_each_person_has_one_key(vault: Vault, keys: CountingKeys) -> None:
    sealed = vault.seal_many("acme", "message", [(ANN, b"1"), (BEN, b"2"), (ANN, b"3")])
    assert vault.open_many("message", [("acme", raw) for raw in sealed]) == [b"1", b"2", b"3"]
    ann, ben, again = map(vault.key_id_of, sealed)
    assert ann == again != ben
    assert sorted(len(key.wrapped) for key in keys.find([ann, ben])) == [63, 63]


def test_a_thousand_values_take_one_question(vault: Vault, keys: CountingKeys) -> None:
    people = [hashlib.sha256(b"%d" % number).hexdigest() for number in range(1000)]
    sealed = vault.seal_many("acme", "message", [(person, TEXT) for person in people])
    assert keys.asked == ["find_by_hash"]
    assert vault.open_many("message", [("acme", raw) for raw in sealed]) == [TEXT] * 1000
    assert keys.asked == ["find_by_hash", "find"]


def test_a_person_without_a_key_is_erased_and_nobody_else(vault: Vault, keys: CountingKeys) -> None:
    sealed = vault.seal_many("acme", "message", [(ANN, b"1"), (BEN, b"2")])
    keys.delete("acme", ANN)
    assert vault.open_many("message", [("acme", raw) for raw in sealed]) == [None, b"2"]


def test_a_person_who_comes_back_gets_a_new_key_and_the_old_values_stay_closed(
    vault: Vault, keys: CountingKeys
) -> None:
    (old,) = vault.seal_many("acme", "message", [(ANN, b"old")])
    keys.delete("acme", ANN)
    (new,) = vault.seal_many("acme", "message", [(ANN, b"new")])
    assert vault.open_many("message", [("acme", old), ("acme", new)]) == [None, b"new"]
    assert vault.seal_under("delivery", [("acme", vault.key_id_of(old), b"derived")]) == [None]


def test_what_is_derived_goes_under_the_same_key_and_never_makes_one(vault: Vault, keys: CountingKeys) -> None:
    (message,) = vault.seal_many("acme", "message", [(ANN, TEXT)])
    derived = vault.seal_under("delivery", [("acme", vault.key_id_of(message), b"body"), ("acme", b"", b"nobody's")])
    assert [vault.key_id_of(raw or b"") for raw in derived] == [vault.key_id_of(message), b""]
    assert vault.open_many("delivery", [("acme", raw or b"") for raw in derived]) == [b"body", b"nobody's"]
    keys.delete("acme", ANN)
    assert vault.seal_under("delivery", [("acme", vault.key_id_of(message), b"body")]) == [None]
    assert keys.find_by_hash("acme", [ANN]) == []


def test_a_key_belongs_to_its_brand(vault: Vault, keys: CountingKeys, keyring: Keyring) -> None:
    (sealed,) = vault.seal_many("acme", "message", [(ANN, TEXT)])
    assert vault.seal_under("message", [("birch", vault.key_id_of(sealed), TEXT)]) == [None]
    assert vault.open_many("message", [("birch", sealed)]) == [None]
    # Even when somebody with access to the store gives the key to the other brand.
    (stolen,) = keys.find([vault.key_id_of(sealed)])
    thief = MemoryRecipientKeys()
    thief.insert([stolen._replace(brand_id="birch")], vault._now())
    with pytest.raises(SealBroken):
        Vault(keyring, thief).open_many("message", [("birch", sealed)])


def test_a_swapped_key_or_purpose_does_not_open(vault: Vault, keys: CountingKeys, keyring: Keyring) -> None:
    sealed = vault.seal_many("acme", "message", [(ANN, b"1"), (BEN, b"2")])
    with pytest.raises(SealBroken):
        vault.open_many("delivery", [("acme", sealed[0])])
    ann, ben = (key for raw in sealed for key in keys.find([vault.key_id_of(raw)]))
    swapped = MemoryRecipientKeys()
    swapped.insert([ann._replace(wrapped=ben.wrapped), ben._replace(wrapped=ann.wrapped)], vault._now())
    with pytest.raises(SealBroken):
        Vault(keyring, swapped).open_many("message", [("acme", sealed[0])])


@given(st.data())
def test_one_changed_bit_never_opens(data: st.DataObject) -> None:
    vault = Vault(Keyring([MASTER], MemoryBrandKeys()), MemoryRecipientKeys())
    (sealed,) = vault.seal_many("acme", "message", [(ANN, TEXT)])
    bit = data.draw(st.integers(0, len(sealed) * 8 - 1))
    changed = bytearray(sealed)
    changed[bit // 8] ^= 1 << bit % 8
    try:
        assert vault.open_many("message", [("acme", bytes(changed))]) == [None], "another key's id: nobody's"
        assert 8 <= bit < 8 * 13
    except SealBroken:
        assert not 8 <= bit < 8 * 13


@given(st.binary(max_size=60))
def test_garbage_is_a_broken_seal_or_nobodys(raw: bytes) -> None:
    vault = Vault(Keyring([MASTER], MemoryBrandKeys()), MemoryRecipientKeys())
    vault.seal_many("acme", "message", [(ANN, TEXT)])
    try:
        assert vault.open_many("message", [("acme", raw)]) == [None]
        assert raw[0] == 3
        assert len(raw) >= 41
    except SealBroken:
        assert raw[:1] != b"\x03" or len(raw) < 41


def test_values_of_before_persons_had_keys_still_open(vault: Vault, keyring: Keyring) -> None:
    old = keyring.seal("acme", "message", TEXT)
    (new,) = vault.seal_many("acme", "message", [(ANN, b"new")])
    assert vault.open_many("message", [("acme", old), ("acme", new), ("acme", old)]) == [TEXT, b"new", TEXT]
    assert (vault.number_of(old), vault.number_of(new)) == (1, 0)


def test_nothing_to_do_asks_nobody(vault: Vault, keys: CountingKeys) -> None:
    assert vault.seal_many("acme", "message", []) == []
    assert vault.open_many("message", []) == []
    assert vault.seal_under("message", []) == []
    assert "find" not in keys.asked


def test_threads_that_meet_a_person_at_once_end_with_one_key(vault: Vault) -> None:
    barrier = threading.Barrier(8)
    sealed: list[bytes] = []

    def use() -> None:
        barrier.wait(10)
        sealed.extend(vault.seal_many("acme", "message", [(ANN, TEXT)]))

    threads = [threading.Thread(target=use) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert len({vault.key_id_of(raw) for raw in sealed}) == 1
    assert vault.open_many("message", [("acme", raw) for raw in sealed]) == [TEXT] * 8


def test_a_key_does_not_show_in_its_text(vault: Vault, keys: CountingKeys) -> None:
    vault.seal_many("acme", "message", [(ANN, TEXT)])
    (key,) = keys.find_by_hash("acme", [ANN])
    assert ANN not in repr(key)
    assert key.wrapped.hex() not in repr(key)
    assert repr(key.wrapped) not in repr(key)

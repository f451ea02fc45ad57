"""Token keys over a store in memory: rotation with overlap, retirement, and opening that never waits for the store."""

from __future__ import annotations

import base64
import threading
import time

import pytest

from app.errors import ConfigurationError, StoreUnavailable
from app.lib import clock
from app.models.brand_key import BrandKey, KeyKind
from app.privacy.key_wrap import MasterKeys
from app.privacy.token_keys import Refusal, TokenKeys
from app.tracking.tokens import ContentRefused, TokenContent, TokenKey, open_token, seal_token
from tests.unit.privacy.token_processes import (
    CLICK,
    CONTENT,
    NEW,
    OLD,
    OPEN,
    Process,
    Store,
    eventually,
    token_of,
)


def test_a_brand_gets_its_key_when_it_first_mints_and_not_before(process: Process, store: Store) -> None:
    keys = process()
    assert keys.open("alder", OPEN, "AQAB" + "x" * 40) is None
    assert keys.keys_of() == []
    assert store.find("alder") == []
    token = token_of(keys)
    assert keys.open("alder", OPEN, token) == CONTENT
    assert [(key.kind, key.number, len(key.wrapped)) for key in store.find("alder")] == [
        (KeyKind.TOKEN, 1, 12 + 64 + 16)
    ]
    assert store.find("birch") == []
    with pytest.raises(ContentRefused):
        keys.seal_many("alder", OPEN, [TokenContent()])


def test_why_a_token_does_not_open_is_told_apart(process: Process) -> None:
    keys = process()
    token = token_of(keys)
    token_of(keys, "birch")
    assert keys.check("alder", OPEN, token) == CONTENT
    assert keys.check("alder", OPEN, token + "=") is Refusal.MALFORMED
    assert keys.check("alder", OPEN, "") is Refusal.MALFORMED
    assert keys.check("alder", CLICK, token) is Refusal.NOT_OURS
    assert keys.check("birch", OPEN, token) is Refusal.NOT_OURS
    assert keys.check("cedar", OPEN, token) is Refusal.UNKNOWN_KEY
    assert keys.check("alder", OPEN, "AQAJ" + token[4:]) is Refusal.UNKNOWN_KEY
    assert keys.check("alder", OPEN, "AQAA" + token[4:]) is Refusal.UNKNOWN_KEY


def test_one_changed_bit_does_not_open_with_any_key_of_the_brand(process: Process) -> None:
    keys = process()
    token_of(keys)
    for _ in range(7):
        keys.rotate("alder")
    token = token_of(keys)
    raw = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
    assert len(keys.keys_of("alder")) == 8
    for bit in range(len(raw) * 8):
        changed = bytearray(raw)
        changed[bit // 8] ^= 1 << bit % 8
        assert keys.open("alder", OPEN, base64.urlsafe_b64encode(changed).decode().rstrip("=")) is None


def test_a_token_of_a_moment_ago_opens_in_every_process(process: Process) -> None:
    minting, front = process(), process()
    assert front.open("alder", OPEN, token_of(minting)) == CONTENT
    assert front.open("birch", OPEN, token_of(minting, "birch")) == CONTENT
    minting.rotate("cedar")
    assert front.open("cedar", OPEN, token_of(minting, "cedar")) == CONTENT


def test_after_a_rotation_the_new_key_seals_and_the_old_one_still_opens(process: Process) -> None:
    keys, front = process(), process()
    old = token_of(keys)
    assert front.open("alder", OPEN, old) == CONTENT
    assert keys.rotate("alder") == 2
    new = token_of(keys)
    assert (old[:4], new[:4]) == ("AQAB", "AQAC")
    for process_ in (keys, front):
        assert process_.open("alder", OPEN, old) == CONTENT
        assert process_.open("alder", OPEN, new) == CONTENT
    assert [(key.number, key.current) for key in keys.keys_of("alder")] == [(1, False), (2, True)]
    fresh = process()
    assert token_of(fresh) == new
    assert fresh.open("alder", OPEN, old) == CONTENT


def test_a_retired_key_opens_nothing_here_at_once_and_elsewhere_at_the_next_look(process: Process) -> None:
    keys, front = process(), process(seconds=0.05)
    old = token_of(keys)
    eventually(lambda: front.open("alder", OPEN, old) == CONTENT)
    keys.rotate("alder")
    new = token_of(keys)
    assert keys.retire("alder", 1) is True
    assert keys.check("alder", OPEN, old) is Refusal.UNKNOWN_KEY
    eventually(lambda: front.check("alder", OPEN, old) is Refusal.UNKNOWN_KEY)
    eventually(lambda: front.open("alder", OPEN, new) == CONTENT)
    assert keys.retire("alder", 1) is False
    assert keys.retire("birch", 1) is False


def test_the_newest_key_cannot_be_retired_and_numbers_are_never_used_again(process: Process, store: Store) -> None:
    keys = process()
    token_of(keys)
    with pytest.raises(ValueError, match="rotate first"):
        keys.retire("alder", 1)
    assert keys.rotate("alder") == 2
    keys.retire("alder", 1)
    with pytest.raises(ValueError, match="rotate first"):
        keys.retire("alder", 2)
    assert keys.rotate("alder") == 3
    assert [key.number for key in store.find("alder")] == [2, 3]


def test_a_brand_that_never_minted_can_be_rotated_and_exported(process: Process) -> None:
    keys = process()
    assert keys.rotate("alder") == 1
    number, secret = keys.export("birch")
    assert (number, len(secret)) == (1, 64)
    assert keys.export("birch") == (number, secret)
    keys.rotate("birch")
    later = keys.export("birch")
    assert later[0] == 2
    assert later[1] != secret


def test_keys_differ_by_brand_and_number(process: Process) -> None:
    keys = process()
    secrets = {keys.export(name)[1] for name in ("alder", "birch")}
    keys.rotate("alder")
    secrets.add(keys.export("alder")[1])
    assert len(secrets) == 3


def test_a_flood_of_forged_tokens_causes_no_look_at_the_store(process: Process, store: Store) -> None:
    keys = process()
    token = token_of(keys)
    before = store.looks
    for number in range(3000):
        forged = bytes((1, number >> 8, number & 255)) + bytes(39)
        assert keys.open("alder", OPEN, base64.urlsafe_b64encode(forged).decode()) is None
    assert store.looks - before <= 1, "only number 2 could be a new key, and is looked for once"
    before = store.looks
    start = time.monotonic()
    while time.monotonic() - start < 0.5:
        assert keys.open("alder", OPEN, "AQAC" + token[4:]) is None
    assert store.looks - before <= 1


def test_what_is_known_opens_while_the_store_is_away(process: Process, store: Store) -> None:
    front = process(seconds=0.02)
    token = token_of(process())
    eventually(lambda: front.open("alder", OPEN, token) == CONTENT)
    store.away = True
    looks = store.looks
    eventually(lambda: store.looks > looks + 3)
    assert front.open("alder", OPEN, token) == CONTENT
    assert front.seal_many("alder", OPEN, [CONTENT]) == [token]
    with pytest.raises(StoreUnavailable):
        front.seal_many("birch", OPEN, [CONTENT])
    with pytest.raises(StoreUnavailable):
        front.rotate("alder")
    store.away = False
    other = token_of(process(), "birch")
    eventually(lambda: front.open("birch", OPEN, other) == CONTENT)


def test_opening_does_not_wait_for_a_store_that_hangs(process: Process, store: Store) -> None:
    front = process()
    token = token_of(front)
    unknown = "AQAC" + token[4:]
    store.free.clear()
    done = threading.Event()

    def use() -> None:
        for _ in range(5000):
            assert front.open("alder", OPEN, token) == CONTENT
            assert front.open("alder", OPEN, unknown) is None
            assert front.open("birch", OPEN, token) is None
        done.set()

    threading.Thread(target=use, daemon=True).start()
    # Half a second for the one look that is waited for; a minute is what each would take otherwise.
    assert done.wait(30)
    assert store.looks >= 2


def test_one_brands_unusable_key_leaves_the_others_alone(process: Process, store: Store) -> None:
    token_of(process(), "alder")
    good = token_of(process(masters=[NEW, OLD]), "birch")
    keys = process(masters=[NEW])
    assert keys.open("birch", OPEN, good) == CONTENT
    with pytest.raises(ConfigurationError, match="brand alder: its token key 1 cannot be unwrapped"):
        keys.seal_many("alder", OPEN, [CONTENT])


def test_a_key_that_was_stolen_from_another_brand_does_not_open(process: Process, store: Store) -> None:
    token = token_of(process())
    stolen = store.find("alder")[0]
    store.add(BrandKey("thief", KeyKind.TOKEN, 1, "k1", stolen.wrapped, stolen.created_at))
    assert process().open("thief", OPEN, token) is None


def test_a_key_wrapped_anew_stays_the_same_key(process: Process, store: Store) -> None:
    keys = process(masters=[NEW, OLD])
    store.add(MasterKeys([OLD]).wrap("alder", KeyKind.TOKEN, 1, bytes(range(64)), clock.now()))
    token = token_of(keys)
    store.remove("alder", KeyKind.TOKEN, 1)
    store.add(MasterKeys([NEW]).wrap("alder", KeyKind.TOKEN, 1, bytes(range(64)), clock.now()))
    keys.refresh()
    assert keys.open("alder", OPEN, token) == CONTENT
    assert [key.master_key_id for key in keys.keys_of("alder")] == ["k2"]


def test_recorded_hits_of_new_keys_are_found_with_one_look(process: Process, store: Store) -> None:
    ingest, minting = process(), process()
    tokens = [token_of(minting, brand_id) for brand_id in ("alder", "birch", "cedar")]
    minting.rotate("alder")
    minting.rotate("alder")
    tokens.append(token_of(minting))
    hits = [("alder", tokens[0]), ("birch", tokens[1]), ("cedar", tokens[2]), ("alder", tokens[3]), ("alder", "AQAB")]
    before = store.looks
    found = ingest.open_recorded([(brand_id, OPEN, token) for brand_id, token in hits])
    assert found == [CONTENT, CONTENT, CONTENT, CONTENT, None]
    assert store.looks == before + 1
    assert ingest.open_recorded([("birch", OPEN, tokens[0]), ("alder", CLICK, tokens[0])]) == [None, None]
    assert store.looks == before + 1, "known keys need no look"
    assert ingest.open_recorded([]) == []


def test_recorded_hits_are_not_given_up_while_the_store_is_away(process: Process, store: Store) -> None:
    ingest, minting = process(), process()
    old = token_of(minting)
    ingest.refresh()
    minting.rotate("alder")
    new = token_of(minting)
    store.away = True
    assert ingest.open_recorded([("alder", OPEN, old)]) == [CONTENT]
    with pytest.raises(StoreUnavailable):
        ingest.open_recorded([("alder", OPEN, old), ("alder", OPEN, new)])
    store.away = False
    assert ingest.open_recorded([("alder", OPEN, new)]) == [CONTENT]


def test_processes_that_make_the_first_key_at_once_end_with_one(process: Process, store: Store) -> None:
    processes = [process() for _ in range(6)]
    barrier = threading.Barrier(6)
    tokens: set[str] = set()

    def use(keys: TokenKeys) -> None:
        barrier.wait(10)
        tokens.add(token_of(keys))

    threads = [threading.Thread(target=use, args=(keys,)) for keys in processes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert len(tokens) == 1
    assert len(store.find("alder")) == 1


def test_two_rotations_at_once_leave_a_key_that_everybody_has(process: Process) -> None:
    one, two = process(), process()
    token_of(one)
    with_two = [threading.Thread(target=keys.rotate, args=("alder",)) for keys in (one, two)]
    for thread in with_two:
        thread.start()
    for thread in with_two:
        thread.join(20)
    newest = max(key.number for key in one.keys_of("alder"))
    assert newest in (2, 3)
    assert two.keys_of("alder") == one.keys_of("alder")
    assert two.open("alder", OPEN, token_of(one)) == CONTENT


def test_numbers_end_at_65535(process: Process, store: Store) -> None:
    store.add(MasterKeys([OLD]).wrap("alder", KeyKind.TOKEN, 65535, bytes(64), clock.now()))
    keys = process()
    token = token_of(keys)
    assert token.startswith("Af__")
    assert keys.open("alder", OPEN, token) == CONTENT
    with pytest.raises(ConfigurationError, match="no more numbers"):
        keys.rotate("alder")


def test_what_is_exported_makes_the_same_tokens(process: Process) -> None:
    keys = process()
    number, secret = keys.export("alder")
    assert seal_token(TokenKey(number, secret), "alder", OPEN, CONTENT) == token_of(keys)
    assert open_token(TokenKey(number, secret), "alder", OPEN, token_of(keys)) == CONTENT


def test_nothing_secret_is_shown_when_it_is_printed(process: Process) -> None:
    keys = process()
    token_of(keys)
    assert "wrapped" not in repr(keys._snapshot)
    assert "aead" not in repr(keys._snapshot)


def test_its_thread_ends_when_it_is_closed(process: Process, store: Store) -> None:
    keys = process(seconds=0.01)
    keys.close()
    looks = store.looks
    assert keys.open("alder", OPEN, "AQAB" + "x" * 40) is None
    time.sleep(0.1)
    assert store.looks == looks

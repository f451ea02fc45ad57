"""Whoever was erased is nowhere any more: not for somebody with every other key, and not in a copy made before.

The attacker of these tests has the database (now, or a backup of before), every file, and every key of the deployment
and the brands; only the erased person's own key is gone. A control shows that such an attacker finds everybody else.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import pytest
from bson import encode as bson_encode
from pymongo.database import Database

from app.errors import PermanentError
from app.models.block import Channel
from app.services import Services, build_services
from config.settings import load_settings
from local.stack import Stack
from tests.end_to_end import places
from tests.end_to_end.client import Client, eventually
from tests.end_to_end.marks import Marks, look
from tests.end_to_end.receiver import Receiver

CAMPAIGN = "erasure"
BACKUP = "restored"
_PURPOSES = ("message", "event", "delivery", "block", "endpoint")


class Attacker:
    """Opens whatever can be opened in a database with all keys that are in it."""

    def __init__(self, stack: Stack, database_name: str) -> None:
        secrets, info = stack.folder.secrets, stack.run_info
        settings = load_settings(
            {
                "TELLTALE_MONGO_URL": info.mongo_url,
                "TELLTALE_MONGO_DATABASE": database_name,
                "TELLTALE_REDIS_URL": info.redis_url,
                "TELLTALE_CODE_KEY_FILE": str(secrets / "code_key"),
                "TELLTALE_MASTER_KEYS_FILE": str(secrets / "master_keys"),
                "TELLTALE_STATE_DIR": str(stack.folder.path / "attacker"),
                "TELLTALE_BRANDS_FILE": str(stack.folder.path.parent / "brands.yaml"),
                "TELLTALE_SECRETS_DIR": str(secrets),
                "TELLTALE_WEBHOOK_ALLOW_HTTP": "true",
                "TELLTALE_WEBHOOK_ALLOW_NETWORKS": "127.0.0.0/8",
            }
        )
        self._services: Services = build_services(settings, role="cli")
        self._database = self._services.database
        self._brands = [brand.id for brand in self._services.brands.all()]

    def close(self) -> None:
        self._services.close()

    def everything(self) -> Iterator[tuple[str, bytes]]:
        """Each document as it is, and all that could be opened of it."""
        for name in self._database.list_collection_names():
            for document in self._database[name].find():
                yield name, bson_encode(document)
                for value in _bytes_in(document):
                    yield from ((f"{name}, opened", text) for text in self._opened(value))

    def _opened(self, value: bytes) -> Iterator[bytes]:
        for brand in self._brands:
            for purpose in _PURPOSES:
                with suppress(PermanentError):
                    yield self._services.keyring.open(brand, purpose, value)
                with suppress(PermanentError):
                    yield from (text for text in self._services.vault.open_many(purpose, [(brand, value)]) if text)


def _bytes_in(value: Any) -> Iterator[bytes]:
    if isinstance(value, bytes):
        yield bytes(value)
    elif isinstance(value, dict):
        for part in value.values():
            yield from _bytes_in(part)
    elif isinstance(value, list):
        for part in value:
            yield from _bytes_in(part)


@dataclass
class Gone:
    marks: Marks
    stays: Marks
    """Somebody who was not erased."""
    messages: list[dict[str, Any]]
    erased: list[dict[str, Any]]
    counted_before: int


def _person(marks: Marks, who: str) -> dict[str, Any]:
    return {
        "address": marks.address(who),
        "id": marks.word(f"id{who}"),
        "name": marks.word(f"name{who}").title(),
        "metadata": {"first_name": marks.word(f"meta{who}")},
        "values": {"basket": marks.word(f"basket{who}")},
    }


def _content() -> dict[str, Any]:
    shop = "https://shop.heron.example"
    links = f'<a href="{shop}/plain?a=1">Shop</a> <a href="{shop}/basket?id={{{{ basket }}}}&b=2">Basket</a>'
    return {
        "channel": "email",
        "content": {
            "html": f"<p>{links}</p>",
            "text": f"{shop}/plain?a=1",
        },
        "campaign_id": CAMPAIGN,
        "list_id": "letters",
    }


def _tokens(client: Client, marks: Marks) -> list[str]:
    who = {"address": marks.address("token"), "reference": marks.word("ref"), "campaign_id": CAMPAIGN}
    wanted = [
        {"purpose": "click", **who, "destination": f"https://shop.heron.example/{marks.word('path')}"},
        {"purpose": "open", **who},
    ]
    answer = client.api("POST", "/v1/tokens", "heron", {"tokens": wanted})
    assert answer.status in (200, 201), answer.body
    return [made["url"] for made in answer.json()["tokens"]]


@pytest.fixture(scope="module")
def gone(stack: Stack, client: Client, receiver: Receiver, database: Database[Any]) -> Gone:
    marks, stays = Marks(), Marks()
    people = [_person(marks, "one"), _person(stays, "two")]
    messages = client.register("heron", {**_content(), "recipients": people})
    messages += client.register("heron", {**_content(), "recipients": [_person(marks, "alone")]})
    phone = {**_person(marks, "sms"), "address": marks.phone(1)}
    text = {"channel": "sms", "content": {"text": "https://shop.heron.example/s"}, "campaign_id": CAMPAIGN}
    messages += client.register("heron", {**text, "recipients": [phone]})
    for message in messages:
        if "pixel_url" in message:
            client.hit(message["pixel_url"])
        for link in message["links"]:
            assert client.hit(link["tracked_url"]).status == 302
    for url in _tokens(client, marks):
        assert client.hit(url).status in (200, 302)
    client.wait_until_stored()
    eventually(lambda: not database["deliveries"].count_documents({"endpoint_id": "heron", "state": "pending"}), "told")
    _back_up(stack, database)
    erased = []
    for who in ({"address": marks.address("one")}, {"message_id": messages[2]["id"]}, {"address": marks.phone(1)}):
        erased.append(client.api("POST", "/v1/recipients/erase", "heron", who).json())
    erased.append(client.api("POST", "/v1/recipients/erase", "heron", {"address": marks.address("token")}).json())
    return Gone(marks, stays, messages, erased, database["events"].count_documents({"c": CAMPAIGN}))


def _back_up(stack: Stack, database: Database[Any]) -> None:
    """Every collection as a dump of this moment has it."""
    copy = database.client[BACKUP]
    for name in database.list_collection_names():
        if documents := list(database[name].find()):
            copy[name].insert_many(documents)


def test_each_erasure_says_what_it_did(gone: Gone) -> None:
    assert [(one["messages"], one["complete"]) for one in gone.erased] == [(1, True)] * 4


def test_no_store_gives_the_person_away_to_somebody_with_every_other_key(gone: Gone, stack: Stack) -> None:
    attacker = Attacker(stack, "telltale")
    try:
        found = list(attacker.everything())
    finally:
        attacker.close()
    assert look(found, gone.marks) == {}
    assert look(found, gone.stays) != {}, "the attacker does not find those who were not erased either"


def test_no_backup_gives_the_person_away_without_their_key(gone: Gone, stack: Stack, database: Database[Any]) -> None:
    copy = database.client[BACKUP]
    before = Attacker(stack, BACKUP)
    try:
        assert look(before.everything(), gone.marks) != {}, "the attacker cannot open a backup with all its keys"
    finally:
        before.close()
    left = {row["_id"] for row in database["recipient_keys"].find({}, {"_id": 1})}
    assert copy["recipient_keys"].delete_many({"_id": {"$nin": list(left)}}).deleted_count == 4
    after = Attacker(stack, BACKUP)
    try:
        assert look(after.everything(), gone.marks) == {}
    finally:
        after.close()


def test_no_file_log_or_journal_and_nothing_in_valkey_names_the_person(gone: Gone, stack: Stack) -> None:
    assert look(places.files(stack.folder.path), gone.marks) == {}
    assert look(places.valkey(stack.run_info.redis_url), gone.marks) == {}


def test_the_erased_are_served_and_nothing_is_stored(gone: Gone, client: Client, database: Database[Any]) -> None:
    message = gone.messages[0]
    assert client.hit(message["pixel_url"]).status == 200
    plain, basket = (client.hit(link["tracked_url"]) for link in message["links"])
    assert (plain.status, plain.headers["Location"]) == (302, "https://shop.heron.example/plain?a=1")
    assert (basket.status, basket.headers["Location"]) == (302, "https://shop.heron.example/basket?b=2")
    assert client.hit(message["unsubscribe_url"]).status == 200
    assert client.hit(message["unsubscribe_url"], "POST", body=b"List-Unsubscribe=One-Click").status == 200
    client.wait_until_stored()
    assert database["events"].count_documents({"c": CAMPAIGN}) == gone.counted_before


def test_suppression_still_works(gone: Gone, stack: Stack) -> None:
    attacker = Attacker(stack, "telltale")
    try:
        services = attacker._services
        for channel, address in (
            (Channel.EMAIL, gone.marks.address("one")),
            (Channel.EMAIL, gone.marks.address("alone")),
            (Channel.SMS, gone.marks.phone(1)),
        ):
            hashed = services.keyring.address_hash("heron", channel, address)
            assert services.suppressions.covers("heron", hashed, "letters"), "erased, and may be written to again"
    finally:
        attacker.close()


def test_the_api_shows_an_erased_message_without_its_recipient(gone: Gone, client: Client) -> None:
    answer = client.api("GET", f"/v1/messages/{gone.messages[0]['id']}", "heron")
    assert answer.status == 200
    assert look([("answer", answer.all_bytes())], gone.marks) == {}
    assert answer.json()["erased"] is True


def test_export_holds_everything_of_a_person_until_they_are_erased(gone: Gone, client: Client) -> None:
    kept = client.api("POST", "/v1/recipients/export", "heron", {"address": gone.stays.address("two")}).json()
    assert [message["address"] for message in kept["messages"]] == [gone.stays.address("two")]
    assert kept["messages"][0]["values"] == {"basket": gone.stays.word("baskettwo")}
    assert {event["type"] for event in kept["messages"][0]["events"]} == {"message.opened", "message.clicked"}
    erased = client.api("POST", "/v1/recipients/export", "heron", {"address": gone.marks.address("one")}).json()
    assert erased["messages"] == []
    assert [row["reason"] for row in erased["suppressions"]] == ["erased"]

"""`POST /v1/tokens` on real stores: what it gives opens for this brand and purpose only, and nothing is stored."""

from __future__ import annotations

from typing import Any

import pytest

from app.models.api_key import Scope
from app.models.block import Channel
from app.services import Services
from app.tracking.tokens import TokenContent, TokenPurpose
from tests.integration.api.api_bodies import Call, assert_problem

CLICK = {"purpose": "click", "reference": "m-1", "destination": "https://www.alder.example/a?x=1&y=%20#f"}


def mint(call: Call, *tokens: dict[str, Any], **more: Any) -> Any:
    return call("POST", "/v1/tokens", {"tokens": list(tokens)}, **more)


def test_each_purpose_gets_its_link_on_the_brands_host_and_opens_to_what_was_given(
    call: Call, services: Services
) -> None:
    about = {
        "reference": "m-1",
        "address": "Ada@mail.example",
        "contact_id": "c-1",
        "campaign_id": "spring",
        "list_id": "news",
        "job_source": "board",
        "metadata": {"order": "A-1", "größe": ""},
    }
    wanted = [{"purpose": name, **about} for name in ("open", "unsubscribe", "fields")]
    answer = mint(call, *wanted, {**about, **CLICK})
    assert answer.status_code == 200, answer.get_data(as_text=True)
    opened, unsubscribed, fields, clicked = answer.get_json()["tokens"]
    host = "http://click.alder.example"
    assert opened["url"] == f"{host}/o/s/{opened['token']}.gif"
    assert unsubscribed["url"] == f"{host}/u/s/{unsubscribed['token']}"
    assert clicked["url"] == f"{host}/c/s/{clicked['token']}"
    assert set(fields) == {"token"}
    content = TokenContent(**about)
    open_ = services.token_keys.open
    assert open_("alder", TokenPurpose.OPEN, opened["token"]) == content
    assert open_("alder", TokenPurpose.UNSUBSCRIBE, unsubscribed["token"]) == content
    assert open_("alder", TokenPurpose.FIELDS, fields["token"]) == content
    found = open_("alder", TokenPurpose.CLICK, clicked["token"])
    assert found is not None
    assert found.destination == CLICK["destination"]
    for purpose in TokenPurpose:
        assert open_("birch", purpose, opened["token"]) is None
        assert purpose is TokenPurpose.OPEN or open_("alder", purpose, opened["token"]) is None


def test_sms_links_stand_on_the_sms_host(call: Call, services: Services) -> None:
    (made,) = mint(call, {**CLICK, "channel": "sms", "address": "+4915112345678"}).get_json()["tokens"]
    assert made["url"] == f"http://go.alder.example/c/s/{made['token']}"
    found = services.token_keys.open("alder", TokenPurpose.CLICK, made["token"])
    assert found is not None
    assert (found.channel, found.address) == (Channel.SMS, "+4915112345678")


def test_the_same_call_gives_the_same_tokens_and_stores_nothing_but_the_brands_key(
    call: Call, services: Services
) -> None:
    first = mint(call, CLICK, {**CLICK, "reference": "m-2"})
    collections = set(services.database.list_collection_names())
    rows = {name: services.database[name].estimated_document_count() for name in collections}
    assert mint(call, CLICK, {**CLICK, "reference": "m-2"}).get_json() == first.get_json()
    assert {name: services.database[name].estimated_document_count() for name in collections} == rows
    assert rows["brand_keys"] == 1
    assert not {name for name, count in rows.items() if count} & {"blocks", "messages", "events", "idempotency"}


def test_a_full_batch_keeps_its_order(call: Call, services: Services) -> None:
    kinds = ("open", "unsubscribe", "click")
    wanted = [
        {
            "purpose": kinds[n % 3],
            "reference": f"m-{n}",
            **({"destination": CLICK["destination"]} if n % 3 == 2 else {}),
        }
        for n in range(1000)
    ]
    made = mint(call, *wanted).get_json()["tokens"]
    assert len(made) == 1000
    for n in (0, 1, 2, 500, 999):
        purpose = TokenPurpose(kinds[n % 3][0])
        found = services.token_keys.open("alder", purpose, made[n]["token"])
        assert found is not None
        assert found.reference == f"m-{n}"
    assert_problem(mint(call, *[CLICK] * 1001), 422, "invalid_request")
    assert_problem(mint(call), 422, "invalid_request")


@pytest.mark.parametrize(
    ("token", "pointer", "code"),
    [
        (
            {**CLICK, "destination": "https://alder.example.evil.example/"},
            "/tokens/1/destination",
            "invalid_destination",
        ),
        ({**CLICK, "destination": "https://click.alder.example/c/x"}, "/tokens/1/destination", "invalid_destination"),
        ({**CLICK, "destination": "javascript:alert(1)"}, "/tokens/1/destination", "invalid_destination"),
        ({**CLICK, "destination": "https://u:p@alder.example/"}, "/tokens/1/destination", "invalid_destination"),
        ({"purpose": "click", "reference": "m"}, "/tokens/1/destination", "invalid_request"),
        ({**CLICK, "purpose": "open"}, "/tokens/1/destination", "invalid_request"),
        ({"purpose": "open"}, "/tokens/1/reference", "invalid_request"),
        ({"purpose": "fields"}, "/tokens/1", "invalid_request"),
        ({"purpose": "open", "address": "nobody"}, "/tokens/1/address", "invalid_request"),
        ({"purpose": "open", "address": "a@b"}, "/tokens/1/address", "invalid_request"),
        ({"purpose": "open", "address": "ada@mail.example", "channel": "sms"}, "/tokens/1/address", "invalid_request"),
        ({"purpose": "open", "reference": "ü" * 65}, "/tokens/1/reference", "invalid_request"),
        ({"purpose": "open", "reference": "a\r\nb"}, "/tokens/1/reference", "invalid_request"),
        ({"purpose": "open", "reference": "m", "metadata": {"k": "v" * 257}}, "/tokens/1/metadata", "invalid_request"),
        ({"purpose": "sent", "reference": "m"}, "/tokens/1/purpose", "invalid_request"),
        ({"purpose": "open", "reference": "m", "name": "Ada"}, "/tokens/1/name", "invalid_request"),
    ],
)
def test_a_fault_names_its_place_and_mints_nothing(
    call: Call, services: Services, token: dict[str, Any], pointer: str, code: str
) -> None:
    problem = assert_problem(mint(call, CLICK, token), 422, code)
    assert [fault["pointer"] for fault in problem["errors"]] == [pointer]
    assert services.database["brand_keys"].count_documents({}) == 0


def test_faults_of_many_tokens_are_told_together_without_their_values(call: Call) -> None:
    wrong = {"purpose": "click", "address": "ada-at-mail", "destination": "ftp://secret.example/"}
    problem = assert_problem(mint(call, *[wrong] * 50), 422, "invalid_request")
    assert len(problem["errors"]) == 20
    assert "ada" not in str(problem)
    assert "secret" not in str(problem)


def test_a_channel_the_brand_does_not_use_is_refused(call: Call) -> None:
    given = {"purpose": "open", "channel": "sms", "address": "+4915112345678"}
    assert_problem(mint(call, given, brand="birch"), 422, "channel_not_enabled")


def test_it_needs_the_scope_to_write_messages(client: Any, key_of: Any) -> None:
    for scope, status in ((Scope.MESSAGES_READ, 403), (Scope.MESSAGES_WRITE, 200)):
        headers = {"Authorization": f"Bearer {key_of('alder', scope)}"}
        answer = client.post("/v1/tokens", json={"tokens": [CLICK]}, headers=headers)
        assert answer.status_code == status


def test_after_a_rotation_new_tokens_have_the_new_key_and_old_ones_still_open(call: Call, services: Services) -> None:
    def token() -> str:
        found: str = mint(call, CLICK).get_json()["tokens"][0]["token"]
        return found

    old = token()
    assert services.token_keys.rotate("alder") == 2
    new = token()
    assert (old[:4], new[:4]) == ("AQAB", "AQAC")
    open_ = services.token_keys.open
    assert open_("alder", TokenPurpose.CLICK, old) == open_("alder", TokenPurpose.CLICK, new)
    assert services.token_keys.retire("alder", 1) is True
    assert open_("alder", TokenPurpose.CLICK, old) is None
    assert open_("alder", TokenPurpose.CLICK, new) is not None

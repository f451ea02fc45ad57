"""`/v1/endpoints/{id}/secrets`: rotate and revoke."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from app.lib import clock
from app.services import Services
from tests.integration.api.api_bodies import Call, assert_problem

URL = "https://hooks.alder.example/in"


def text_of(length: int) -> str:
    return "whsec_" + base64.b64encode(bytes(range(length))).decode()


@pytest.fixture
def endpoint(call: Call) -> dict[str, Any]:
    made: dict[str, Any] = call("POST", "/v1/endpoints", {"url": URL}).get_json()
    return made


def keys_of(services: Services, endpoint: dict[str, Any]) -> list[str]:
    stored = services.endpoints.get("alder", endpoint["id"])
    assert stored is not None
    return ["whsec_" + base64.b64encode(key).decode() for key in stored.endpoint.keys_at(clock.now())]


def test_a_rotation_shows_the_new_secret_once_and_both_sign(
    call: Call, services: Services, endpoint: dict[str, Any]
) -> None:
    path = f"/v1/endpoints/{endpoint['id']}"
    made = call("POST", f"{path}/secrets", {}, idempotency="k")
    assert made.status_code == 201
    new = made.get_json()
    assert keys_of(services, endpoint) == [new["secret"], endpoint["secret"]]
    assert [one["id"] for one in new["secrets"]] == [new["id"], endpoint["secrets"][0]["id"]]
    assert ["expires_at" in one for one in new["secrets"]] == [False, True]
    again = call("POST", f"{path}/secrets", {}, idempotency="k")
    assert (again.data, again.headers["Idempotent-Replayed"]) == (made.data, "true")
    shown = call("GET", path)
    assert shown.get_json()["secrets"] == new["secrets"]
    assert new["secret"] not in shown.text
    assert new["secret"].removeprefix("whsec_") not in repr(list(services.database["endpoints"].find()))


def test_a_revoked_secret_no_longer_signs(call: Call, services: Services, endpoint: dict[str, Any]) -> None:
    path = f"/v1/endpoints/{endpoint['id']}/secrets"
    first = f"{path}/{endpoint['secrets'][0]['id']}"
    assert_problem(call("DELETE", first), 409, "last_secret")
    new = call("POST", path, {"overlap_seconds": 604_800}).get_json()
    assert call("DELETE", first, idempotency="k").status_code == 204
    assert call("DELETE", first, idempotency="k").headers["Idempotent-Replayed"] == "true"
    assert keys_of(services, endpoint) == [new["secret"]]
    assert_problem(call("DELETE", first), 404, "not_found")


def test_a_repeat_does_not_bring_back_a_secret_that_was_revoked(
    call: Call, services: Services, endpoint: dict[str, Any]
) -> None:
    path = f"/v1/endpoints/{endpoint['id']}/secrets"
    new = call("POST", path, {}, idempotency="k").get_json()
    assert call("DELETE", f"{path}/{new['id']}").status_code == 204
    assert_problem(call("POST", path, {}, idempotency="k"), 409, "secret_revoked")
    assert keys_of(services, endpoint) == [endpoint["secret"]]


def test_without_overlap_only_the_new_one_signs(call: Call, services: Services, endpoint: dict[str, Any]) -> None:
    path = f"/v1/endpoints/{endpoint['id']}/secrets"
    new = call("POST", path, {"overlap_seconds": 0}).get_json()
    assert keys_of(services, endpoint) == [new["secret"]]


def test_three_are_active_at_most(call: Call, endpoint: dict[str, Any]) -> None:
    path = f"/v1/endpoints/{endpoint['id']}/secrets"
    for _ in range(2):
        assert call("POST", path, {}).status_code == 201
    assert_problem(call("POST", path, {}), 409, "too_many_secrets")


@pytest.mark.parametrize("length", [24, 64])
def test_a_secret_of_ones_own_is_taken(call: Call, services: Services, length: int) -> None:
    made = call("POST", "/v1/endpoints", {"url": URL, "secret": text_of(length)})
    assert made.get_json()["secret"] == text_of(length)
    assert keys_of(services, made.get_json()) == [text_of(length)]


@pytest.mark.parametrize(
    "text",
    [
        text_of(23),
        text_of(65),
        "whsec_" + base64.urlsafe_b64encode(b"\xfb\xff" * 16).decode(),
        "hush-hush",
        text_of(32)[:-1],
    ],
)
def test_a_secret_that_verifiers_would_read_otherwise_is_refused(
    call: Call, endpoint: dict[str, Any], text: str
) -> None:
    for path, body in (
        ("/v1/endpoints", {"url": URL, "secret": text}),
        (f"/v1/endpoints/{endpoint['id']}/secrets", {"secret": text}),
    ):
        problem = assert_problem(call("POST", path, body), 422, "invalid_request")
        assert problem["errors"][0]["pointer"] == "/secret"
        assert text not in str(problem)


@pytest.mark.parametrize("seconds", [-1, 604_801, 1.5, "60"])
def test_the_overlap_is_seven_days_at_most(call: Call, endpoint: dict[str, Any], seconds: object) -> None:
    response = call("POST", f"/v1/endpoints/{endpoint['id']}/secrets", {"overlap_seconds": seconds})
    assert assert_problem(response, 422, "invalid_request")["errors"][0]["pointer"] == "/overlap_seconds"


def test_another_brands_secrets_cannot_be_changed(call: Call, services: Services, endpoint: dict[str, Any]) -> None:
    path = f"/v1/endpoints/{endpoint['id']}/secrets"
    assert_problem(call("POST", path, {}, brand="birch"), 404, "not_found")
    assert_problem(call("DELETE", f"{path}/{endpoint['secrets'][0]['id']}", brand="birch"), 404, "not_found")
    assert keys_of(services, endpoint) == [endpoint["secret"]]

"""The schemas hold what the models say, and every text that could reach a header refuses control characters."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, get_args

import pytest
from pydantic import ValidationError

from app.lib import clock
from app.models.delivery import DeliveryState, DisabledReason, PayloadMode, Transport
from app.models.endpoint_health import ENDPOINT_TEST, OPERATIONAL_TYPES
from app.models.event import PUBLIC_KINDS, Verdict
from app.models.replay import REPLAYED_STATES, ReplayState
from app.web.api.fields import parse_moment
from app.web.api.message_schemas import NewMessages
from app.web.api.schemas import EventAnswer, EventQuery, EventType, JudgementAnswer
from app.web.api.webhook_schemas import (
    DeliveryAnswer,
    DisabledReasonName,
    EndpointAnswer,
    EndpointChange,
    NewEndpoint,
    OperationalType,
    ReplayAnswer,
    ReplayedStateName,
)
from app.web.problems import CODES, field_errors

BAD_CHARACTERS = ["\r\nX-Evil: 1", "\n", "\r", "\x00", "\x1b", "\x7f", "\x85", "\u2028", "\u2029", "\u202e"]


def body() -> dict[str, Any]:
    return {
        "channel": "email",
        "campaign_id": "spring",
        "list_id": "news",
        "job_source": "board",
        "content": {"text": "Hello"},
        "recipients": [{"address": "ada@mail.example", "id": "c-1", "name": "Ada", "metadata": {"order": "A-1"}}],
        "metadata": {"shop": "north"},
    }


def test_closed_sets_are_those_of_the_models() -> None:
    def values(annotation: Any) -> set[str]:
        return set(get_args(annotation))

    assert values(EventType) == {kind.public_type for kind in PUBLIC_KINDS}
    assert values(JudgementAnswer.model_fields["verdict"].annotation) == {verdict.value for verdict in Verdict}
    assert values(EventAnswer.model_fields["verdict"].annotation) == {verdict.value for verdict in Verdict}
    assert values(DeliveryAnswer.model_fields["state"].annotation) == {state.value for state in DeliveryState}
    assert values(EndpointAnswer.model_fields["mode"].annotation) == {mode.value for mode in PayloadMode}
    assert values(NewEndpoint.model_fields["mode"].annotation) == {mode.value for mode in PayloadMode}
    assert values(NewEndpoint.model_fields["transport"].annotation) == {transport.value for transport in Transport}
    assert values(DisabledReasonName) == {reason.value for reason in DisabledReason}
    assert values(OperationalType) == OPERATIONAL_TYPES - {ENDPOINT_TEST}
    assert values(ReplayedStateName) == {state.value for state in REPLAYED_STATES}
    assert values(ReplayAnswer.model_fields["state"].annotation) == {state.value for state in ReplayState} | {"dry_run"}


def test_the_description_of_a_change_names_no_defaults_because_what_is_left_out_stays() -> None:
    described = EndpointChange.model_json_schema()["properties"].values()
    assert [about for about in described if "default" in about] == []


@pytest.mark.parametrize("bad", BAD_CHARACTERS)
@pytest.mark.parametrize(
    "path",
    [
        ("campaign_id",),
        ("list_id",),
        ("job_source",),
        ("channel",),
        ("recipients", 0, "address"),
        ("recipients", 0, "id"),
        ("recipients", 0, "name"),
        ("recipients", 0, "metadata", "order"),
        ("metadata", "shop"),
    ],
)
def test_control_characters_are_refused_in_every_text_field(path: tuple[Any, ...], bad: str) -> None:
    value = body()
    place = value
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] += bad
    with pytest.raises(ValidationError) as caught:
        NewMessages.model_validate(value)
    problem = field_errors(caught.value)
    assert problem.errors[0]["pointer"] == "".join(f"/{step}" for step in path)
    assert "ada@" not in str(problem.errors)


@pytest.mark.parametrize("key", ["$ne", "a.b", ".", "", "x\ny", "k" * 65, "a\x00"])
def test_metadata_keys_that_a_database_or_header_could_misread_are_refused(key: str) -> None:
    with pytest.raises(ValidationError):
        NewMessages.model_validate(body() | {"metadata": {key: "x"}})


@pytest.mark.parametrize(
    "change",
    [
        {"channel": "fax"},
        {"channel": {"$ne": None}},
        {"campaign_id": 7},
        {"campaign_id": {"$gt": ""}},
        {"campaign_id": ""},
        {"campaign_id": "x" * 129},
        {"recipients": []},
        {"recipients": [{"address": "ada@mail.example"}] * 1001},
        {"recipients": {"address": "ada@mail.example"}},
        {"recipients": [{"adress": "ada@mail.example"}]},
        {"content": {}},
        {"content": {"html": ""}},
        {"content": {"html": "x", "amp": "x"}},
        {"metadata": {"a": 1}},
        {"metadata": {"a": "x" * 2048}},
        {"pixel": "both", "channel": "sms"},
        {"channel": "sms", "content": {"html": "x", "text": "x"}},
        {"channel": "sms", "content": {}},
        {"pixel": True},
        {"return": "nothing"},
        {"return_": "links"},
        {"brand_id": "other"},
    ],
)
def test_what_does_not_fit_the_schema_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        NewMessages.model_validate(body() | change)


def test_addresses_are_checked_for_their_channel() -> None:
    wrong = NewMessages.model_validate(
        body() | {"recipients": [{"address": "ada@mail.example"}, {"address": "nobody"}]}
    )
    assert [fault["pointer"] for fault in wrong.faults()] == ["/recipients/1/address"]
    phone = body() | {"channel": "sms", "recipients": [{"address": "+4915112345678"}, {"address": "ada@mail.example"}]}
    assert [fault["pointer"] for fault in NewMessages.model_validate(phone).faults()] == ["/recipients/1/address"]


def test_shared_and_own_metadata_are_bounded_together() -> None:
    value = body() | {"metadata": {"a": "x" * 1500}}
    value["recipients"][0]["metadata"] = {"b": "x" * 1500}
    assert [fault["pointer"] for fault in NewMessages.model_validate(value).faults()] == ["/recipients/0/metadata"]
    value["recipients"][0]["metadata"] = {"a": "y" * 1500}
    assert NewMessages.model_validate(value).faults() == []


def test_field_errors_name_fields_and_never_values() -> None:
    mark = "ada-mark@mail.example"
    value = body() | {mark: 1, "unknown_field": 2, "channel": mark, "metadata": {mark: 1}}
    with pytest.raises(ValidationError) as caught:
        NewMessages.model_validate(value)
    problem = field_errors(caught.value)
    assert mark not in str(problem.errors)
    assert mark not in problem.detail
    assert {"pointer": "/unknown_field", "detail": "This field is not known here."} in problem.errors


def test_the_number_of_field_errors_is_bounded() -> None:
    with pytest.raises(ValidationError) as caught:
        NewMessages.model_validate(body() | {"recipients": [{"address": ""}] * 1000})
    problem = field_errors(caught.value)
    assert len(problem.errors) == 20
    assert problem.detail.startswith("1000 fields")


def test_a_page_is_bounded() -> None:
    assert EventQuery.model_validate({"limit": "500"}).limit == 500
    for limit in ("0", "501", "-1", "x", ""):
        with pytest.raises(ValidationError):
            EventQuery.model_validate({"limit": limit})


def test_times_are_rfc_3339_and_not_in_the_future() -> None:
    assert parse_moment("2026-01-01T01:00:00+01:00") == parse_moment("2026-01-01t00:00:00.000z")
    parse_moment(clock.rfc3339(clock.now() + timedelta(minutes=4)))
    wrong = [
        "2026-01-01",
        "2026-01-01T00:00:00",
        "2026-01-01 00:00:00Z",
        "2026-13-01T00:00:00Z",
        "2026-02-30T00:00:00Z",
        "1969-12-31T23:59:59Z",
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-14:00",
        "20260101T000000Z",
        clock.rfc3339(clock.now() + timedelta(minutes=6)),
    ]
    for text in wrong:
        with pytest.raises(ValueError):
            parse_moment(text)


def test_every_code_is_told_once_and_in_one_style() -> None:
    assert all(code.replace("_", "").isalpha() and code.islower() for code in CODES)
    assert all(meaning.endswith(".") for meaning in CODES.values())

"""What an SMS costs is said before anything is sent."""

from __future__ import annotations

from typing import Any

import pytest

from app.tracking.codes import MAX_LENGTH
from tests.integration.api.api_bodies import Call, assert_problem, email, sms

SHORT_LINK = len("http://go.alder.example/c/") + MAX_LENGTH
URL = "https://alder.example/"


def register(call: Call, text: str, **change: Any) -> dict[str, Any]:
    response = call("POST", "/v1/messages", sms(content={"text": text}, **change))
    assert response.status_code == 201, response.get_data(as_text=True)
    found: dict[str, Any] = response.get_json()
    return found


def test_figures_before_and_after_are_given(call: Call) -> None:
    answer = register(call, f"Job: {URL} now")
    before = {"encoding": "GSM-7", "units": 31, "segments": 1, "units_left": 129}
    after = {**before, "units": 9 + SHORT_LINK, "units_left": 151 - SHORT_LINK}
    assert answer["segments"] == {"before": before, "after": after, "warnings": [], "not_gsm": []}
    (message,) = answer["messages"]
    assert len(message["text"]) <= after["units"]


def test_a_link_that_moves_the_text_into_another_segment_is_warned_of(call: Call) -> None:
    """158 characters with the author's link, more than 160 with ours."""
    answer = register(call, "x" * (157 - len(URL)) + " " + URL)
    segments = answer["segments"]
    assert (segments["before"]["units"], segments["before"]["segments"]) == (158, 1)
    assert (segments["after"]["units"], segments["after"]["segments"]) == (158 - len(URL) + SHORT_LINK, 2)
    assert segments["warnings"] == ["link_adds_segment"]


def test_a_long_link_makes_the_text_cheaper(call: Call) -> None:
    segments = register(call, f"Job: {URL}{'y' * 200}")["segments"]
    assert (segments["before"]["segments"], segments["after"]["segments"]) == (2, 1)
    assert segments["warnings"] == []


@pytest.mark.parametrize(
    ("text", "units", "segments"),
    [
        ("x" * 160, 160, 1),
        ("x" * 161, 161, 2),
        ("x" * 306, 306, 2),
        ("x" * 307, 307, 3),
        ("€" * 80, 160, 1),
        ("€" * 81, 162, 2),
    ],
    ids=["160", "161", "306", "307", "80 euros", "81 euros"],
)
def test_the_gsm_alphabet_is_counted_with_its_extension(call: Call, text: str, units: int, segments: int) -> None:
    before = register(call, text)["segments"]["before"]
    assert (before["encoding"], before["units"], before["segments"]) == ("GSM-7", units, segments)


def test_a_single_other_character_costs_more_than_half(call: Call) -> None:
    answer = register(call, "x" * 69 + "“")["segments"]
    assert (answer["after"]["encoding"], answer["after"]["segments"]) == ("UCS-2", 1)
    assert (answer["warnings"], answer["not_gsm"]) == (["not_gsm_characters"], ["“"])
    assert register(call, "x" * 70 + "“")["segments"]["after"]["segments"] == 2
    assert register(call, "x" * 69 + "😀")["segments"]["after"]["segments"] == 2


def test_a_text_that_no_provider_sends_is_warned_of(call: Call) -> None:
    assert "too_long" in register(call, "x" * 40_000)["segments"]["warnings"]


def test_a_batch_has_one_answer_that_holds_for_all(call: Call) -> None:
    recipients = [{"address": f"+49151{n:08}"} for n in range(50)]
    answer = register(call, f"Job: {URL} Stop: {{{{unsubscribe_url}}}}", recipients=recipients)
    most = answer["segments"]["after"]["units"]
    assert all(len(message["text"]) <= most for message in answer["messages"])
    assert most == len("Job:  Stop: ") + 2 * SHORT_LINK


def test_links_mode_says_it_too(call: Call) -> None:
    answer = register(call, URL, **{"return": "links"})
    assert "text" not in answer["messages"][0]
    assert answer["segments"]["after"]["units"] == SHORT_LINK


def test_without_clicks_the_text_costs_what_it_cost(call: Call) -> None:
    segments = register(call, f"Job: {URL}", tracking={"clicks": False})["segments"]
    assert segments["before"] == segments["after"]


def test_an_email_has_no_segments(call: Call) -> None:
    assert "segments" not in call("POST", "/v1/messages", email()).get_json()


@pytest.mark.parametrize("text", ["\\ud800", "x\\udc00", "\\ude00\\ud83d"])
def test_half_a_surrogate_pair_is_refused(call: Call, text: str) -> None:
    raw = f'{{"channel": "sms", "content": {{"text": "{text}"}}, "recipients": [{{"address": "+4915112345678"}}]}}'
    response = call("POST", "/v1/messages", data=raw, content_type="application/json")
    assert_problem(response, 400, "invalid_json")
    raw = f'{{"destination": "{URL}", "text": "{{{{ link }}}} {text}"}}'
    assert_problem(call("POST", "/v1/links", data=raw, content_type="application/json"), 400, "invalid_json")

"""Verdicts on user agents: the hand-written agents of `known_agents.py`, and what may come instead of an agent."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.ingest.user_agent_lists import known_machines
from app.ingest.user_agents import USER_AGENT_CHARS, UserAgent, judge_user_agent, warm_up
from app.models.event import Verdict
from app.models.reasons import REASONS
from tests.unit.ingest.known_agents import CHROME, KNOWN_AGENTS, MAIL_CLIENTS, OTHER_PROXIES, SELF_NAMED, phone

CASES_DO_NOT_MATTER = (*MAIL_CLIENTS, *OTHER_PROXIES, *SELF_NAMED)


@pytest.mark.parametrize(("verdict", "reason", "agent"), KNOWN_AGENTS)
def test_a_known_agent_gets_its_answer(verdict: str, reason: str, agent: str) -> None:
    judged = judge_user_agent(agent)

    list_hits = known_machines().hits(agent.encode()) or "no list"
    assert (judged.verdict.value, judged.reason) == (verdict, reason), f"hit by {list_hits}"


@pytest.mark.parametrize("agent", CASES_DO_NOT_MATTER)
def test_our_own_rules_ignore_case_and_blanks_around(agent: str) -> None:
    expected = judge_user_agent(agent)

    assert judge_user_agent(agent.upper())[:2] == expected[:2]
    assert judge_user_agent(f" \t{agent.lower()}  ")[:2] == expected[:2]


@pytest.mark.parametrize(
    ("agent", "reason"),
    [
        ("a" * 8000, "ua_shape"),
        ("x/1." + "0" * 8000, "ua_shape"),
        ("Mozilla/5.0 (" + "a b;" * 2000, "ok"),
        ("Mozilla/5.0 " + "(" * 8000, "ua_shape"),
        ("Mozilla/5.0 (Linux; Android 1;" * 300, "ok"),
        ("[FB" * 2700, "ua_shape"),
        ("(1/1; 1dpi;" * 700, "ua_shape"),
        (".com " * 1600, "ua_shape"),
        (" " * 8000, "ua_empty"),
        ("-" * 8000, "ua_empty"),
        ("\x00" * 8000, "ua_shape"),
        ("\udcff" * 8000, "ua_shape"),
        ("😀" * 8000, "ua_shape"),
    ],
    ids=lambda value: value[:12] if isinstance(value, str) else "",
)
def test_a_hostile_header_gets_an_answer(agent: str, reason: str) -> None:
    assert judge_user_agent(agent).reason == reason


def test_what_lies_behind_the_cut_is_not_read() -> None:
    padded = CHROME + " " * (USER_AGENT_CHARS - len(CHROME))

    assert judge_user_agent(padded + "Examplebot/1.0").reason == "ok"
    assert judge_user_agent(padded[:-20] + "Examplebot/1.0").reason == "bot_generic"


@pytest.mark.parametrize("odd", ["\udcff", "\ufeff", "\u202e", "é", "日本", "\x00", "\x7f"])
def test_odd_characters_do_not_hide_a_machine_or_make_one(odd: str) -> None:
    assert judge_user_agent(f"Mozilla/5.0 ({odd}) Examplebot/1.0{odd}").reason == "bot_generic"
    assert judge_user_agent(phone(f"{odd}Phone")).reason == "ok"


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet=st.characters(codec=None), max_size=1100))
def test_any_text_gets_a_verdict_with_a_reason_of_the_closed_set(agent: str) -> None:
    judged = judge_user_agent(agent)

    assert judged.verdict in Verdict
    assert judged.reason in REASONS
    assert (judged.browser == "") == (judged.major == 0)


def test_the_same_agent_gets_the_same_answer_after_others() -> None:
    warm_up()
    first = [judge_user_agent(agent) for _, _, agent in KNOWN_AGENTS]

    assert [judge_user_agent(agent) for _, _, agent in reversed(KNOWN_AGENTS)] == first[::-1]


def test_a_machine_has_no_browser_even_if_it_names_one() -> None:
    assert judge_user_agent(f"{CHROME} Examplebot/1.0") == UserAgent(Verdict.MACHINE, "bot_generic")

"""The published test kit is well-formed, covers every reason of the decision table, and its score is right."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from app.models.reasons import REASONS
from benchmarks.engagement.__main__ import main
from benchmarks.engagement.plan import Hit, Plan, make_plan, to_lines
from benchmarks.engagement.scenario import Kit, Truth, faults, load_kit
from benchmarks.engagement.score import Said, Score

_NOT_OF_THE_TABLE = {"destination_blocked", "values_gone", "implied"}


@pytest.fixture(scope="module")
def kit() -> Kit:
    return load_kit()


@pytest.fixture(scope="module")
def plan(kit: Kit) -> Plan:
    return make_plan(kit, kit.scenarios, seed=1, most=2)


def test_every_scenario_is_complete_and_its_times_ascend(kit: Kit) -> None:
    assert list(faults(kit)) == []
    assert len(kit.scenarios) >= 50


def test_faults_are_named(kit: Kit) -> None:
    scenario = kit.scenarios[0]
    first, second, *rest = scenario.requests
    backwards = replace(scenario, requests=(second, first, *rest))
    aimless = replace(scenario, aims_at=())
    assert [fault for fault in faults(replace(kit, scenarios=(backwards,))) if "ascend" in fault]
    assert [fault for fault in faults(replace(kit, scenarios=(aimless,))) if "aims at" in fault]
    assert [fault for fault in faults(replace(kit, scenarios=(scenario, scenario))) if "two scenarios" in fault]


def test_every_reason_of_the_decision_table_is_aimed_at(kit: Kit) -> None:
    aimed_at = {reason for scenario in kit.scenarios for reason in scenario.aims_at}
    assert aimed_at == REASONS.keys() - _NOT_OF_THE_TABLE


def test_people_and_machines_of_every_kind_are_in_it(kit: Kit) -> None:
    truths = Counter(request.truth for scenario in kit.scenarios for request in scenario.requests)
    assert truths.keys() == set(Truth)
    assert sum(bool(scenario.hard) for scenario in kit.scenarios) >= 10


def test_a_plan_is_the_same_every_time_and_in_order(kit: Kit, plan: Plan) -> None:
    again = make_plan(kit, kit.scenarios, seed=1, most=2)
    assert list(to_lines(again)) == list(to_lines(plan))
    assert [hit.at for hit in plan.hits] == sorted(hit.at for hit in plan.hits)
    assert len({hit.id for hit in plan.hits}) == len(plan.hits)


def test_every_recipient_has_an_address_of_their_own_unless_it_is_shared(kit: Kit) -> None:
    office = next(scenario for scenario in kit.scenarios if scenario.name == "shared_office")
    reader = next(scenario for scenario in kit.scenarios if scenario.name == "gmail_reader")
    hits = make_plan(kit, [office, reader], seed=1, most=20).hits
    assert len({hit.address for hit in hits if hit.sending.scenario is office}) == 1
    assert len({hit.address for hit in hits if hit.sending.scenario is reader}) == 40


def test_a_written_plan_has_what_another_player_needs(plan: Plan) -> None:
    lines = [json.loads(line) for line in to_lines(plan)]
    requests = [line for line in lines if "request" in line]
    assert len(requests) == len(plan.hits)
    assert {"at", "method", "what", "place", "address", "headers", "truth"} <= requests[0].keys()
    assert all("\n" not in value for line in requests for value in line["headers"].values())


def _rightly(hit: Hit) -> Said:
    return Said(hit.truth, hit.truth in (Truth.HUMAN, Truth.PROXY))


def test_a_perfect_system_scores_perfectly(plan: Plan) -> None:
    score = Score(plan.hits, {hit.id: _rightly(hit) for hit in plan.hits})
    assert [score.recall(truth) for truth in Truth] == [score.precision(truth) for truth in Truth] == [1.0] * 4
    assert score.human_lost() == 0.0
    assert score.unsubscribes_lost() == 0


def test_a_system_that_believes_everybody_loses_nobody_and_finds_nothing(plan: Plan) -> None:
    score = Score(plan.hits, {hit.id: Said(Truth.HUMAN, True) for hit in plan.hits})
    assert score.recall(Truth.HUMAN) == 1.0
    assert score.human_lost() == 0.0
    assert score.recall(Truth.MACHINE) == score.recall_per_scenario(Truth.MACHINE) == 0.0


def test_a_lost_event_is_a_miss_and_a_lost_person(plan: Plan) -> None:
    score = Score(plan.hits, {})
    assert score.human_lost() == 1.0
    assert score.recall(Truth.HUMAN) == 0.0
    assert score.unsubscribes_lost() == sum(hit.target.kind == "unsubscribe" for hit in plan.hits) > 0


def test_what_another_system_says_of_a_plan_can_be_scored(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["--only", "gmail_reader", "--plan"])
    requests = [line for line in map(json.loads, capsys.readouterr().out.splitlines()) if "request" in line]
    verdicts = tmp_path / "verdicts.jsonl"
    said = ({"id": line["request"], "verdict": "human", "counted": line["what"] == "click"} for line in requests)
    verdicts.write_text("".join(json.dumps(line) + "\n" for line in said))
    main(["--only", "gmail_reader", "--verdicts", str(verdicts)])
    figures = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (figures["human_recall"], figures["human_precision"], figures["proxy_recall"]) == (1.0, 0.5, 0.0)
    assert figures["human_lost"] == 0.5

"""`GET /v1/stats`: figures with their words, by day, campaign and link, inside the brand and inside its bounds."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Any

import pytest

from app.analytics.definitions import FIGURES, ROWS, values
from app.lib import clock, ids
from app.models.count import CountKey
from app.models.event import AGAIN, FIRST, FIRST_MACHINE, Event, EventKind, Judgement, Verdict
from app.services import Services
from app.storage.recount import recount
from app.web.api.stats_schemas import StatsAnswer
from tests.integration.api.api_bodies import Call, assert_problem, email
from tests.integration.api.visitor import Visitor, block_of, change_brand

TODAY = clock.now().date()
YESTERDAY = (TODAY - timedelta(days=1)).isoformat()
PERSON = Judgement(Verdict.HUMAN, True, ("ok",))
MACHINE = Judgement(Verdict.MACHINE, False, ("bot_known",))
CLICK = CountKey("alder", "spring", YESTERDAY, "clicked", "human", True, FIRST)


def stats(call: Call, query: str = "", brand: str = "alder") -> dict[str, Any]:
    response = call("GET", f"/v1/stats?{query}", brand=brand)
    assert response.status_code == 200, response.get_json(force=True)
    found: dict[str, Any] = response.get_json()
    StatsAnswer.model_validate(found)
    return found


def mark(services: Services, counts: dict[CountKey, int]) -> None:
    services.batches.mark(ids.new_id().hex(), counts, records=1, dropped={})


@pytest.fixture
def counted(services: Services) -> None:
    """Some of it in the rollups, some still on a marker."""
    mark(services, {CLICK: 3, CLICK._replace(rank=AGAIN): 2, CLICK._replace(brand_id="birch"): 70})
    services.batches.compact()
    mark(services, {CLICK._replace(day=TODAY.isoformat(), campaign_id=""): 4})
    mark(services, {CLICK._replace(share="machine", counted=False, rank=FIRST_MACHINE, campaign_id="autumn"): 15})
    mark(services, {CLICK._replace(day="2020-02-29"): 1, CLICK._replace(kind="sent"): 10})


@pytest.mark.usefixtures("counted")
def test_one_row_has_the_figures_and_every_figure_its_words(call: Call) -> None:
    found = stats(call)
    (row,) = found["rows"]
    assert row.keys() == {"figures"}
    assert (row["figures"]["clicked.total"], row["figures"]["clicked.unique"], row["figures"]["sent"]) == (9, 7, 10)
    assert row["figures"]["click_rate"] == 0.7
    assert row["figures"]["open_rate"] == 0
    assert found["definitions"].keys() == row["figures"].keys()
    assert (found["time_zone"], found["by"], found["view"], found["next_cursor"]) == ("UTC", "none", "counted", None)
    assert (found["from"], found["to"]) == ((TODAY - timedelta(days=29)).isoformat(), TODAY.isoformat())
    assert found["row"] == ROWS["none"]


@pytest.mark.usefixtures("counted")
def test_machines_are_shown_when_asked_for_or_when_the_brand_filters_nothing(call: Call, services: Services) -> None:
    assert "clicked.machine.total" not in stats(call)["rows"][0]["figures"]
    everything = stats(call, "view=all")
    assert everything["rows"][0]["figures"]["clicked.machine.total"] == 15
    assert everything["rows"][0]["figures"]["clicked.total"] == 9, "a figure means the same in both views"
    change_brand(services, "bots: {filter: false}")
    assert stats(call)["view"] == "all"
    assert stats(call)["rows"] == everything["rows"]
    assert stats(call, "view=counted")["view"] == "counted"


@pytest.mark.usefixtures("counted")
def test_by_day_every_day_asked_for_has_a_row(call: Call) -> None:
    first = (TODAY - timedelta(days=2)).isoformat()
    rows = stats(call, f"by=day&from={first}&to={TODAY}")["rows"]
    assert [(row["day"], row["figures"]["clicked.total"]) for row in rows] == [
        (first, 0),
        (YESTERDAY, 5),
        (TODAY.isoformat(), 4),
    ]
    assert rows[0]["figures"]["click_rate"] is None
    (old,) = stats(call, "by=day&from=2020-02-29&to=2020-02-29")["rows"]
    assert old["figures"]["clicked.total"] == 1


@pytest.mark.usefixtures("counted")
def test_by_campaign_pages_follow_each_other(call: Call) -> None:
    found, query = [], "by=campaign&view=all&limit=1"
    for _ in range(3):
        page = stats(call, query)
        found += [(row.get("campaign_id"), row["figures"]["clicked.all"]) for row in page["rows"]]
        query = f"by=campaign&view=all&limit=1&cursor={page['next_cursor']}"
    assert found == [(None, 4), ("autumn", 15), ("spring", 5)]
    assert page["next_cursor"] is None
    assert stats(call, "by=campaign&campaign_id=spring")["rows"][0]["campaign_id"] == "spring"
    assert stats(call, "campaign_id=spring&from=2020-01-01&to=2020-12-31")["rows"][0]["figures"]["clicked.total"] == 1


@pytest.mark.usefixtures("counted")
def test_a_brand_sees_its_own_figures_only(call: Call) -> None:
    assert stats(call, brand="birch")["rows"][0]["figures"]["clicked.total"] == 70
    assert stats(call, brand="cedar")["rows"][0]["figures"]["clicked.total"] == 0
    assert stats(call, "by=campaign", brand="cedar")["rows"] == []


def test_what_cannot_be_answered_is_refused(call: Call) -> None:
    for query in (
        "from=2026-01-32",
        "from=2026-1-1",
        "from=1969-12-31",
        "from=2026-01-02&to=2026-01-01",
        "from=2024-01-01&to=2025-01-01",
        "by=verdict",
        "by=link",
        "by=link&campaign_id=spring&message_id=msg_x",
        "message_id=msg_x",
        "view=humans",
        "limit=201",
        "cursor=YQ",
        "campaign_id=",
        "source=board",
    ):
        assert_problem(call("GET", f"/v1/stats?{query}"), 400, "invalid_parameter")
    for cursor in ("x", "YQ%3D%3D", "%20", "_w"):
        assert_problem(call("GET", f"/v1/stats?by=campaign&cursor={cursor}"), 400, "invalid_cursor")


def test_the_definitions_are_served_alone(call: Call) -> None:
    found = call("GET", "/v1/stats/definitions").get_json()
    assert [(one["name"], one["definition"]) for one in found["figures"]] == [(one.name, one.words) for one in FIGURES]
    assert found["rows"] == ROWS


# The same page three times: as picture, as button, and in the second content at another place.
TWICE = '<a href="https://alder.example/sale"><img src="x.gif"></a> <a href="https://alder.example/sale">Buy</a>'
OTHER = '<a href="https://alder.example/terms">Terms</a> <a href="https://alder.example/sale">Buy</a>'


def registered(call: Call, html: str, brand: str = "alder", **change: Any) -> list[str]:
    people = [{"address": f"p{number}@people.example"} for number in range(3)]
    body = email(content={"html": html.replace("alder", brand)}, recipients=people, **change)
    return [one["id"] for one in call("POST", "/v1/messages", body, brand=brand).get_json()["messages"]]


def click(services: Services, message_id: str, place: int, judgement: Judgement = PERSON, days_ago: int = 0) -> None:
    block, number = block_of(services, message_id), services.codes.message_number(message_id)
    assert number is not None
    at_ms = clock.now_ms() - days_ago * 86_400_000
    event = Event(
        id=ids.new_id(),
        kind=EventKind.CLICKED,
        brand_id=block.brand_id,
        message=number,
        block=block.start,
        slot=3 + place,
        at_ms=at_ms,
        recorded_ms=at_ms,
        judgement=judgement,
        rank=AGAIN,
        rules_version="test",
        campaign_id=block.campaign_id,
    )
    assert services.events.insert([event], ids.new_id().hex())


@pytest.fixture
def clicked(call: Call, services: Services) -> str:
    """One of the messages."""
    first, second, _ = registered(call, TWICE)
    third, *_ = registered(call, OTHER)
    for message_id, place in ((first, 1), (first, 1), (first, 2), (second, 2), (third, 1), (third, 2)):
        click(services, message_id, place)
    click(services, second, 2, MACHINE)
    click(services, second, 1, Judgement(Verdict.HUMAN, False, ("ok", "destination_blocked")))
    click(services, registered(call, TWICE, campaign_id="autumn")[0], 1)
    click(services, registered(call, TWICE, "birch")[0], 1)
    click(services, second, 2, days_ago=50)
    return first


def shown(rows: list[dict[str, Any]], *names: str) -> list[tuple[Any, ...]]:
    return [
        (
            row["url"].removeprefix("https://alder.example/"),
            ",".join(row["link_ids"]),
            *(row["figures"][f"clicked.{name}"] for name in names),
        )
        for row in rows
    ]


@pytest.mark.usefixtures("clicked")
def test_by_link_places_and_contents_are_kept_apart(call: Call) -> None:
    since = f"from={TODAY - timedelta(days=10)}"
    rows = stats(call, f"by=link&campaign_id=spring&view=all&{since}")["rows"]
    assert shown(rows, "total", "unique", "machine.total", "machine.unique", "uncounted", "all") == [
        ("sale", "lnk_1", 2, 1, 0, 0, 1, 3),
        ("terms", "lnk_1", 1, 1, 0, 0, 0, 1),
        ("sale", "lnk_2", 3, 3, 1, 1, 0, 4),
    ]
    assert [(row["position"], row.get("label")) for row in rows] == [(1, None), (1, "Terms"), (2, "Buy")]
    assert shown(stats(call, "by=link&campaign_id=spring")["rows"], "total")[2] == ("sale", "lnk_2", 4)


def test_by_url_a_message_is_once_in_the_unique_figure(call: Call, clicked: str) -> None:
    rows = stats(call, "by=url&campaign_id=spring")["rows"]
    assert shown(rows, "total", "unique") == [("sale", "lnk_1,lnk_2", 6, 3), ("terms", "lnk_1", 1, 1)]
    rows = stats(call, f"by=url&message_id={clicked}")["rows"]
    assert shown(rows, "total", "unique") == [("sale", "lnk_1,lnk_2", 3, 1)]


def test_links_of_sealed_tokens_are_shown_by_where_they_led_and_traps_not_at_all(
    call: Call, services: Services, visitor: Visitor
) -> None:
    about = {"purpose": "click", "campaign_id": "spring", "destination": "https://alder.example/sale"}
    wanted = [{**about, "reference": f"m-{number}", "address": f"p{number}@people.example"} for number in range(2)]
    for token in call("POST", "/v1/tokens", {"tokens": wanted}).get_json()["tokens"]:
        visitor.get(token["url"])
        visitor.get(token["url"])
    visitor.ingest()
    change_brand(services, "bots: {trap_link: true}")
    first, *_ = registered(call, TWICE)
    trap = len(block_of(services, first).links)
    assert block_of(services, first).links[-1].trap
    click(services, first, 1)
    click(services, first, trap, MACHINE)
    by_link = stats(call, "by=link&campaign_id=spring&view=all")["rows"]
    (token_id,) = by_link[1]["link_ids"]
    assert shown(by_link, "all") == [("sale", "lnk_1", 1), ("sale", token_id, 4)]
    assert (token_id[:5], by_link[1].get("position")) == ("lnk_s", None)
    assert shown(stats(call, "by=url&campaign_id=spring&view=all")["rows"], "all") == [("sale", f"lnk_1,{token_id}", 5)]
    services.database["events"].update_many({}, {"$unset": {"p": ""}})
    assert "url" not in stats(call, "by=link&campaign_id=spring")["rows"][1]


def test_another_brands_message_has_no_figures(call: Call, clicked: str) -> None:
    assert_problem(call("GET", f"/v1/stats?by=link&message_id={clicked}", brand="birch"), 404, "not_found")
    assert len(stats(call, "by=link&campaign_id=spring", brand="birch")["rows"]) == 1


def test_more_links_than_one_answer_holds_are_refused(
    call: Call, clicked: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.web.api.link_stats.MAX_LINKS", 2)
    assert_problem(call("GET", "/v1/stats?by=link&campaign_id=spring"), 400, "too_many_rows")
    assert len(stats(call, "by=url&campaign_id=spring")["rows"]) == 2


def test_figures_are_what_the_events_add_up_to(call: Call, services: Services, visitor: Visitor) -> None:
    body = email(recipients=[{"address": f"p{number}@people.example"} for number in range(3)])
    messages = call("POST", "/v1/messages", body).get_json()["messages"]
    for message in messages[:2]:
        call("POST", f"/v1/messages/{message['id']}/events", {"type": "sent"})
    for message in messages:
        visitor.get(message["pixel_url"])
        visitor.get(message["links"][0]["tracked_url"])
        visitor.get(message["links"][0]["tracked_url"], method="HEAD")
    visitor.ingest()
    visitor.get(messages[0]["links"][1]["tracked_url"])
    visitor.ingest()
    found = stats(call, "view=all")["rows"][0]["figures"]
    recounted: Counter[CountKey] = recount(services.database, "alder")
    assert found == values(FIGURES, recounted)
    assert (found["sent"], found["clicked.all"]) == (2, 7)

"""What goes into the index of an event, and above all what does not."""

from __future__ import annotations

import orjson

from app.models.event import AGAIN, Event, EventKind, Judgement, Verdict
from app.models.search import References
from app.search.documents import MAPPINGS, to_document

CLICK = Event(
    id=bytes(range(16)),
    kind=EventKind.CLICKED,
    brand_id="alder",
    message=1_000,
    block=1_000,
    slot=4,
    at_ms=1,
    recorded_ms=2,
    judgement=Judgement(Verdict.MACHINE, False, ("bot_known",)),
    rank=AGAIN,
    rules_version="1",
    campaign_id="Spring Sale",
    user_agent="Agent/1",
    client="203.0.113.0/24",
    method="one_click",
    query="lead=ann-example",
    url="https://shop.example/ann",
    personal=b"sealed-bytes",
)


def test_it_has_what_is_looked_for() -> None:
    assert to_document(CLICK, References("Weekly", "board-7")) == {
        "brand": "alder",
        "kind": "clicked",
        "verdict": "machine",
        "counted": False,
        "reason": ("bot_known",),
        "message": 1_000,
        "block": 1_000,
        "slot": 4,
        "recorded": 2,
        "id": "00041061050R3GG28A1C60T3GF",
        "word": ["1", "7", "agent", "board", "bot", "known", "sale", "spring", "weekly"],
        "campaign": "Spring Sale",
        "list": "Weekly",
        "job_source": "board-7",
    }


def test_nothing_that_an_erasure_takes_away_is_ever_in_it() -> None:
    text = orjson.dumps(to_document(CLICK)).decode()
    for secret in ("203", "lead", "ann", "shop", "sealed"):
        assert secret not in text


def test_every_field_is_declared_and_nothing_is_kept_besides() -> None:
    assert set(to_document(CLICK, References("l", "j"))) == set(MAPPINGS["properties"])
    assert MAPPINGS["_source"] == {"enabled": False}
    assert MAPPINGS["dynamic"] is False


def test_an_event_without_campaign_list_or_words_has_no_such_fields() -> None:
    document = to_document(CLICK._replace(campaign_id=None, user_agent=""))
    assert {"campaign", "list", "job_source"}.isdisjoint(document)
    assert document["word"] == ["bot", "known"]

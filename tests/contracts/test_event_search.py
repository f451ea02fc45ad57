"""What every way to search events must answer; the same questions to MongoDB and to OpenSearch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from pymongo.database import Database

from app.models.event import Event, EventKind, Judgement, Verdict
from app.models.search import Facet, FacetCounts, Finder, Interval, LinkPlaces, SearchQuery, Summary, read_words
from app.search.client import connect
from app.search.finder import IndexSearch
from tests.integration.search.corpus import (
    CHROME,
    FIREFOX,
    HOUR,
    HUMAN,
    JOBS,
    MACHINE,
    NEWS,
    START_MS,
    Corpus,
    brand,
    event,
    query,
)
from tests.integration.search.server import opensearch_url


@pytest.fixture(params=["mongodb", "opensearch"])
def corpus(request: pytest.FixtureRequest) -> Iterator[Corpus]:
    client = connect(opensearch_url()) if request.param == "opensearch" else None
    database: Database[dict[str, Any]] = request.getfixturevalue("database")
    found = Corpus(database, client)
    yield found
    if client is not None:
        for brand_id in ("alder", "birch", "alder-2"):
            found.index.drop(brand_id)
        client.close()


@pytest.fixture
def finder(corpus: Corpus) -> Finder:
    return corpus.stored if corpus.client is None else IndexSearch(corpus.client, corpus.names)


def ids_of(finder: Finder, wanted: SearchQuery, limit: int = 100) -> list[bytes]:
    return [event_id for _, event_id in finder.page(wanted, before=None, limit=limit, seconds=10)]


def latest_first(*events: Event) -> list[bytes]:
    return [one.id for one in sorted(events, key=lambda one: (one.recorded_ms, one.id), reverse=True)]


def texts(finder: Finder, text: str) -> set[bytes]:
    return set(ids_of(finder, query(words=read_words(text))))


def test_events_come_latest_first_and_by_their_ids_within_a_moment(corpus: Corpus, finder: Finder) -> None:
    events = [event(HOUR), event(3), event(2 * HOUR), event(HOUR), event(HOUR)]
    corpus.add(*events)
    assert ids_of(finder, query()) == latest_first(*events)


def test_pages_are_the_whole_without_gap_or_repeat(corpus: Corpus, finder: Finder) -> None:
    # Seven moments with three events each: pages end within a moment too.
    events = [event(HOUR * (number // 3)) for number in range(21)]
    corpus.add(*events)
    found, before = [], None
    while page := finder.page(query(), before=before, limit=4, seconds=10):
        found += [event_id for _, event_id in page]
        before = page[-1]
    assert found == latest_first(*events)


def test_each_filter_finds_what_has_the_value_and_nothing_else(corpus: Corpus, finder: Finder) -> None:
    click = event(1, EventKind.CLICKED, judgement=MACHINE, campaign_id="Spring 10%")
    proxy = event(2, judgement=Judgement(Verdict.PROXY, True, ("proxy_gmail",)), message=NEWS + 4)
    job = event(3, EventKind.SENT, block=JOBS, message=JOBS, campaign_id="spring")
    corpus.add(click, proxy, job)
    for wanted, found in (
        (query(kinds=[EventKind.CLICKED]), [click]),
        (query(kinds=[EventKind.CLICKED, EventKind.SENT]), [job, click]),
        (query(verdict=Verdict.PROXY), [proxy]),
        (query(counted=False), [click]),
        (query(counted=True), [job, proxy]),
        (query(reason="datacenter_ip"), [click]),
        (query(campaign_id="Spring 10%"), [click]),
        (query(campaign_id="spring 10%"), []),
        (query(list_id="Weekly News"), [proxy, click]),
        (query(list_id="weekly news"), []),
        (query(job_source="board-7"), [job]),
        (query(messages=(NEWS + 4,)), [proxy]),
        (query(messages=(NEWS, JOBS)), []),
        (query(links=(LinkPlaces(click.slot, (NEWS, JOBS)),)), [click]),
        (query(links=(LinkPlaces(click.slot, (JOBS,)), LinkPlaces(job.slot, (JOBS,)))), [job]),
        (query(since=START_MS + 2), [job, proxy]),
        (query(until_ms=START_MS + 2), [click]),
        (query(since_ms={EventKind.SENT: START_MS, EventKind.CLICKED: START_MS + 2}), [job]),
        (query(verdict=Verdict.HUMAN, campaign_id="spring", job_source="board-7"), [job]),
    ):
        assert ids_of(finder, wanted) == [one.id for one in found], wanted


def test_text_finds_words_of_user_agent_campaign_reasons_list_and_job_source(corpus: Corpus, finder: Finder) -> None:
    fox = event(1, user_agent=FIREFOX, campaign_id="autumn_sale-2")
    chrome = event(2, user_agent=CHROME, judgement=MACHINE)
    job = event(3, EventKind.SENT, block=JOBS, message=JOBS, campaign_id="Über Straße", user_agent="")
    corpus.add(fox, chrome, job)
    for text, found in (
        ("firefox", {fox}),
        ("FireFox", {fox}),
        ("fire", set()),
        ("fire*", {fox}),
        ("mozilla 5.0", {fox, chrome}),
        ("Firefox/128.0", {fox}),
        ("128 firefox", {fox}),
        ("128 chrome", set()),
        ("sale", {fox}),
        ("autumn_sale-2", {fox}),
        ("datacenter", {chrome}),
        ("ua_bare", {chrome}),
        ("weekly", {fox, chrome}),
        ("weekly news firefox", {fox}),
        ("board", {job}),
        ("über", {job}),
        ("ÜBER", {job}),
        ("straße", {job}),
        ("strasse", set()),
        ("stra*", {job}),
        ("x86_64", {fox}),
    ):
        assert texts(finder, text) == {one.id for one in found}, text


@pytest.mark.parametrize(
    "text",
    [
        'brand:birch OR "birch"',
        "*:* birch",
        "alder) OR (brand:birch",
        '{"match_all":{}} birch',
        "(?i).+ birch",
        "^birch$ | birch",
        "[a-z]+ birch",
        "$where birch",
        "birch\\Q.*\\E",
    ],
)
def test_nobody_finds_another_brands_events_whatever_they_write(corpus: Corpus, finder: Finder, text: str) -> None:
    theirs = event(1, brand_id="birch", campaign_id="birch", block=5, message=5, user_agent="birch")
    beside = event(1, brand_id="alder-2", campaign_id="birch", block=6, message=6, user_agent="birch")
    corpus.add(theirs, beside, event(2, user_agent=FIREFOX), brands=tuple(map(brand, ("alder", "birch", "alder-2"))))
    assert texts(finder, text) == set()
    assert ids_of(finder, query("birch")) == [theirs.id]
    assert ids_of(finder, query("alder-2")) == [beside.id]


def test_what_looks_like_a_pattern_is_only_characters(corpus: Corpus, finder: Finder) -> None:
    corpus.add(event(1, user_agent="a.c abc a+b"), event(2, user_agent="axc"))
    assert len(texts(finder, "a.c")) == 1
    assert texts(finder, "a?c") == texts(finder, "a.c")


def test_what_is_not_listed_is_not_found(corpus: Corpus, finder: Finder) -> None:
    corpus.add(event(1, EventKind.VIEWED), event(2, implied=True, rank=0), event(3))
    assert len(ids_of(finder, query())) == 1
    assert finder.summary(query(), facets=(), interval=None, seconds=10).total == 1


def test_facets_count_every_value_the_most_first(corpus: Corpus, finder: Finder) -> None:
    corpus.add(
        *(event(number, campaign_id="b") for number in range(3)),
        *(event(number, EventKind.CLICKED, judgement=MACHINE, campaign_id="a") for number in range(3)),
        event(7, EventKind.SENT, judgement=HUMAN, campaign_id="c"),
        event(8),
    )
    summary = finder.summary(query(), facets=tuple(Facet), interval=None, seconds=10)
    assert summary == Summary(
        total=8,
        facets={
            Facet.TYPE: FacetCounts([("message.opened", 4), ("message.clicked", 3), ("message.sent", 1)], 0),
            Facet.VERDICT: FacetCounts([("human", 5), ("machine", 3)], 0),
            Facet.REASON: FacetCounts([("ok", 5), ("datacenter_ip", 3), ("ua_bare", 3)], 0),
            Facet.CAMPAIGN: FacetCounts([("a", 3), ("b", 3), ("c", 1)], 0),
        },
        histogram=[],
    )


def test_a_facet_with_many_values_lists_the_most_and_counts_the_rest(corpus: Corpus, finder: Finder) -> None:
    corpus.add(*(event(number, campaign_id=f"c{number % 60:02d}") for number in range(70)))
    campaigns = finder.summary(query(), facets=(Facet.CAMPAIGN,), interval=None, seconds=10).facets[Facet.CAMPAIGN]
    twice = [(f"c{number:02d}", 2) for number in range(10)]
    assert campaigns == FacetCounts([*twice, *((f"c{number:02d}", 1) for number in range(10, 50))], 10)


def test_the_histogram_counts_by_the_hours_and_days_of_utc(corpus: Corpus, finder: Finder) -> None:
    corpus.add(*(event(at) for at in (0, 1, HOUR - 1, HOUR, 23 * HOUR, 24 * HOUR, 50 * HOUR)))
    by_hour = finder.summary(query(), facets=(), interval=Interval.HOUR, seconds=10).histogram
    assert by_hour == [(START_MS + HOUR * hour, number) for hour, number in ((0, 3), (1, 1), (23, 1), (24, 1), (50, 1))]
    by_day = finder.summary(query(), facets=(), interval=Interval.DAY, seconds=10).histogram
    assert by_day == [(START_MS + 24 * HOUR * day, number) for day, number in enumerate((5, 1, 1))]


def test_a_summary_is_of_what_the_query_finds(corpus: Corpus, finder: Finder) -> None:
    corpus.add(event(1, user_agent=FIREFOX), event(2, user_agent=CHROME), event(HOUR, user_agent=FIREFOX))
    wanted = query(words=read_words("firefox"))
    summary = finder.summary(wanted, facets=(Facet.TYPE,), interval=Interval.HOUR, seconds=10)
    assert summary == Summary(
        2, {Facet.TYPE: FacetCounts([("message.opened", 2)], 0)}, [(START_MS, 1), (START_MS + HOUR, 1)]
    )


def test_where_nothing_is_nothing_is_found(finder: Finder) -> None:
    assert ids_of(finder, query("cedar")) == []
    summary = finder.summary(query("cedar"), facets=tuple(Facet), interval=Interval.DAY, seconds=10)
    assert summary == Summary(0, dict.fromkeys(Facet, FacetCounts([], 0)), [])

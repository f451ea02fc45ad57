"""Which store answers, seen by what only one of them has; and that the answer is complete either way."""

from __future__ import annotations

import pytest

from app.lib import clock
from app.models.event import Event, EventKind
from app.models.search import SETTLE_MS, Facet, Interval, SearchPlace, SearchQuery
from app.search.client import connect
from app.search.finder import IndexSearch
from app.search.search import Found, Search, Wanted
from tests.integration.search.corpus import HOUR, START_MS, Corpus, event, query
from tests.integration.search.proxy import Proxy

PAGE = Wanted(limit=50)


@pytest.fixture
def search(corpus: Corpus, finder: IndexSearch) -> Search:
    return Search(corpus.stored, finder, corpus.states)


def ids_of(found: Found) -> list[bytes]:
    return [one.id for one in found.events]


def hide(corpus: Corpus, hidden: Event) -> None:
    """Take an event out of the index, not out of MongoDB: who still finds it did not ask the index."""
    corpus.index.expire("alder", {EventKind(hidden.kind): hidden.recorded_ms + 1})
    corpus.index.refresh("alder")


def test_an_index_that_is_up_to_date_answers(corpus: Corpus, search: Search) -> None:
    hidden, shown = event(1), event(2)
    corpus.add(hidden, shown)
    hide(corpus, hidden)
    assert ids_of(search.run(query(), PAGE)) == [shown.id]


def test_mongodb_answers_where_there_is_no_index(corpus: Corpus) -> None:
    corpus.events.insert([one := event(1)], "b")
    assert ids_of(Search(corpus.stored).run(query(), PAGE)) == [one.id]


def test_mongodb_answers_for_a_brand_that_was_never_indexed(corpus: Corpus, search: Search) -> None:
    corpus.events.insert([one := event(1)], "b")
    assert ids_of(search.run(query(), PAGE)) == [one.id]


def test_mongodb_answers_what_an_index_that_is_behind_cannot_know(corpus: Corpus, search: Search) -> None:
    hidden = event(1)
    corpus.add(hidden)
    hide(corpus, hidden)
    claim = corpus.states.claim("alder", clock.now(), 60)
    assert claim is not None
    corpus.states.advance("alder", claim.run, claim.after, START_MS + HOUR)
    assert ids_of(search.run(query(until_ms=clock.now_ms()), PAGE)) == [hidden.id]
    # Of the time that it has, it may answer.
    assert ids_of(search.run(query(until_ms=START_MS + HOUR), PAGE)) == []


def test_while_it_is_made_anew_mongodb_answers(corpus: Corpus, search: Search) -> None:
    hidden = event(1)
    corpus.add(hidden)
    hide(corpus, hidden)
    corpus.states.start_over("alder")
    assert ids_of(search.run(query(), PAGE)) == [hidden.id]


def test_mongodb_answers_while_opensearch_is_away(corpus: Corpus, search: Search, proxy: Proxy) -> None:
    corpus.add(one := event(1))
    proxy.away = True
    asked = proxy.requests
    assert ids_of(search.run(query(), PAGE)) == [one.id]
    assert ids_of(search.run(query(), PAGE)) == [one.id]
    # The second search did not wait for it again.
    assert proxy.requests == asked + 1


def test_a_page_begun_in_one_store_goes_on_in_the_other(corpus: Corpus, search: Search, proxy: Proxy) -> None:
    events = [event(HOUR * (number // 2)) for number in range(9)]
    corpus.add(*events)
    found: list[bytes] = []
    before: SearchPlace | None = None
    for number in range(5):
        proxy.away = number % 2 == 1
        turn = Search(corpus.stored, IndexSearch(connect(proxy.url), corpus.names), corpus.states)
        page = turn.run(query(), Wanted(limit=2, before=before))
        found, before = found + ids_of(page), page.following
    assert before is None
    assert found == [one.id for one in sorted(events, key=lambda one: (one.recorded_ms, one.id), reverse=True)]


def test_an_event_that_was_deleted_is_not_shown_whatever_the_index_says(corpus: Corpus, search: Search) -> None:
    deleted, kept = event(1), event(2)
    corpus.add(deleted, kept)
    corpus.database["events"].delete_one({"_id": deleted.id})
    assert ids_of(search.run(query(), PAGE)) == [kept.id]


def test_what_may_still_be_stored_is_not_looked_at(corpus: Corpus) -> None:
    now_ms = clock.now_ms()
    fresh = event(recorded_ms=now_ms - 1_000)
    corpus.events.insert([fresh], "b")
    found = Search(corpus.stored).run(query(until_ms=now_ms), PAGE)
    assert found.events == []
    assert found.until_ms <= clock.now_ms() - SETTLE_MS


def test_what_is_past_keeping_is_asked_of_nobody(corpus: Corpus, search: Search, proxy: Proxy) -> None:
    wanted = SearchQuery("alder", {EventKind.OPENED: START_MS + HOUR}, START_MS)
    asked = proxy.requests
    found = search.run(wanted, Wanted(limit=5, facets=(Facet.TYPE,), interval=Interval.DAY))
    assert (found.events, found.following) == ([], None)
    assert found.summary is not None
    assert found.summary.total == 0
    assert proxy.requests == asked

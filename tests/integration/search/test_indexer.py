"""Events reach the index once each, whatever fails on the way, and follow what MongoDB says of them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, NamedTuple

import pytest

from app.errors import StoreUnavailable
from app.lib import clock
from app.models.event import Event, EventKind, Verdict
from app.models.search import SearchQuery
from app.search.busy import SearchBusy
from app.search.finder import IndexSearch
from app.search.kept import kept_since
from app.storage.corrections import Corrections
from tests.integration.search.corpus import HOUR, MACHINE, START_MS, Corpus, brand, event, query
from tests.integration.search.proxy import Proxy


def found(finder: IndexSearch, wanted: SearchQuery | None = None) -> set[bytes]:
    return {event_id for _, event_id in finder.page(wanted or query(), before=None, limit=200, seconds=10)}


def ids_of(events: list[Event]) -> set[bytes]:
    return {one.id for one in events}


class Stops:
    """A store whose pages stop coming after some."""

    def __init__(self, corpus: Corpus, pages: int) -> None:
        self._corpus = corpus
        self._pages = pages

    def page(self, brand_id: str, **asked: Any) -> list[Event]:
        if not self._pages:
            raise StoreUnavailable("away")
        self._pages -= 1
        return self._corpus.events.page(brand_id, **asked)


class Correction(NamedTuple):
    changes: list[tuple[Event, Event]]
    new: list[Event]
    counts: dict[Any, int]


def correct(corpus: Corpus, before: Event, recorded_ms: int) -> Event:
    """Make a person's event a machine's, as ingest does; answers the correction."""
    told = event(
        kind=EventKind.RECLASSIFIED,
        judgement=MACHINE,
        recorded_ms=recorded_ms,
        message=before.message,
        corrects=before.id,
        corrects_kind=before.kind,
        before=before.judgement,
    )
    revision = Correction([(before, before._replace(judgement=MACHINE))], [told], {})
    (made,) = Corrections(corpus.database).settle([before.message], lambda message, events: revision, "b")
    return made


def test_a_run_goes_on_where_the_last_one_was_stopped(corpus: Corpus, finder: IndexSearch) -> None:
    events = [event(number) for number in range(10)]
    corpus.events.insert(events, "b")
    with pytest.raises(StoreUnavailable):
        corpus.indexer(events=Stops(corpus, 2), batch=3).run(brand(), seconds=30)
    state = corpus.states.of("alder")
    assert state is not None
    assert state.after == (events[5].recorded_ms, events[5].id)
    done = corpus.indexer(batch=3).run(brand(), seconds=30)
    assert done is not None
    assert (done.events, done.complete) == (4, True)
    assert found(finder) == ids_of(events)


def test_nothing_is_lost_while_opensearch_is_away(corpus: Corpus, finder: IndexSearch, proxy: Proxy) -> None:
    corpus.add(event(1))
    proxy.away = True
    late = event(2)
    corpus.events.insert([late], "b")
    with pytest.raises(StoreUnavailable):
        corpus.indexer().run(brand(), seconds=30)
    proxy.away = False
    done = corpus.indexer().run(brand(), seconds=30)
    assert done is not None
    assert done.events == 1
    assert len(found(finder)) == 2


def test_a_busy_opensearch_is_sent_fewer_events_later(corpus: Corpus, finder: IndexSearch, proxy: Proxy) -> None:
    events = [event(number) for number in range(160)]
    corpus.events.insert(events, "b")
    proxy.busy = 2
    waited: list[float] = []
    done = corpus.indexer(pause=waited.append).run(brand(), seconds=30)
    assert done is not None
    assert done.complete
    assert waited == [0.5, 1.0]
    # All 160, then 80, then 50 at once.
    assert proxy.bulks == [429, 429, 200, 200, 200, 200]
    assert found(finder) == ids_of(events)


def test_one_that_stays_busy_ends_the_run_and_the_cursor_stays(corpus: Corpus, proxy: Proxy) -> None:
    corpus.events.insert([event(1)], "b")
    proxy.busy = 1_000
    done = corpus.indexer(pause=lambda seconds: None).run(brand(), seconds=0.6)
    assert done is not None
    assert (done.events, done.complete) == (0, False)
    state = corpus.states.of("alder")
    assert state is not None
    assert state.after is None


def test_indexing_again_changes_nothing(corpus: Corpus, finder: IndexSearch) -> None:
    events = [event(number) for number in range(5)]
    corpus.add(*events)
    corpus.index.put(events, {}, version=10**6)
    corpus.index.refresh("alder")
    assert corpus.index.count("alder") == 5
    assert found(finder) == ids_of(events)


def test_a_corrected_event_is_found_by_what_is_said_of_it_now(corpus: Corpus, finder: IndexSearch) -> None:
    click = event(1, EventKind.CLICKED)
    corpus.add(click, event(2))
    told = correct(corpus, click, START_MS + HOUR)
    corpus.add()
    assert found(finder, query(verdict=Verdict.MACHINE)) == {click.id, told.id}
    assert found(finder, query(kinds=[EventKind.CLICKED], counted=True)) == set()
    assert found(finder, query(kinds=[EventKind.CLICKED], reason="datacenter_ip")) == {click.id}


def test_what_an_earlier_run_read_does_not_replace_what_a_later_one_did(corpus: Corpus, finder: IndexSearch) -> None:
    click = event(1, EventKind.CLICKED)
    corpus.add(click)
    corpus.index.put([click._replace(judgement=MACHINE)], {}, version=9)
    assert corpus.index.put([click], {}, version=8) == []
    corpus.index.refresh("alder")
    assert found(finder, query(verdict=Verdict.MACHINE)) == {click.id}


def test_an_index_that_somebody_took_away_is_made_anew(corpus: Corpus, finder: IndexSearch) -> None:
    events = [event(1), event(2)]
    corpus.add(*events)
    corpus.index.drop("alder")
    assert found(finder) == set()
    corpus.add()
    assert found(finder) == ids_of(events)


def test_starting_over_leaves_nothing_of_the_index_before(corpus: Corpus, finder: IndexSearch) -> None:
    kept, deleted = event(1), event(2)
    corpus.add(kept, deleted)
    corpus.database["events"].delete_one({"_id": deleted.id})
    corpus.states.start_over("alder")
    state = corpus.states.of("alder")
    assert state is not None
    assert state.until_ms == 0
    corpus.add()
    assert found(finder) == {kept.id}


def test_one_brand_started_over_leaves_the_others_alone(corpus: Corpus, finder: IndexSearch) -> None:
    corpus.add(event(1), event(1, brand_id="birch", message=7, block=7))
    corpus.index.begin("alder", "new", 395)
    assert corpus.index.count("alder") == 0
    assert len(found(finder, query("birch"))) == 1


def test_while_one_run_works_for_a_brand_another_does_nothing(corpus: Corpus) -> None:
    corpus.events.insert([event(1)], "b")
    claim = corpus.states.claim("alder", clock.now(), 60)
    assert claim is not None
    assert corpus.indexer().run(brand(), seconds=30) is None
    corpus.states.release("alder", claim.run)
    done = corpus.indexer().run(brand(), seconds=30)
    assert done is not None
    assert done.events == 1


def test_what_is_past_keeping_goes_by_months_and_then_by_kind(corpus: Corpus) -> None:
    long_ago = event(recorded_ms=START_MS - 500 * 24 * HOUR)
    corpus.add(event(1), event(2, EventKind.CLICKED), brands=(brand(),))
    corpus.index.put([long_ago], {}, version=1)
    corpus.index.refresh("alder")
    assert corpus.index.count("alder") == 3
    assert corpus.index.expire("alder", kept_since(brand(opened=3), clock.now())) == 1
    corpus.index.refresh("alder")
    assert corpus.index.count("alder") == 1


def test_a_run_takes_out_what_is_past_keeping_once_an_hour(corpus: Corpus) -> None:
    corpus.add(event(1), brands=(brand(),))
    state = corpus.states.of("alder")
    assert state is not None
    assert state.expired_at is not None
    run = corpus.states.claim("alder", clock.now(), 60)
    assert run is not None
    corpus.states.expired("alder", run.run, clock.now() - timedelta(hours=2))
    corpus.states.release("alder", run.run)
    corpus.indexer().run(brand(opened=3), seconds=30)
    corpus.index.refresh("alder")
    assert corpus.index.count("alder") == 0


def test_a_failure_tells_nothing_of_what_was_sent(corpus: Corpus, proxy: Proxy) -> None:
    corpus.add(event(1))
    proxy.busy = 1
    with pytest.raises(SearchBusy) as refused:
        corpus.index.put([event(2, campaign_id="secret-campaign")], {}, version=1)
    assert str(refused.value) == "TransportError"

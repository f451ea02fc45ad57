"""The composition root: the only file that picks implementations. One `Services` per process, made after any fork."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import timedelta
from functools import cached_property, partial
from typing import TYPE_CHECKING, Literal

from pymongo.database import Database
from redis import Redis

from app.brands import BrandRegistry, EndpointRules
from app.broker import Broker
from app.errors import BrokerUnavailable
from app.event_blocks import blocks_of
from app.ingest.attribute import Attribution
from app.ingest.look_back import LookBack
from app.ingest.networks import Networks
from app.ingest.personal import PersonalData
from app.ingest.pipeline import Pipeline
from app.ingest.reclassify import Reclassifier
from app.ingest.sealed import SealedHits
from app.ingest.signals import SignalReader
from app.ingest.sources import Sources
from app.journal.writer import JournalWriter
from app.lib.log import WARNING, log_event
from app.messages.erasure import Erasure
from app.messages.unsubscribe import Unsubscribes
from app.models.delivery import Endpoint
from app.privacy.keyring import Keyring
from app.privacy.recipients import Vault
from app.privacy.rotation import Rotation, Stores
from app.privacy.token_keys import TokenKeys
from app.privacy.token_messages import TokenMessages
from app.search.indexer import Indexer
from app.search.search import Search
from app.storage.api_keys import ApiKeys
from app.storage.batches import Batches
from app.storage.block_cache import BlockCache
from app.storage.blocks import Blocks
from app.storage.brand_keys import BrandKeys
from app.storage.breakers import Breakers
from app.storage.client import Document, connect, connect_redis
from app.storage.corrections import Corrections
from app.storage.dead_letters import DeadLetters
from app.storage.deliveries import Deliveries
from app.storage.delivery_rows import KEPT_FOR
from app.storage.endpoint_health import EndpointHealth
from app.storage.endpoints import Endpoints
from app.storage.erasures import Erasures
from app.storage.event_search import EventSearch
from app.storage.events import EventStore
from app.storage.idempotency import Idempotency
from app.storage.indexes import store_id
from app.storage.messages import Messages
from app.storage.numbers import Numbers
from app.storage.rates import Rates
from app.storage.recipient_keys import RecipientKeys
from app.storage.reclassify_runs import ReclassifyRuns
from app.storage.search_state import SearchStates
from app.storage.server_clocks import server_clocks
from app.storage.suppressions import Suppressions
from app.storage.traces import Traces
from app.storage.wakes import Wakes
from app.tracking.codes import NUMBER_LIMIT, Codes
from app.tracking.urls import TrackingUrls
from app.webhook_outbox import WebhookOutbox
from app.webhooks.rules import breaker_rules, health_rules
from app.webhooks.skew import ClockSkew
from config.queues import TaskName
from config.settings import Settings, read_variable

if TYPE_CHECKING:
    from app.search.opened import Opened

_log = logging.getLogger("telltale.services")

Role = Literal["web", "worker", "shipper", "cli"]

# Total time for one MongoDB operation. A person waits in front of the web; a batch may take its time.
_MONGO_SECONDS: Mapping[Role, float] = {"web": 2.0, "worker": 20.0, "shipper": 5.0, "cli": 30.0}
# A webhooks worker runs many endpoints at once, each of which claims and records.
_MONGO_CONNECTIONS: Mapping[Role, int] = {"web": 4, "worker": 16, "shipper": 4, "cli": 4}
# A worker gains nothing from giving Redis up early; the web must never hang on it.
_REDIS_SECONDS: Mapping[Role, float] = {"web": 0.2, "worker": 1.0, "shipper": 1.0, "cli": 2.0}


class Services:
    """What a process can need, each made when it is first asked for.

    Args:
        role: decides how long the stores may take.
    """

    def __init__(self, settings: Settings, role: Role) -> None:
        self.settings = settings
        self.role: Role = role

    @cached_property
    def brands(self) -> BrandRegistry:
        rules = EndpointRules(
            allow_http=self.settings.webhook_allow_http, allow_networks=self.settings.webhook_allow_networks
        )
        return BrandRegistry(
            self.settings.brands_file, self.settings.secrets_dir, read_variable=read_variable, rules=rules
        )

    @cached_property
    def codes(self) -> Codes:
        return Codes(self.settings.code_key)

    @cached_property
    def urls(self) -> TrackingUrls:
        return TrackingUrls(self.settings.public_scheme, self.settings.public_port)

    @cached_property
    def database(self) -> Database[Document]:
        pool = _MONGO_CONNECTIONS[self.role]
        return connect(self.settings, timeout_seconds=_MONGO_SECONDS[self.role], pool_size=pool)

    @cached_property
    def bulk_database(self) -> Database[Document]:
        """For ingest, whose every step may run again."""
        return connect(self.settings, timeout_seconds=_MONGO_SECONDS[self.role], retry_writes=False)

    @cached_property
    def redis(self) -> Redis:
        return connect_redis(self.settings.redis_url, timeout_seconds=_REDIS_SECONDS[self.role])

    @cached_property
    def cache(self) -> Redis:
        return connect_redis(self.settings.cache_url, timeout_seconds=_REDIS_SECONDS[self.role])

    @cached_property
    def broker(self) -> Broker:
        return Broker(self.settings)

    @cached_property
    def keyring(self) -> Keyring:
        return Keyring(self.settings.master_keys, BrandKeys(self.database))

    @cached_property
    def token_keys(self) -> TokenKeys:
        keys = TokenKeys(
            self.settings.master_keys, BrandKeys(self.database), self.settings.state_dir / "keys" / "token_keys.json"
        )
        if self.role != "cli":
            keys.load()
        return keys

    @cached_property
    def recipient_keys(self) -> RecipientKeys:
        return RecipientKeys(self.database)

    @cached_property
    def vault(self) -> Vault:
        return Vault(self.keyring, self.recipient_keys)

    @cached_property
    def rotation(self) -> Rotation:
        stores = Stores(
            brand_keys=BrandKeys(self.database),
            recipient_keys=self.recipient_keys,
            blocks=self.blocks,
            endpoints=self.endpoints,
            messages=self.messages,
            deliveries=self.deliveries,
        )
        return Rotation(self.settings.master_keys, self.keyring, self.vault, stores)

    @cached_property
    def store_id(self) -> str:
        return store_id(self.database)

    @cached_property
    def numbers(self) -> Numbers:
        return Numbers(self.database, self.redis, limit=NUMBER_LIMIT, store_id=lambda: self.store_id)

    @cached_property
    def blocks(self) -> Blocks:
        return Blocks(self.database, self.keyring)

    @cached_property
    def block_cache(self) -> BlockCache:
        return BlockCache(self.blocks, self.cache)

    @cached_property
    def messages(self) -> Messages:
        return Messages(self.database, self.vault, self.erasures)

    @cached_property
    def events(self) -> EventStore:
        return EventStore(self.database)

    @cached_property
    def batches(self) -> Batches:
        return Batches(self.database)

    @cached_property
    def search(self) -> Search:
        stored, opened = EventSearch(self.database), self._opensearch
        return Search(stored) if opened is None else Search(stored, opened.finder, self.search_states)

    @cached_property
    def search_states(self) -> SearchStates:
        return SearchStates(self.database)

    @cached_property
    def indexer(self) -> Indexer | None:
        """None where there is no search index."""
        opened, stored = self._opensearch, EventSearch(self.database)
        if opened is None:
            return None
        return Indexer(events=self.events, stored=stored, states=self.search_states, index=opened.index)

    @cached_property
    def _opensearch(self) -> Opened | None:
        url = self.settings.opensearch_url
        if url is None:
            return None
        from app.search.opened import open_search  # its client is large, and most deployments have no index

        return open_search(url, f"telltale-{self.store_id.lower()}")

    @cached_property
    def suppressions(self) -> Suppressions:
        return Suppressions(self.database)

    @cached_property
    def dead_letters(self) -> DeadLetters:
        return DeadLetters(self.database, self.keyring)

    @cached_property
    def deliveries(self) -> Deliveries:
        return Deliveries(self.database, self.vault, self.deliveries_kept_for)

    @cached_property
    def endpoints(self) -> Endpoints:
        return Endpoints(self.database, self.keyring)

    @cached_property
    def clock_skew(self) -> ClockSkew:
        return ClockSkew(server_clocks(self.database, self.redis))

    @cached_property
    def endpoint_health(self) -> EndpointHealth:
        return EndpointHealth(self.database, health_rules(self.settings))

    @cached_property
    def breakers(self) -> Breakers:
        return Breakers(self.cache, breaker_rules(self.settings))

    @cached_property
    def rates(self) -> Rates:
        return Rates(self.cache)

    @cached_property
    def wakes(self) -> Wakes:
        return Wakes(self.cache)

    @cached_property
    def api_keys(self) -> ApiKeys:
        return ApiKeys(self.database)

    @cached_property
    def idempotency(self) -> Idempotency:
        return Idempotency(self.database, self.settings.code_key)

    @cached_property
    def unsubscribes(self) -> Unsubscribes:
        return Unsubscribes(self.messages, self.suppressions, self.keyring)

    @cached_property
    def erasures(self) -> Erasures:
        return Erasures(self.database)

    @cached_property
    def erasure(self) -> Erasure:
        return Erasure(
            keys=self.recipient_keys,
            messages=self.messages,
            events=self.events,
            deliveries=self.deliveries,
            erasures=self.erasures,
            suppressions=self.suppressions,
        )

    @cached_property
    def _sealed_hits(self) -> SealedHits:
        return SealedHits(self.token_keys, TokenMessages(self.keyring), self.messages, self.erasures)

    @cached_property
    def journal(self) -> JournalWriter:
        """This process's own segment."""
        return JournalWriter(
            self.settings.journal_dir,
            max_bytes=self.settings.segment_max_bytes,
            max_seconds=self.settings.segment_max_seconds,
            low_bytes=self.settings.journal_low_bytes,
        )

    @cached_property
    def networks(self) -> Networks:
        return Networks(self.settings.state_dir / "networks")

    @cached_property
    def look_back(self) -> LookBack:
        traces = Traces(self.cache, self.store_id, self.events.any_since)
        return LookBack(traces, Corrections(self.database))

    @cached_property
    def ingest(self) -> Pipeline:
        return Pipeline(
            attribution=Attribution(
                codes=self.codes,
                blocks=self.block_cache,
                brands=self.brands,
                sealed=self._sealed_hits,
                erasures=self.erasures,
            ),
            signals=SignalReader(self.networks, Sources(self.settings.code_key)),
            personal=PersonalData(
                tokens=self.token_keys, sealed=self._sealed_hits, messages=self.messages, vault=self.vault
            ),
            look_back=self.look_back,
            events=EventStore(self.bulk_database),
            unsubscribes=self.unsubscribes,
            outbox=WebhookOutbox(self),
            counts=self.batches,
            dead_letters=self.dead_letters,
        )

    @cached_property
    def reclassifier(self) -> Reclassifier:
        return Reclassifier(
            events=self.events,
            runs=ReclassifyRuns(self.database),
            look_back=self.look_back,
            blocks_of=partial(blocks_of, self),
            tell=WebhookOutbox(self).write,
        )

    def wake(self, endpoints: set[tuple[str, str]]) -> None:
        """Have the deliveries of endpoints sent now: one task for each (brand id, endpoint id) that has none waiting.

        They are stored already: without a broker the sweep finds them a little later.
        """
        wanted = self.wakes.claim(sorted(endpoints))
        for place, (brand_id, endpoint_id) in enumerate(wanted):
            try:
                self.broker.enqueue(TaskName.DELIVER_ENDPOINT, brand_id, endpoint_id)
            except BrokerUnavailable:
                log_event(_log, WARNING, "endpoints_not_woken", endpoints=len(wanted) - place)
                return

    def close(self) -> None:
        """Let go of what was made: connections and this process's journal segment. For tests and short programs."""
        made = self.__dict__
        if "token_keys" in made:
            made["token_keys"].close()
        for database in ("database", "bulk_database"):
            if database in made:
                made[database].client.close()
        for name in ("redis", "cache", "journal"):
            if name in made:
                made[name].close()

    def deliveries_kept_for(self, brand_id: str) -> timedelta:
        """How long a brand keeps what its webhooks were told, once they were delivered or given up."""
        brand = self.brands.by_id(brand_id)
        return KEPT_FOR if brand is None else timedelta(days=brand.retention.delivery_days)

    def endpoints_of(self, brand_ids: set[str]) -> dict[str, list[Endpoint]]:
        """Every endpoint of some brands, from brands.yaml and the API: one query, so a new one is heard at once."""
        stored = self.endpoints.for_brands(brand_ids)
        found: dict[str, list[Endpoint]] = {}
        for brand_id in brand_ids:
            brand = self.brands.by_id(brand_id)
            found[brand_id] = [*(brand.endpoints if brand else ()), *stored.get(brand_id, ())]
        return found


def build_services(settings: Settings, *, role: Role) -> Services:
    """The services of one process; call it after any fork, because MongoDB's client must not be shared."""
    return Services(settings, role)

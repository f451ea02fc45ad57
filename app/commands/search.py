"""`flask search`: the optional search index."""

from __future__ import annotations

import click
from flask import current_app
from flask.cli import with_appcontext

from app.brands import Brand
from app.errors import StoreUnavailable
from app.lib import clock
from app.search.indexer import Indexer
from app.services import Services

group = click.Group("search", help="The search index of events (OPENSEARCH_URL).")

_TURN_SECONDS = 30.0
_brand_option = click.option("--brand", "brand_id", help="Only this brand's events.")


@group.command("status")
@_brand_option
@with_appcontext
def status(brand_id: str | None) -> None:
    """Say how far each brand's events are in the index."""
    services: Services = current_app.extensions["telltale"]
    _indexer(services)
    for brand in _brands(services, brand_id):
        click.echo(f"{brand.id}: {_status(services, brand)}")


@group.command("catch-up")
@_brand_option
@with_appcontext
def catch_up(brand_id: str | None) -> None:
    """Index now what the index lacks, instead of with the next ticks. May be stopped at any time."""
    services: Services = current_app.extensions["telltale"]
    indexer = _indexer(services)
    for brand in _brands(services, brand_id):
        _catch_up(indexer, brand)


@group.command("reindex")
@_brand_option
@with_appcontext
def reindex(brand_id: str | None) -> None:
    """Delete the index and make it anew from MongoDB.

    Meanwhile MongoDB answers searches. May be stopped at any time: beat's ticks, or `catch-up`, go on.
    """
    services: Services = current_app.extensions["telltale"]
    indexer = _indexer(services)
    for brand in _brands(services, brand_id):
        services.search_states.start_over(brand.id)
        _catch_up(indexer, brand)


def _catch_up(indexer: Indexer, brand: Brand) -> None:
    number = 0
    while True:
        try:
            done = indexer.run(brand, seconds=_TURN_SECONDS)
        except StoreUnavailable as error:
            raise click.ClickException(f"{brand.id}: a store does not answer; {number} events were indexed") from error
        if done is None:
            raise click.ClickException(f"{brand.id}: another run is indexing it just now")
        number += done.events
        if done.complete:
            break
        click.echo(f"{brand.id}: {number} events, at {clock.rfc3339(clock.from_ms(done.until_ms))}", err=True)
    click.echo(f"{brand.id}: {number} events indexed")


def _status(services: Services, brand: Brand) -> str:
    state = services.search_states.of(brand.id)
    if state is None or not state.generation:
        return "not indexed yet"
    try:
        held = f"{_indexer(services).count(brand.id)} events"
    except StoreUnavailable:
        held = "OpenSearch does not answer"
    behind = max(0, clock.now_ms() - state.until_ms) // 1000
    return f"{held}, found up to {clock.rfc3339(clock.from_ms(state.until_ms))} ({behind} seconds ago)"


def _indexer(services: Services) -> Indexer:
    if services.indexer is None:
        raise click.ClickException("there is no search index: OPENSEARCH_URL is not set")
    return services.indexer


def _brands(services: Services, brand_id: str | None) -> list[Brand]:
    if brand_id is None:
        return list(services.brands.all())
    brand = services.brands.by_id(brand_id)
    if brand is None:
        raise click.BadParameter(f"there is no brand {brand_id}", param_hint="--brand")
    return [brand]

"""`flask db`: prepares MongoDB and looks after it."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import click
from flask import current_app
from flask.cli import with_appcontext

from app.analytics.definitions import FIGURES, values
from app.analytics.differences import differences
from app.lib import clock
from app.services import Services
from app.storage.count_query import CountQuery
from app.storage.indexes import create_indexes
from app.storage.recount import recount as recount_events

_DAY = click.DateTime(["%Y-%m-%d"])
_SHOWN = 50

group = click.Group("db", help="Prepare and check MongoDB.")


def _services() -> Services:
    services: Services = current_app.extensions["telltale"]
    return services


@group.command("init")
@with_appcontext
def init() -> None:
    """Make collections, indexes and lifetimes. Harmless again; run it before serving a new version."""
    names = create_indexes(_services().database)
    click.echo(f"indexes are in place in {len(names)} collections")


@group.command("figures")
@click.argument("brand_id")
@click.option("--from", "since", type=_DAY, help="First UTC day; the first of all by default.")
@click.option("--to", "until", type=_DAY, help="Last UTC day; today by default.")
@click.option("--campaign", help="Only this campaign.")
@click.option("--recount", is_flag=True, help="Hold the counts against the stored events instead. Reads all of them.")
@with_appcontext
def figures(
    brand_id: str, since: datetime | None, until: datetime | None, campaign: str | None, *, recount: bool
) -> None:
    """Print the figures of BRAND_ID. What they mean: docs/figures.md."""
    first_day = date.min if since is None else since.date()
    last_day = clock.now().date() if until is None else until.date()
    if recount:
        if campaign is not None:
            raise click.UsageError("--recount is for whole brands")
        _recount(brand_id, first_day, last_day)
        return
    query = CountQuery(first_day, last_day, None if campaign is None else [campaign], by_day=False, by_campaign=False)
    for name, value in values(FIGURES, _services().batches.figures(brand_id, query)).items():
        click.echo(f"{name:<24}{'–' if value is None else value:>12}")


def _recount(brand_id: str, first_day: date, last_day: date) -> None:
    services = _services()
    brand = services.brands.by_id(brand_id)
    if brand is None:
        raise click.ClickException(f"there is no brand {brand_id}")
    # Counts are kept for ever, events are not: only days of which no event can be gone yet.
    kept = min(days for _, days in brand.retention.events)
    first_day = max(first_day, (clock.now() - timedelta(days=kept)).date() + timedelta(days=1))
    query = CountQuery(first_day, last_day)
    before = services.batches.figures(brand_id, query)
    events = recount_events(services.database, brand_id, first_day=first_day, last_day=last_day)
    found = differences(before, events, services.batches.figures(brand_id, query))
    click.echo(f"{events.total()} events from {first_day} to {last_day}, {len(found)} differences")
    for key, counted, recounted in found[:_SHOWN]:
        place = f"{key.day} {key.campaign_id or '–'} {key.kind} {key.part} {key.share} rank {key.rank}"
        click.echo(f"{place} {'counted' if key.counted else 'not counted'}: {counted} in counts, {recounted} in events")
    if found:
        raise click.ClickException("run it again while hits come in: a batch may have been half way")

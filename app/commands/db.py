"""`flask db`: prepares MongoDB and looks after it."""

from __future__ import annotations

import click
from flask import current_app
from flask.cli import with_appcontext

from app.models.event import FIRST
from app.services import Services
from app.storage.indexes import create_indexes

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
@with_appcontext
def figures(brand_id: str) -> None:
    """Print what is counted for BRAND_ID: per day, kind and verdict, total and first."""
    rows = _services().batches.figures(brand_id)
    totals: dict[tuple[str, str, str, bool], list[int]] = {}
    for key, number in rows.items():
        row = totals.setdefault((key.day, key.kind, key.share, key.counted), [0, 0])
        row[0] += number
        row[1] += number if key.rank == FIRST else 0
    click.echo(f"{'day':<12}{'kind':<14}{'verdict':<10}{'counted':<9}{'total':>8}{'unique':>8}")
    for (day, kind, verdict, counted), (total, first) in sorted(totals.items()):
        click.echo(f"{day:<12}{kind:<14}{verdict:<10}{'yes' if counted else 'no':<9}{total:>8}{first:>8}")

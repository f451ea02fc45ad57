"""`flask events`: works on stored events."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import click
from flask import current_app
from flask.cli import with_appcontext

from app.brands import Brand
from app.services import Services

group = click.Group("events", help="Work on stored events.")


@group.command("reclassify")
@click.option(
    "--since",
    required=True,
    type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"]),
    help="UTC; events recorded from then on.",
)
@click.option("--brand", "brand_id", help="Only this brand's events.")
@click.option("--dry-run", is_flag=True, help="Only count what would be corrected.")
@with_appcontext
def reclassify(since: datetime, brand_id: str | None, dry_run: bool) -> None:
    """Judge stored events again by the rules, lists and policies of now, and correct only what differs.

    Figures follow and brands are told. A run that was stopped goes on where it was when it is started with the same
    --since; run it again after an error.
    """
    services: Services = current_app.extensions["telltale"]
    for brand in _brands(services, brand_id):
        _reclassify(services, brand, since.replace(tzinfo=UTC), dry=dry_run)


def _reclassify(services: Services, brand: Brand, since: datetime, *, dry: bool) -> None:
    events = corrected = 0
    since_ms = int(since.timestamp() * 1000)
    for progress, woken in services.reclassifier.run(brand, since_ms, dry=dry):
        services.wake(woken)
        events, corrected = progress.events, progress.corrected
        at = datetime.fromtimestamp((progress.after or (since_ms, b""))[0] / 1000, UTC)
        left = datetime.now(UTC) - at
        click.echo(
            f"{brand.id}: {events} events, {corrected} corrected, at {at:%Y-%m-%d %H:%M:%S}"
            f" ({left // timedelta(hours=1)} hours to go)",
            err=True,
        )
    click.echo(f"{brand.id}: {events} events looked at, {corrected} {'would be ' if dry else ''}corrected")


def _brands(services: Services, brand_id: str | None) -> list[Brand]:
    if brand_id is None:
        return list(services.brands.all())
    brand = services.brands.by_id(brand_id)
    if brand is None:
        raise click.BadParameter(f"there is no brand {brand_id}", param_hint="--brand")
    return [brand]

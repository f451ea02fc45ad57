"""`flask archive …`: brands' archives by hand. What is in them is in docs/archive.md."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import click
from flask import current_app
from flask.cli import with_appcontext

from app.archive.hours import hour_of, hour_text, hours_between, settled_before
from app.archiving import Archiving
from app.errors import TelltaleError
from app.lib import clock
from app.models.archive import HOUR_MS
from app.services import Services


def _span(_: click.Context, __: click.Parameter, text: str | None) -> tuple[int, int] | None:
    """The first millisecond of a day or an hour, and the first one after it."""
    for form, lasts in (("%Y-%m-%d", 24 * HOUR_MS), ("%Y-%m-%dT%H", HOUR_MS)):
        try:
            start = datetime.strptime(text or "", form).replace(tzinfo=UTC)
        except ValueError:
            continue
        begins = int(start.timestamp() * 1000)
        return begins, begins + lasts
    if text is None:
        return None
    raise click.BadParameter("must be a day such as 2026-01-31 or an hour such as 2026-01-31T13")


_FROM = click.option("--from", "since", callback=_span, help="First day or hour, UTC: 2026-01-31 or 2026-01-31T13.")
_TO = click.option("--to", "until", callback=_span, help="Last day or hour, UTC.")
_Span = tuple[int, int] | None

group = click.Group("archive", help="Brands' archives: what is written, writing, verifying and restoring it.")


@group.command("status")
@click.argument("brand_id")
@with_appcontext
def status(brand_id: str) -> None:
    """What of BRAND_ID is archived, and what is due."""
    archiving = _archiving(brand_id)
    now_ms = clock.now_ms()
    hours = events = size = 0
    last = None
    for archived in archiving.state.archived(brand_id, 0, hour_of(now_ms)):
        hours, events, size, last = hours + 1, events + archived.events, size + archived.size, archived.hour
    due = list(archiving.due())
    click.echo(f"{brand_id}: {hours} hours, {events} events, {size} bytes archived", nl=False)
    click.echo("" if last is None else f", the last {hour_text(last)}")
    click.echo(f"{len(due)} hours due" + (f", the first {hour_text(due[0])}" if due else ""))
    if archiving.state.resting(brand_id, clock.now()):
        click.echo("the bucket failed a few minutes ago; the log says how")


@group.command("run")
@click.argument("brand_id")
@_FROM
@_TO
@with_appcontext
def run(brand_id: str, since: _Span, until: _Span) -> None:
    """Archive what is due of BRAND_ID now; with --from, also hours that were archived, as their events are now."""
    archiving = _archiving(brand_id)
    settled = settled_before(clock.now_ms())
    hours = archiving.due() if since is None else hours_between(_from(since), min(_to(until), settled))
    writer = archiving.writer()
    for hour in hours:
        with _failures_told():
            outcome = writer.write(hour)
        click.echo(f"{hour_text(hour)}: {outcome}")


@group.command("verify")
@click.argument("brand_id")
@_FROM
@_TO
@click.option("--quick", is_flag=True, help="Look at names and sizes; read no file.")
@with_appcontext
def verify(brand_id: str, since: _Span, until: _Span, quick: bool) -> None:
    """Hold BRAND_ID's archived hours against their manifests and MongoDB. Exit code 1 when something is wrong."""
    archiving = _archiving(brand_id)
    verifier, hours, faults = archiving.verifier(), 0, 0
    for archived in archiving.state.archived(brand_id, _from(since), min(_to(until), hour_of(clock.now_ms()))):
        hours += 1
        with _failures_told():
            found = list(verifier.verify(archived.hour, quick=quick))
        faults += len(found)
        for fault in found:
            click.echo(f"{hour_text(archived.hour)}: {fault}")
    click.echo(f"{brand_id}: {hours} hours looked at, {faults} faults")
    if faults:
        raise click.exceptions.Exit(1)


@group.command("restore")
@click.argument("brand_id")
@_FROM
@_TO
@click.option("--dry-run", is_flag=True, help="Only count what would come back.")
@with_appcontext
def restore(brand_id: str, since: _Span, until: _Span, dry_run: bool) -> None:
    """Put BRAND_ID's archived events back into MongoDB. What is there stays as it is; run it again after an error."""
    restorer = _archiving(brand_id).restorer()
    events = inserted = 0
    with _failures_told():
        for hour in restorer.hours(_from(since), _to(until)):
            done = restorer.restore(hour, dry=dry_run)
            events, inserted = events + done.events, inserted + done.inserted
            click.echo(f"{hour_text(hour)}: {done.events} events, {done.inserted} were missing", err=True)
    click.echo(f"{brand_id}: {events} events in the archive, {inserted} {'would be ' if dry_run else ''}restored")


@contextmanager
def _failures_told() -> Iterator[None]:
    try:
        yield
    except TelltaleError as error:
        raise click.ClickException(f"{error}. Nothing is lost; run it again") from error


def _archiving(brand_id: str) -> Archiving:
    services: Services = current_app.extensions["telltale"]
    brand = services.brands.by_id(brand_id)
    if brand is None:
        raise click.BadParameter(f"there is no brand {brand_id}", param_hint="BRAND_ID")
    if brand.archive is None:
        raise click.ClickException(f"brand {brand_id} has no archive in brands.yaml")
    return Archiving(services, brand, brand.archive)


def _from(span: _Span) -> int:
    return 0 if span is None else span[0]


def _to(span: _Span) -> int:
    return hour_of(clock.now_ms()) + HOUR_MS if span is None else span[1]

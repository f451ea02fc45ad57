"""`flask webhooks …`: a receiver for trying things out, a test event, endpoints and their state, replays."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import click
from flask import current_app
from flask.cli import with_appcontext

from app.brands import Brand
from app.brands.secrets import parse_webhook_secret
from app.errors import CallerError
from app.lib import clock, ids
from app.models.delivery import Delivery, DeliveryState, DisabledReason, Endpoint
from app.models.endpoint_health import Health
from app.models.replay import RECOVERED_STATES, REPLAYED_STATES, ReplayState, Selection
from app.services import Services
from app.storage.event_deliveries import EventDeliveries
from app.storage.replays import Replays, new_replay_id
from app.webhooks import replay as replaying
from app.webhooks.listener import Listening, make_server
from app.webhooks.probe import test_delivery
from config.queues import TaskName

_LOOK_SECONDS = 0.2
_MOMENT = click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"])


@click.group("webhooks")
def group() -> None:
    """Webhooks: listen, send-test, endpoints, enable, disable, replay."""


@group.command("listen")
@click.option("--port", default=8085, show_default=True, type=click.IntRange(0, 65535), help="0: a free one.")
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--secret", "secrets", multiple=True, help="whsec_…; several may be given.")
@click.option("--status", default=204, show_default=True, type=click.IntRange(200, 599), help="What to answer.")
def listen(port: int, host: str, secrets: tuple[str, ...], status: int) -> None:
    """Receive webhooks on this machine: verify each and print it. Needs no settings and no servers."""
    try:
        keys = [parse_webhook_secret(text.strip()) for text in secrets]
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--secret") from None  # the cause may quote it
    try:
        server = make_server(host, port, Listening(keys, status, click.echo))
    except OSError as error:
        raise click.ClickException(f"cannot listen on {host}:{port}: {error.strerror}") from error
    with server:
        click.echo(f"listening on http://{host}:{server.server_address[1]}/ (any path); Ctrl-C ends it", err=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            click.echo("", err=True)


@group.command("send-test")
@click.argument("brand_id", metavar="BRAND")
@click.argument("endpoint_id", metavar="[ENDPOINT]", required=False)
@click.option("--wait", "seconds", default=20.0, show_default=True, help="Seconds to wait for the answers.")
@with_appcontext
def send_test(brand_id: str, endpoint_id: str | None, seconds: float) -> None:
    """Send an endpoint.test to an endpoint of a brand, or to all that are on, and tell how it went.

    It goes the way of every event, so the workers must be running.
    """
    services, now = _services(), clock.now()
    health = services.endpoint_health.of_brand(brand_id)
    targets = _endpoints(services, _brand(services, brand_id), endpoint_id)
    on = [one for one in targets if health.get(one.id, Health()).disabled is None]
    for one in set(targets) - set(on):
        click.echo(f"{one.id}: disabled", err=True)
    sent = [test_delivery(one, ids.event_id_text(ids.new_id()), now) for one in on]
    services.deliveries.insert_many(sent)
    services.wake({(one.brand_id, one.endpoint_id) for one in sent})
    if not sent or not _all_arrived(services, sent, seconds):
        raise click.ClickException("not every test event arrived" if sent else "there is no endpoint that is on")


@group.command("endpoints")
@click.argument("brand_id", metavar="[BRAND]", required=False)
@with_appcontext
def endpoints(brand_id: str | None) -> None:
    """List endpoints of brands.yaml and of the API with their state, without URLs."""
    services = _services()
    brands = services.brands.all() if brand_id is None else [_brand(services, brand_id)]
    for brand in brands:
        health = services.endpoint_health.of_brand(brand.id)
        for one in _endpoints(services, brand, None):
            click.echo(
                f"{brand.id:<20}  {one.id:<30}  {one.transport.value:<15}  {_state(health.get(one.id, Health()))}"
            )


@group.command("disable")
@click.argument("brand_id", metavar="BRAND")
@click.argument("endpoint_id", metavar="ENDPOINT")
@with_appcontext
def disable(brand_id: str, endpoint_id: str) -> None:
    """Send an endpoint nothing any more; what arrives for it is parked."""
    services = _services()
    _endpoints(services, _brand(services, brand_id), endpoint_id)
    done = services.endpoint_health.disable(brand_id, endpoint_id, DisabledReason.OWNER, clock.now())
    click.echo(f"{endpoint_id} {'is disabled' if done else 'was disabled already'}")


@group.command("enable")
@click.argument("brand_id", metavar="BRAND")
@click.argument("endpoint_id", metavar="ENDPOINT")
@click.option("--recover", is_flag=True, help="Replay what was parked or died meanwhile.")
@with_appcontext
def enable(brand_id: str, endpoint_id: str, recover: bool) -> None:
    """Send to a disabled endpoint again."""
    services, now = _services(), clock.now()
    _endpoints(services, _brand(services, brand_id), endpoint_id)
    missed = replaying.recovery(endpoint_id, services.endpoint_health.of(brand_id, endpoint_id), now)
    if missed is None:
        raise click.ClickException("it is not disabled")
    if recover:
        _begin(services, brand_id, missed)
    services.endpoint_health.enable(brand_id, endpoint_id, now)
    services.deliveries.turns.pause(brand_id, endpoint_id, until=now)  # its rest is over
    click.echo(f"{endpoint_id} is enabled")


@group.command("replay")
@click.argument("brand_id", metavar="BRAND")
@click.option("--endpoint", "endpoint_id", help="Only this endpoint's.")
@click.option("--since", type=_MOMENT, help="UTC; deliveries made from then on.")
@click.option("--until", type=_MOMENT, help="UTC; and before then. Now by default.")
@click.option("--event", "event_ids", multiple=True, help="By event instead of time: evt_…; several may be given.")
@click.option(
    "--state",
    "states",
    multiple=True,
    type=click.Choice(sorted(state.value for state in REPLAYED_STATES)),
    help="By default dead and parked; with --event all.",
)
@click.option("--dry-run", is_flag=True, help="Only count.")
@with_appcontext
def replay(
    *,
    brand_id: str,
    endpoint_id: str | None,
    since: datetime | None,
    until: datetime | None,
    event_ids: tuple[str, ...],
    states: tuple[str, ...],
    dry_run: bool,
) -> None:
    """Send deliveries again, behind live traffic. The workers carry it out; this only begins it."""
    services, now = _services(), clock.now()
    _endpoints(services, _brand(services, brand_id), endpoint_id)
    if bool(event_ids) == (since is not None):
        raise click.UsageError("give either --since or --event")
    default = REPLAYED_STATES if event_ids else RECOVERED_STATES
    chosen = Selection(
        since=now if since is None else since.replace(tzinfo=UTC),
        until=now if until is None else min(now, until.replace(tzinfo=UTC)),
        endpoint_id=endpoint_id,
        states=frozenset(map(DeliveryState, states)) or default,
        event_ids=event_ids,
    )
    if dry_run:
        total = replaying.count(services.deliveries, EventDeliveries(services.database), brand_id, chosen)
        click.echo(f"{total} deliveries would be sent again")
        return
    _begin(services, brand_id, chosen)


def _begin(services: Services, brand_id: str, chosen: Selection) -> None:
    ledger, finder = Replays(services.database), EventDeliveries(services.database)
    replay_id = new_replay_id()
    try:
        begun = replaying.begin(
            ledger,
            services.deliveries,
            finder,
            replay_id=replay_id,
            brand_id=brand_id,
            chosen=chosen,
            now=clock.now(),
        )
    except CallerError as error:
        raise click.ClickException(error.detail) from error
    services.broker.enqueue(TaskName.REPLAY)
    click.echo(f"{replay_id}: {begun.total} deliveries ({ReplayState.RUNNING.value})")


def _all_arrived(services: Services, sent: list[Delivery], seconds: float) -> bool:
    """Wait until each was answered, and print how."""
    waiting, until, arrived = {one.id: one for one in sent}, time.monotonic() + seconds, 0
    while waiting and time.monotonic() < until:
        for one in list(waiting.values()):
            record = services.deliveries.find(one.brand_id, one.id)
            if record is None or (not record.log and record.delivery.state is DeliveryState.PENDING):
                continue
            last = record.log[-1] if record.log else None
            state = record.delivery.state
            arrived += state in (DeliveryState.DELIVERED, DeliveryState.QUEUED)
            how = f"{last.outcome} after {last.seconds:.2f} s" if last else record.closed or "no attempt"
            click.echo(f"{one.endpoint_id}: {state.value} ({how}), {one.id}")
            del waiting[one.id]
        time.sleep(_LOOK_SECONDS if waiting else 0)
    for one in waiting.values():
        click.echo(f"{one.endpoint_id}: no attempt yet; are the workers running? {one.id}", err=True)
    return arrived == len(sent)


def _services() -> Services:
    found: Services = current_app.extensions["telltale"]
    return found


def _brand(services: Services, brand_id: str) -> Brand:
    brand = services.brands.by_id(brand_id)
    if brand is None:
        raise click.BadParameter("there is no such brand in brands.yaml", param_hint="BRAND")
    return brand


def _endpoints(services: Services, brand: Brand, endpoint_id: str | None) -> list[Endpoint]:
    """A brand's endpoints, or the one that is asked for."""
    known = [*brand.endpoints, *(stored.endpoint for stored in services.endpoints.list_for_brand(brand.id))]
    found = known if endpoint_id is None else [one for one in known if one.id == endpoint_id]
    if endpoint_id is not None and not found:
        raise click.BadParameter("the brand has no such endpoint", param_hint="ENDPOINT")
    return found


def _state(health: Health) -> str:
    if health.disabled is not None:
        return f"disabled ({health.disabled.value})"
    if health.failing_since is not None:
        hours = (clock.now() - health.failing_since) // timedelta(hours=1)
        return f"failing for {hours} h" + (f" ({health.mark})" if health.mark else "")
    return "active"

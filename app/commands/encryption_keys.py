"""`flask keys status|rotate|rewrap|retire`: the keys that encrypt. API keys, of the same group, are in `keys`."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import click
from flask import current_app
from flask.cli import with_appcontext

from app.commands.keys import group
from app.errors import ConfigurationError, StoreUnavailable
from app.lib import clock
from app.models.brand_key import KeyKind
from app.privacy.rotation import KeyInUse, KeyUse
from app.services import Services

__all__ = ["group"]

_KINDS = click.Choice([KeyKind.DATA.value, KeyKind.TOKEN.value])
_MASTER_LEAVES = (
    "An older master key may leave the settings after 30 days: dead letters are kept so long, under a key derived from "
    "it. Batches on the broker need it for minutes."
)


@group.command("status")
@click.option("--brand", "brand_id", help="Only this brand's.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@with_appcontext
def status(brand_id: str | None, as_json: bool) -> None:
    """Which keys are in use, and how many documents need each.

    Deliveries are counted that need the key or an older one.
    """
    services = _services()
    with _said():
        uses = [use for one in _brands(services, brand_id) for use in services.rotation.status(one)]
    if as_json:
        click.echo(json.dumps([_shown(use) for use in uses], indent=2))
        return
    rows = [("BRAND", "KIND", "NUMBER", "MADE", "MASTER", "STATE", "NEEDED BY"), *map(_row, uses)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    configured = [key_id for key_id, _ in services.settings.master_keys]
    for key_id, count in sorted(Counter(use.master_key_id for use in uses).items()):
        place = "the newest" if key_id == configured[0] else "older; `flask keys rewrap --master` frees it"
        click.echo(f"master key {key_id} wraps {count}: {place if key_id in configured else 'NOT CONFIGURED'}")


@group.command("rotate")
@click.option("--brand", "brand_id", help="The brand's id.")
@click.option("--all-brands", is_flag=True, help="Every brand's key.")
@click.option("--kind", type=_KINDS, default=KeyKind.DATA.value, show_default=True, help="What it encrypts.")
@with_appcontext
def rotate(brand_id: str | None, all_brands: bool, kind: str) -> None:
    """Give a brand a new key. Older ones go on opening what they sealed until they are retired.

    A data key is followed by everything that an older one wraps or seals (as `rewrap`); no person's data are rewritten.
    """
    if (brand_id is None) == (not all_brands):
        raise click.UsageError("give either --brand or --all-brands")
    services = _services()
    for one in _brands(services, brand_id, with_keys_only=False):
        with _said():
            if kind == KeyKind.TOKEN.value:
                number = services.token_keys.rotate(one)
                click.echo(f"{one}: token key {number} seals from now on, in every process within 10 seconds")
                continue
            number = services.rotation.rotate(one)
            click.echo(f"{one}: data key {number} seals from now on, in every process within a minute")
            _rewrap(services, one)
    if kind == KeyKind.TOKEN.value:
        click.echo("If a brand mints its own tokens, give it the new key: flask tokens key", err=True)
    else:
        click.echo("In a minute, `flask keys rewrap` takes what other processes still did with the old key.", err=True)


@group.command("rewrap")
@click.option("--brand", "brand_id", help="Only this brand. Default: all that have keys.")
@click.option("--master", is_flag=True, help="Instead, wrap the brands' keys themselves under the newest master key.")
@with_appcontext
def rewrap(brand_id: str | None, master: bool) -> None:
    """Move everything from older data keys to the newest. May be interrupted, repeated, and run twice at once."""
    services = _services()
    if master and brand_id is not None:
        raise click.UsageError("--master is for all brands")
    with _said():
        if master:
            changed = services.rotation.rewrap_brand_keys(_progress("all brands"))
            click.echo(f"{changed} keys are wrapped anew under master key {services.settings.master_keys[0][0]}")
            click.echo(_MASTER_LEAVES, err=True)
            return
        for one in _brands(services, brand_id):
            _rewrap(services, one)


@group.command("retire")
@click.option("--brand", "brand_id", required=True, help="The brand's id.")
@click.option("--kind", type=_KINDS, required=True, help="What it encrypts.")
@click.option("--number", type=click.IntRange(1, 65535), required=True, help="The key's number, as `status` shows it.")
@click.option("--yes", is_flag=True, help="Do not ask (token keys).")
@with_appcontext
def retire(brand_id: str, kind: str, number: int, yes: bool) -> None:
    """Delete an old key for good. A data key only when nothing needs it; a token key ends every link made with it."""
    services = _services()
    (one,) = _brands(services, brand_id)
    with _said():
        if kind == KeyKind.DATA.value:
            services.rotation.retire(one, number)
        else:
            if not yes:
                click.confirm(f"Every link that {one} made with token key {number} will be dead. Go on?", abort=True)
            try:
                removed = services.token_keys.retire(one, number)
            except ValueError as error:
                raise click.ClickException(str(error)) from error
            if not removed:
                raise click.ClickException("the brand has no key with this number")
    click.echo(f"{one}: {kind} key {number} is retired")


def _rewrap(services: Services, brand_id: str) -> None:
    done = services.rotation.rewrap(brand_id, _progress(brand_id))
    changed = ", ".join(f"{count} {name}" for name, count in done.items() if count)
    click.echo(f"{brand_id}: {changed or 'nothing'} moved to the newest data key")


def _progress(whose: str) -> Callable[[str, int], None]:
    """Say how far it is, about once a second."""
    said_at = time.monotonic()

    def say(what: str, done: int) -> None:
        nonlocal said_at
        if time.monotonic() - said_at >= 1:
            said_at = time.monotonic()
            click.echo(f"{whose}: {done} {what} …", err=True)

    return say


@contextmanager
def _said() -> Iterator[None]:
    """What can go wrong, as a sentence. Everything here may be called again."""
    try:
        yield
    except (KeyInUse, ConfigurationError) as error:
        raise click.ClickException(str(error)) from error
    except StoreUnavailable as error:
        raise click.ClickException("MongoDB did not answer in time; what is done is done, call it again") from error


def _services() -> Services:
    found: Services = current_app.extensions["telltale"]
    return found


def _brands(services: Services, brand_id: str | None, *, with_keys_only: bool = True) -> list[str]:
    """One brand, or all; brands that left brands.yaml still have keys and data."""
    with _said():
        known = set(services.rotation.brand_ids())
    configured = {brand.id for brand in services.brands.all()}
    if brand_id is None:
        return sorted(known if with_keys_only else known | configured)
    if brand_id not in known | configured:
        raise click.BadParameter("there is no such brand in brands.yaml, and no key of one", param_hint="--brand")
    return [brand_id]


def _row(use: KeyUse) -> tuple[str, ...]:
    if use.needed_by is None:
        needed = "unknown: tokens are out in the world"
    elif use.kind is KeyKind.INDEX:
        needed = "address hashes, for ever"
    else:
        counts = ", ".join(f"{count} {name}" for name, count in use.needed_by.items() if count)
        needed = counts or ("nothing yet" if use.current else "nothing: can be retired")
    state = "current" if use.current else "old"
    made = use.created_at.date().isoformat()
    return use.brand_id, use.kind.value, str(use.number), made, use.master_key_id, state, needed


def _shown(use: KeyUse) -> dict[str, Any]:
    return {
        "brand_id": use.brand_id,
        "kind": use.kind.value,
        "number": use.number,
        "created_at": clock.rfc3339(use.created_at),
        "master_key_id": use.master_key_id,
        "current": use.current,
        "needed_by": None if use.needed_by is None else dict(use.needed_by),
    }

"""`flask tokens …`: the keys of sealed tokens. What a brand does with them is in docs/tokens.md."""

from __future__ import annotations

import json

import click
from flask import current_app
from flask.cli import with_appcontext

from app.lib import clock
from app.privacy.token_keys import TokenKeyInfo
from app.services import Services
from app.tracking.tokens import key_text

_BRAND = click.option("--brand", "brand_id", required=True, help="The brand's id in brands.yaml.")


@click.group("tokens")
def group() -> None:
    """Keys of sealed tokens: export, rotate, retire."""


@group.command("key")
@_BRAND
@with_appcontext
def key(brand_id: str) -> None:
    """Print the brand's current key, for its own sender to mint tokens with; the first call makes it."""
    number, secret = _services(brand_id).token_keys.export(brand_id)
    click.echo(key_text(brand_id, number, secret))
    click.echo(
        "This is a secret: whoever has it can read the brand's tokens and make links of the brand. Hand it over as you "
        "would a password. `flask tokens rotate` makes the next one.",
        err=True,
    )


@group.command("rotate")
@_BRAND
@with_appcontext
def rotate(brand_id: str) -> None:
    """Make a new key. Links made with the older ones go on working until those are retired."""
    number = _services(brand_id).token_keys.rotate(brand_id)
    click.echo(f"{brand_id}: key {number} seals from now on, in every process within 10 seconds")
    click.echo("If the brand mints its own tokens, give it the new key: flask tokens key", err=True)


@group.command("retire")
@_BRAND
@click.option("--number", type=click.IntRange(1, 65535), required=True, help="The key's number, as `list` shows it.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@with_appcontext
def retire(brand_id: str, number: int, yes: bool) -> None:
    """End an old key for good: every link made with it stops working, unsubscribe links too."""
    keys = _services(brand_id).token_keys
    if not yes:
        click.confirm(f"Every link that {brand_id} made with key {number} will be dead. Go on?", abort=True)
    try:
        removed = keys.retire(brand_id, number)
    except ValueError as error:
        raise click.ClickException(str(error)) from error
    if not removed:
        raise click.ClickException("the brand has no key with this number")
    click.echo(f"{brand_id}: key {number} is retired, in every process within 10 seconds")


@group.command("list")
@click.option("--brand", "brand_id", help="Only this brand's.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@with_appcontext
def list_keys(brand_id: str | None, as_json: bool) -> None:
    """List the keys, without the keys themselves."""
    keys = _services(brand_id).token_keys.keys_of(brand_id)
    if as_json:
        click.echo(json.dumps([_shown(one) for one in keys], indent=2))
        return
    for one in keys:
        state = "current" if one.current else "opens"
        click.echo(f"{one.brand_id:<20}  {one.number:>5}  {one.created_at.date()}  {state:<7}  {one.master_key_id}")


def _services(brand_id: str | None) -> Services:
    found: Services = current_app.extensions["telltale"]
    if brand_id is not None and found.brands.by_id(brand_id) is None:
        raise click.BadParameter("there is no such brand in brands.yaml", param_hint="--brand")
    return found


def _shown(one: TokenKeyInfo) -> dict[str, str | int | bool]:
    return {
        "brand_id": one.brand_id,
        "number": one.number,
        "current": one.current,
        "created_at": clock.rfc3339(one.created_at),
        "master_key_id": one.master_key_id,
    }

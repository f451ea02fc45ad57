"""`flask keys …`: makes, lists and revokes the API keys of brands. Keys that encrypt are in `encryption_keys`."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import click
from flask import current_app
from flask.cli import with_appcontext

from app.lib import clock
from app.models.api_key import ApiKey, Scope, parse_scopes, scope_names
from app.services import Services

_MAX_NAME = 100


@click.group("keys")
def group() -> None:
    """API keys (create, list, revoke) and the keys that encrypt (status, rotate, rewrap, retire)."""


@group.command("create")
@click.option("--brand", "brand_id", help="The brand's id in brands.yaml.")
@click.option("--all-brands", is_flag=True, help="One key for every brand.")
@click.option("--scopes", "scopes_text", default="all", show_default=True, help="all, or a comma-separated list.")
@click.option("--name", required=True, help="What the key is for; shown in the list.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@with_appcontext
def create(brand_id: str | None, all_brands: bool, scopes_text: str, name: str, as_json: bool) -> None:
    """Make a key. It is shown once; only its hash is kept."""
    if (brand_id is None) == (not all_brands):
        raise click.UsageError("give either --brand or --all-brands")
    scopes = _scopes(scopes_text)
    if not name.isprintable() or not 1 <= len(name) <= _MAX_NAME:
        raise click.BadParameter(f"must be 1 to {_MAX_NAME} printable characters", param_hint="--name")
    made = [_made(one, scopes, name) for one in _brand_ids(brand_id)]
    if as_json:
        click.echo(json.dumps(made if all_brands else made[0], indent=2))
        return
    for row in made:
        click.echo(f"{row['brand_id']}  {row['key']}")
    click.echo("Keep it now: a key cannot be shown again.", err=True)


@group.command("list")
@click.option("--brand", "brand_id", help="Only this brand's.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@with_appcontext
def list_keys(brand_id: str | None, as_json: bool) -> None:
    """List keys, revoked ones too, without their secrets."""
    keys = _services().api_keys.of_brand(brand_id)
    if as_json:
        click.echo(json.dumps([_shown(key) for key in keys], indent=2))
        return
    for key in keys:
        state = "revoked" if key.revoked_at else f"used {_day(key.last_used_at)}"
        scopes = "all" if key.scopes == frozenset(Scope) else ",".join(scope_names(key.scopes))
        click.echo(f"{key.id}  {key.brand_id:<20}  {_day(key.created_at)}  {state:<15}  {scopes}  {key.name}")


@group.command("revoke")
@click.argument("key_id")
@with_appcontext
def revoke(key_id: str) -> None:
    """End a key for good; it stops working within a few seconds."""
    if not _services().api_keys.revoke(key_id):
        raise click.ClickException("there is no key with this id")
    click.echo(f"{key_id} is revoked")


def _services() -> Services:
    found: Services = current_app.extensions["telltale"]
    return found


def _scopes(text: str) -> frozenset[Scope]:
    try:
        return parse_scopes(text)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--scopes") from error


def _brand_ids(brand_id: str | None) -> list[str]:
    brands = _services().brands
    if brand_id is None:
        return [brand.id for brand in brands.all()]
    if brands.by_id(brand_id) is None:
        raise click.BadParameter("there is no such brand in brands.yaml", param_hint="--brand")
    return [brand_id]


def _made(brand_id: str, scopes: frozenset[Scope], name: str) -> dict[str, Any]:
    key, token = _services().api_keys.create(brand_id, scopes, name)
    return {"id": key.id, "key": token, "brand_id": brand_id, "scopes": scope_names(scopes)}


def _shown(key: ApiKey) -> dict[str, Any]:
    times = {"created_at": key.created_at, "last_used_at": key.last_used_at, "revoked_at": key.revoked_at}
    return {
        "id": key.id,
        "brand_id": key.brand_id,
        "name": key.name,
        "scopes": scope_names(key.scopes),
        **{name: None if moment is None else clock.rfc3339(moment) for name, moment in times.items()},
    }


def _day(moment: datetime | None) -> str:
    return "never" if moment is None else moment.date().isoformat()

"""`flask brands …`: what an operator does with brands.yaml. Needs neither MongoDB nor Redis nor the other settings."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from app.brands import Brand, BrandRegistry, BrandsFileRefused, EndpointRules
from config.settings import load_brands_settings, read_variable


@click.group("brands")
def group() -> None:
    """The brands of brands.yaml."""


@group.command("check")
@click.option("--file", "file", type=click.Path(path_type=Path), help="Default: TELLTALE_BRANDS_FILE, or brands.yaml.")
@click.option(
    "--secrets-dir",
    type=click.Path(path_type=Path),
    help="Default: TELLTALE_SECRETS_DIR, or secrets in the state folder.",
)
@click.option("--no-secrets", is_flag=True, help="Do not look whether the secrets that are referred to exist.")
def check(file: Path | None, secrets_dir: Path | None, no_secrets: bool) -> None:
    """Read a brands file as the service would and list the brands, or everything that is wrong (exit code 1)."""
    settings = load_brands_settings()
    path = file or settings.brands_file
    try:
        registry = BrandRegistry(
            path,
            secrets_dir or settings.secrets_dir,
            read_variable=read_variable,
            rules=EndpointRules(settings.webhook_allow_http, allow_networks=settings.webhook_allow_networks),
            check_secrets=not no_secrets,
        )
    except BrandsFileRefused as error:
        for fault in error.faults:
            click.echo(str(fault), err=True)
        click.echo(f"{_counted(len(error.faults), 'fault')} in {path.name}; it would be refused.", err=True)
        raise click.exceptions.Exit(1) from error
    click.echo(_table(registry.all()))
    note = " (secrets not checked)" if no_secrets else ""
    click.echo(f"OK: {_counted(len(registry.all()), 'brand')} in {path.name}{note}")


def _table(brands: Sequence[Brand]) -> str:
    rows = [("BRAND", "CHANNELS", "TRACKING HOSTS", "DESTINATIONS", "ENDPOINTS", "KEPT")]
    rows += [
        (
            brand.id,
            "+".join(sorted(brand.channels)),
            " ".join(brand.tracking_hosts),
            " ".join(brand.destinations) or "any",
            " ".join(endpoint.id for endpoint in brand.endpoints) or "-",
            f"{brand.retention.message_days} d",
        )
        for brand in brands
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"

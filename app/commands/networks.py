"""`flask networks …`: the lists of networks by which machines are told. Needs no servers and no other settings."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple

import click

from app.ingest.networks.catalogue import KINDS, Kind
from app.ingest.networks.fetch import Fetched, FetchFailed
from app.ingest.networks.folder import Busy, claimed, install, lists_in, newest, shipped_lists
from app.ingest.networks.list_file import ListRefused, NetworkList, read_list
from app.ingest.networks.refresh import fetched, list_of
from app.ingest.networks.refusals import refusals
from app.lib import clock
from config.settings import read_variable

_FOLDER = click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False),
    help="Where refreshed lists are. Default: networks in TELLTALE_STATE_DIR.",
)


class _Run(NamedTuple):
    """One refresh."""

    files: Fetched
    table_version: str
    in_use: dict[str, NetworkList]
    """Grows with what was installed."""
    folder: Path | None
    """None: nothing is installed."""
    force: bool


@click.group("networks")
def group() -> None:
    """Whose network an address belongs to."""


@group.command("status")
@_FOLDER
def status(folder: Path | None) -> None:
    """Show each list in use. Exit code 1 when a refreshed file cannot be used."""
    shipped = shipped_lists()
    installed, faults = lists_in(_folder(folder))
    rows = [("LIST", "VERSION", "DATE", "RANGES", "FROM", "MEANS")]
    for name, networks in newest(shipped, installed).items():
        place = "refreshed" if networks is installed.get(name) else "shipped"
        day = networks.date.date().isoformat()
        rows.append((name, networks.origin.version, day, str(len(networks.spans)), place, KINDS[name].title))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    for name, why in faults.items():
        click.echo(f"{name}: the refreshed file is not used: {why}", err=True)
    if faults:
        raise click.exceptions.Exit(1)


@group.command("refresh")
@click.argument("names", nargs=-1, metavar="[LIST]...")
@click.option("--from", "mirror", metavar="DIR|URL", help="A mirror of the vendors' files. Default: the vendors.")
@_FOLDER
@click.option("--force", is_flag=True, help="A changed size is right. What is known for certain holds all the same.")
@click.option("--dry-run", is_flag=True, help="Install nothing.")
@click.option("--table-version", default="", metavar="TEXT", help="Of a mirror's table of autonomous systems.")
@click.option("--deadline", type=click.FloatRange(0.1, 3600), default=120, show_default=True, help="Seconds for all.")
def refresh(
    *,
    names: tuple[str, ...],
    mirror: str | None,
    folder: Path | None,
    force: bool,
    dry_run: bool,
    table_version: str,
    deadline: float,
) -> None:
    """Fetch the lists and install those that pass every check; of the others the old one stays (exit code 1).

    Running processes use a new list within a minute.
    """
    kinds = _kinds(names)
    if mirror is not None and not mirror.startswith(("http://", "https://")) and not Path(mirror).is_dir():
        raise click.ClickException("--from is neither a folder nor a URL of the web.")
    files, place = fetched(kinds, mirror, deadline), _folder(folder)
    if mirror is not None and not files:
        raise click.ClickException("The mirror has none of the files.")
    try:
        with claimed(place):
            run = _Run(files, table_version, _in_use(place), None if dry_run else place, force)
            passed = [_refresh(kind, run) for kind in kinds]
    except Busy as error:
        raise click.ClickException("Another refresh is at work.") from error
    except OSError as error:
        raise click.ClickException(f"The folder cannot be written ({type(error).__name__}).") from error
    if not all(passed):
        raise click.exceptions.Exit(1)


@group.command("check")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@_FOLDER
@click.option("--force", is_flag=True, help="A changed size is right.")
def check(file: Path, folder: Path | None, force: bool) -> None:
    """Say whether FILE, a list as `refresh` writes it, would be installed (exit code 1 if not)."""
    try:
        networks = read_list(file)
    except (OSError, ListRefused) as error:
        click.echo(f"{file.name}: refused: {error}", err=True)
        raise click.exceptions.Exit(1) from error
    reasons = refusals(networks, _in_use(_folder(folder)), force=force)
    _say(networks, reasons, "would be installed")
    if reasons:
        raise click.exceptions.Exit(1)


def _refresh(kind: Kind, run: _Run) -> bool:
    """Whether nothing spoke against the list."""
    try:
        networks = list_of(kind, run.files, clock.now(), run.table_version)
    except (FetchFailed, ListRefused) as error:
        click.echo(f"{kind.name}: refused: {error}", err=True)
        return False
    if networks is None:
        click.echo(f"{kind.name}: nothing new; no file of it was asked for or found")
        return True
    reasons = refusals(networks, run.in_use, force=run.force)
    if not reasons:
        run.in_use[kind.name] = networks
        if run.folder is not None:
            install(networks, run.folder)
    _say(networks, reasons, "would be installed" if run.folder is None else "is installed")
    return not reasons


def _say(networks: NetworkList, reasons: Collection[str], done: str) -> None:
    for reason in reasons:
        click.echo(f"{networks.name}: refused: {reason}", err=True)
    if not reasons:
        click.echo(f"{networks.name}: version {networks.origin.version} with {len(networks.spans)} ranges {done}")


def _in_use(folder: Path) -> dict[str, NetworkList]:
    return newest(shipped_lists(), lists_in(folder)[0])


def _kinds(names: Collection[str]) -> list[Kind]:
    if unknown := sorted(set(names) - set(KINDS)):
        raise click.UsageError(f"there is no list {', '.join(unknown)}; there are {', '.join(KINDS)}")
    return [kind for name, kind in KINDS.items() if not names or name in names]


def _folder(folder: Path | None) -> Path:
    return folder or Path(read_variable("TELLTALE_STATE_DIR") or "var") / "networks"

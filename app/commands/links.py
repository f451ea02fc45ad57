"""`flask links …`: what happens to the links of a content. Needs neither MongoDB nor Redis nor the other settings."""

from __future__ import annotations

import json
from pathlib import Path

import click

from app.brands import Brand, BrandRegistry, BrandsFileRefused, EndpointRules, Page
from app.errors import InvalidRequest
from app.messages.lint import LintDraft, LintReport, lint
from app.models.block import Channel
from app.tracking.findings import Finding
from app.tracking.link_reasons import CAUTIONS, EXPLANATIONS, Action
from config.settings import load_brands_settings, read_variable

MAX_BYTES = 8 * 1024 * 1024
_MAX_URL = 100
"""Characters of a URL that the table shows."""


@click.group("links")
def group() -> None:
    """Links in messages."""


@group.command("lint")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--brand", "brand_id", help="Whose rules apply. Without it: every public domain is allowed.")
@click.option("--text", "as_text", is_flag=True, help="The file is plain text. Default: only if it ends in .txt.")
@click.option("--mime", "as_mime", is_flag=True, help="The file is a whole message. Default: only if it ends in .eml.")
@click.option("--sms", is_flag=True, help="The file is the text of an SMS.")
@click.option("--value", "values", multiple=True, metavar="NAME", help="Every recipient has a value of this name.")
@click.option("--json", "as_json", is_flag=True, help="The answer of POST /v1/messages/lint.")
@click.option("--brands-file", type=click.Path(path_type=Path), help="Default: TELLTALE_BRANDS_FILE, or brands.yaml.")
def lint_file(
    *,
    file: Path,
    brand_id: str | None,
    as_text: bool,
    as_mime: bool,
    sms: bool,
    values: tuple[str, ...],
    as_json: bool,
    brands_file: Path | None,
) -> None:
    """Show each link of FILE, what happens to it and why. Exit code 1 when a link would be refused."""
    brand = _brand(brand_id, brands_file)
    raw = _read(file)
    is_text = as_text or sms or file.suffix.lower() == ".txt"
    is_mime = not is_text and (as_mime or file.suffix.lower() == ".eml")
    content = "" if is_mime else _decoded(file, raw)
    draft = LintDraft(
        channel=Channel.SMS if sms else Channel.EMAIL,
        html=None if is_text or is_mime else content,
        text=content if is_text else None,
        mime=raw if is_mime else None,
        values=frozenset(values),
    )
    try:
        report = lint(brand, draft)
    except InvalidRequest as error:
        raise click.ClickException(error.detail) from error
    click.echo(json.dumps(report.as_json(), indent=2, ensure_ascii=True) if as_json else _table(report))
    if report.counts[Action.REFUSED]:
        raise click.exceptions.Exit(1)


def _brand(brand_id: str | None, brands_file: Path | None) -> Brand:
    if brand_id is None:
        return Brand("-", "-", frozenset(Channel), ("tracking.example",), "tracking.example", Page("-"))
    settings = load_brands_settings()
    path = brands_file or settings.brands_file
    try:
        registry = BrandRegistry(
            path,
            settings.secrets_dir,
            read_variable=read_variable,
            rules=EndpointRules(settings.webhook_allow_http, allow_networks=settings.webhook_allow_networks),
            check_secrets=False,
        )
    except BrandsFileRefused as error:
        raise click.ClickException(f"{path.name} is refused; flask brands check says why.") from error
    brand = registry.by_id(brand_id)
    if brand is None:
        raise click.ClickException(f'There is no brand "{_shown(brand_id)}" in {path.name}.')
    return brand


def _read(file: Path) -> bytes:
    with file.open("rb") as stream:
        raw = stream.read(MAX_BYTES + 1)
    if len(raw) > MAX_BYTES:
        raise click.ClickException(f"{file.name} is larger than {MAX_BYTES // 1024 // 1024} MiB.")
    return raw


def _decoded(file: Path, raw: bytes) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise click.ClickException(f"{file.name} is not UTF-8 text.") from error


def _table(report: LintReport) -> str:
    lines: list[str] = []
    for note in report.warnings:
        place = f"{note['part']} {note['line']}:{note['column']}" if "line" in note else note["part"]
        lines.append(f"{place}  WARNING {note['code']}: {note['detail']}")
    for link in report.links:
        lines += _rows(link)
    if report.segments is not None:
        before, after = report.segments.before, report.segments.after
        lines.append(f"{after.segments} segments ({before.segments} with the author's links), {after.encoding.value}")
    if report.trap_link:
        lines.append("A hidden link that only machines follow will be added (trap_link).")
    counts = report.counts
    lines.append(", ".join(f"{counts[action]} {action.value}" for action in Action))
    if report.left_out:
        lines.append(f"{report.left_out} more are not shown.")
    return "\n".join(lines)


def _rows(link: Finding) -> list[str]:
    place = f"{link.part} {link.line}:{link.column}"
    rows = [
        f"{place:<12}  {link.action.value:<8}  {_shown(link.url)}",
        f"{'':<12}  {link.reason.value}: {EXPLANATIONS[link.reason]}",
    ]
    if link.destination is not None and link.destination != link.url:
        rows.append(f"{'':<12}  leads to {_shown(link.destination)}")
    rows += [f"{'':<12}  WARNING {caution.value}: {CAUTIONS[caution]}" for caution in link.cautions]
    return rows


def _shown(text: str) -> str:
    """What a terminal can show without being turned around or controlled by it."""
    cut = text if len(text) <= _MAX_URL else text[:_MAX_URL] + "…"
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in cut)

"""From the bytes of brands.yaml to brands, or to the list of everything that is wrong. Reading anew is `registry`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from app.brands.archive_schema import archive_place
from app.brands.bot_schema import BotsSchema
from app.brands.brand import AppLinks, Brand, LinkPolicy, Page, Retention, Unsubscribe, Utm
from app.brands.faults import BrandsFileRefused, Fault, brand_label, faults_of
from app.brands.load_endpoints import endpoints_of, references_of
from app.brands.schema import (
    AppLinksSchema,
    BrandSchema,
    EndpointRules,
    FileSchema,
    LinksSchema,
    UtmSchema,
    tracking_host,
)
from app.brands.secrets import SecretReader
from app.lib.yaml_text import YamlFault, read_yaml
from app.models.archive import ArchivePlace
from app.models.bot_policy import BotPolicy
from app.models.event import EventKind

MAX_FILE_BYTES = 4 * 1024 * 1024


def parse_brands(name: str, raw: bytes, secrets: SecretReader, rules: EndpointRules) -> tuple[Brand, ...]:
    """The brands of a file, in its order.

    Args:
        name: the file's name, for messages.
        raw: its bytes.

    Raises:
        BrandsFileRefused: with all faults at once; no fault quotes a secret.
    """
    file = _file_schema(name, raw)
    faults: list[Fault] = list(file.faults)
    brands: list[Brand] = []
    for number, entry in enumerate(file.entries, start=1):
        label = brand_label(entry, number)
        try:
            # Through JSON, because strict mode takes arrays and enum values from JSON but not from Python.
            schema = BrandSchema.model_validate_json(json.dumps(entry), context=rules)
        except ValidationError as error:
            faults += faults_of(error, name, label)
            continue
        try:
            brands.append(_brand(name, schema, secrets, rules))
        except BrandsFileRefused as error:
            faults += error.faults
    faults += _duplicates(name, file.entries)
    if faults:
        raise BrandsFileRefused(faults)
    return tuple(brands)


def secret_references(name: str, raw: bytes) -> tuple[str, ...]:
    """Every reference to a secret in a brands file, sorted, each once: what a set-up has to provide.

    Raises:
        BrandsFileRefused: the file cannot be read at all. Other faults are left to `parse_brands`.
    """
    found = {
        reference
        for entry in _file_schema(name, raw).entries
        for reference in references_of(_list_at(entry, "endpoints"), entry.get("event_queue"), entry.get("archive"))
    }
    return tuple(sorted(found))


@dataclass(frozen=True, slots=True)
class _File:
    entries: tuple[dict[str, Any], ...]
    faults: tuple[Fault, ...]


def _file_schema(name: str, raw: bytes) -> _File:
    """The brands with the defaults merged in. Faults of the top level are handed on, so that all come at once."""
    if len(raw) > MAX_FILE_BYTES:
        raise BrandsFileRefused([Fault(name, f"is larger than {MAX_FILE_BYTES} bytes")])
    try:
        tree = read_yaml(raw.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise BrandsFileRefused([Fault(name, "is not UTF-8 text")]) from error
    except YamlFault as error:
        raise BrandsFileRefused([Fault(name, str(error))]) from error
    if not isinstance(tree, dict):
        raise BrandsFileRefused([Fault(name, "must be a mapping with version and brands")])
    faults: tuple[Fault, ...] = ()
    try:
        FileSchema.model_validate_json(json.dumps(tree))
    except ValidationError as error:
        faults = tuple(faults_of(error, name))
    # Faulty defaults are left out, so that their faults are not reported again for every brand.
    usable = not any(fault.field.startswith("defaults") for fault in faults)
    defaults = tree.get("defaults", {}) if usable else {}
    listed = tree.get("brands")
    entries = [entry for entry in listed if isinstance(entry, dict)] if isinstance(listed, list) else []
    return _File(tuple(_merged(defaults, entry) for entry in entries), faults)


def _merged(defaults: Mapping[str, Any], entry: Mapping[str, Any]) -> dict[str, Any]:
    """The brand's own values win; mappings are merged one level deep, lists are replaced."""
    merged = {**defaults, **entry}
    for key, value in defaults.items():
        own = entry.get(key)
        if isinstance(value, dict) and isinstance(own, dict):
            merged[key] = {**value, **own}
    return merged


def _brand(name: str, schema: BrandSchema, secrets: SecretReader, rules: EndpointRules) -> Brand:
    page = schema.page.model_dump(exclude_none=True)
    return Brand(
        id=schema.id,
        name=schema.name,
        channels=schema.channels,
        tracking_hosts=schema.tracking_hosts,
        sms_host=schema.sms_host or schema.tracking_hosts[0],
        page=Page(**{"title": schema.name, **page}),
        destinations=schema.destinations,
        header_pixel=schema.pixel.header,
        footer_pixel=schema.pixel.footer,
        track_opens=schema.tracking.opens,
        track_clicks=schema.tracking.clicks,
        metadata_keys=schema.metadata_keys,
        client_address_policy=schema.client_address,
        unsubscribe=Unsubscribe(mailto=schema.unsubscribe.mailto, scope=schema.unsubscribe.scope),
        endpoints=endpoints_of(name, schema, secrets, rules),
        links=_links(schema.links),
        stop_words=schema.sms.stop_words,
        app_links=_app_links(schema.app_links),
        retention=_retention(schema),
        bots=_bots(schema.bots),
        archive=_archive(name, schema, secrets),
    )


def _links(schema: LinksSchema) -> LinkPolicy:
    return LinkPolicy(
        untracked_domains=frozenset(schema.untracked_domains),
        protocol_relative=schema.protocol_relative,
        vml=schema.vml,
        utm=None if schema.utm is None else utm_of(schema.utm),
        erased=schema.erased,
        app_domains=frozenset(schema.app_domains),
        blocked_domains=frozenset(schema.blocked_domains),
    )


def utm_of(schema: UtmSchema) -> Utm | None:
    """None when no parameter is set."""
    given = {
        "source": schema.source,
        "medium": schema.medium,
        "campaign": schema.campaign,
        "term": schema.term,
        "content": schema.content,
    }
    parameters = tuple((f"utm_{name}", value) for name, value in given.items() if value is not None)
    return Utm(parameters, replace=schema.existing == "replace") if parameters else None


def _app_links(schema: AppLinksSchema) -> AppLinks:
    """The two documents as Apple ("Supporting associated domains") and Google ("Digital Asset Links") describe them."""
    apple = {
        "applinks": {
            "details": [
                {"appIDs": [app.app_id], "components": [{"/": path} for path in app.paths]} for app in schema.apple
            ]
        }
    }
    android = [
        {
            "relation": ["delegate_permission/common.handle_all_urls"],
            "target": {
                "namespace": "android_app",
                "package_name": app.package,
                "sha256_cert_fingerprints": list(app.fingerprints),
            },
        }
        for app in schema.android
    ]
    return AppLinks(
        apple=json.dumps(apple).encode() if schema.apple else None,
        android=json.dumps(android).encode() if schema.android else None,
    )


def _retention(schema: BrandSchema) -> Retention:
    chosen = schema.retention
    return Retention(
        message_days=chosen.messages or schema.retention_days,
        delivery_days=chosen.deliveries,
        events=tuple((kind, getattr(chosen, kind.value, None) or schema.retention_days) for kind in EventKind),
    )


def _archive(name: str, schema: BrandSchema, secrets: SecretReader) -> ArchivePlace | None:
    try:
        return None if schema.archive is None else archive_place(schema.archive, secrets.text)
    except ValueError as error:
        raise BrandsFileRefused([Fault(name, str(error), f'"{schema.id}"', "archive")]) from error


def _bots(schema: BotsSchema) -> BotPolicy:
    return BotPolicy(
        ignore=schema.ignore,
        filter=schema.filter,
        trap_link=schema.trap_link,
        **schema.thresholds.model_dump(),
    )


def _duplicates(name: str, entries: Iterable[Mapping[str, Any]]) -> Iterator[Fault]:
    """Ids and hosts that stand twice, compared in normal form. Reads raw entries: no other fault may hide these."""
    owners: dict[tuple[str, str], str] = {}
    for number, entry in enumerate(entries, start=1):
        label = brand_label(entry, number)
        for field, kind, value in _unique_values(entry):
            owner = owners.get((kind, value))
            if owner is None:
                owners[kind, value] = label
            else:
                yield Fault(name, f"{kind} {value[:80]!a} is already taken by brand {owner}", label, field)


def _unique_values(entry: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """(field, kind, normal form) of everything that must be unique in the whole file."""
    if isinstance(entry.get("id"), str):
        yield "id", "id", entry["id"]
    for index, host in enumerate(_list_at(entry, "tracking_hosts")):
        try:
            if isinstance(host, str):
                yield f"tracking_hosts[{index}]", "host", tracking_host(host)
        except ValueError:
            continue  # not a host at all: the schema says so
    for index, endpoint in enumerate(_list_at(entry, "endpoints")):
        if isinstance(endpoint, dict) and isinstance(endpoint.get("id"), str):
            yield f"endpoints[{index}].id", "endpoint id", endpoint["id"]


def _list_at(entry: Mapping[str, Any], key: str) -> list[Any]:
    value = entry.get(key)
    return value if isinstance(value, list) else []

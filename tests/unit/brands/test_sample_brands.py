"""The brands.yaml that comes with the program: it loads, names nobody real, and shows every setting."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest

from app.brands import Brand, BrandRegistry, new_webhook_secret, secret_references
from app.models.block import Channel
from app.models.bot_policy import DEFAULT_BOT_POLICY

SAMPLE = Path(__file__).parents[3] / "brands.yaml"


@pytest.fixture(scope="module")
def brands() -> tuple[Brand, ...]:
    return BrandRegistry(SAMPLE, SAMPLE.parent, check_secrets=False).all()


def test_there_are_22_brands_that_differ(brands: tuple[Brand, ...]) -> None:
    assert len(brands) == 22
    traits = {dataclasses.replace(brand, id="", name="", tracking_hosts=(), sms_host="") for brand in brands}
    assert len(traits) == 22
    assert {len(brand.tracking_hosts) for brand in brands} == {1, 2, 3}
    assert {len(brand.endpoints) for brand in brands} == {0, 1, 2}
    assert {brand.client_address_policy for brand in brands} == {"none", "prefix", "full"}
    assert {brand.unsubscribe.scope for brand in brands} == {"list", "brand"}
    assert {(brand.track_opens, brand.track_clicks) for brand in brands} == {
        (True, True),
        (True, False),
        (False, True),
        (False, False),
    }
    assert {brand.channels for brand in brands} == {
        frozenset({Channel.EMAIL}),
        frozenset({Channel.SMS}),
        frozenset(Channel),
    }
    assert any(brand.sms_host != brand.tracking_hosts[0] for brand in brands)
    assert any(not brand.destinations for brand in brands)
    policies = {brand.bots for brand in brands}
    assert {policy.trap_link for policy in policies} == {True, False}
    assert any(policy.ignore for policy in policies)
    assert any(policy.burst_links != DEFAULT_BOT_POLICY.burst_links for policy in policies)
    assert any(len(endpoint.events) == 0 for brand in brands for endpoint in brand.endpoints)


def test_every_name_in_it_is_under_a_reserved_domain() -> None:
    text = "\n".join(line.split("#", 1)[0] for line in SAMPLE.read_text(encoding="utf-8").splitlines())
    names = re.findall(r"[\w-]+(?:\.[\w-]+)+", text)
    assert len(names) > 50
    assert [name for name in names if not name.endswith(".example") and not name.startswith("message.")] == []


def test_every_secret_is_a_file_that_a_set_up_can_make(tmp_path: Path) -> None:
    references = secret_references(SAMPLE.name, SAMPLE.read_bytes())
    assert references
    for reference in references:
        scheme, _, name = reference.partition(":")
        assert scheme == "file"
        (tmp_path / name).write_text(new_webhook_secret())
    registry = BrandRegistry(SAMPLE, tmp_path)
    assert all(endpoint.secrets for brand in registry.all() for endpoint in brand.endpoints)
    assert any(len(endpoint.secrets) == 2 for brand in registry.all() for endpoint in brand.endpoints)

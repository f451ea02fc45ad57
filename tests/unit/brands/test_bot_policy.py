"""`bots:` in brands.yaml: what it may say, how defaults and brands go together, and what is refused."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import pytest

from app.brands import Brand, BrandsFileRefused, EndpointRules
from app.brands.bot_schema import IGNORABLE, NOT_IGNORED, BotsSchema, ThresholdsSchema
from app.brands.load import parse_brands
from app.brands.secrets import SecretReader
from app.models.bot_policy import DEFAULT_BOT_POLICY, BotPolicy
from app.models.reasons import REASONS

DOCUMENT = Path(__file__).parents[3] / "docs" / "classification.md"
MINIMAL: dict[str, Any] = {"id": "acme", "name": "Acme", "tracking_hosts": ["t.acme.example"]}


def parse(bots: object, defaults: object | None = None) -> Brand:
    shared = {} if defaults is None else {"defaults": {"bots": defaults}}
    entry = MINIMAL if bots is None else {**MINIMAL, "bots": bots}
    raw = json.dumps({"version": 1, **shared, "brands": [entry]}).encode()
    (brand,) = parse_brands("brands.yaml", raw, SecretReader(Path("no-such-folder"), {}.get), EndpointRules())
    return brand


def fault(bots: object) -> str:
    with pytest.raises(BrandsFileRefused) as caught:
        parse(bots)
    (line,) = str(caught.value).splitlines()
    return line


@pytest.mark.parametrize("bots", [None, {}, {"thresholds": {}}])
def test_who_says_nothing_gets_the_decision_tables_own_policy(bots: object) -> None:
    assert parse(bots).bots == DEFAULT_BOT_POLICY


def test_every_value_of_the_policy_can_be_set() -> None:
    thresholds = {
        "burst_links": 4,
        "burst_seconds": 1.5,
        "sweep_seconds": 20,
        "look_back_seconds": 0,
        "taint_seconds": 60,
        "too_fast_seconds": 1,
        "fast_seconds": 5,
        "microsoft_seconds": 0,
        "echo_seconds": 3,
        "stale_versions": 50,
        "machine_points": 3,
    }
    given = {"filter": False, "trap_link": True, "ignore": ["fast", "ms_net"], "thresholds": thresholds}
    expected = BotPolicy(ignore=frozenset({"fast", "ms_net"}), filter=False, trap_link=True, **thresholds)
    assert parse(given).bots == expected
    named = {field.name for field in dataclasses.fields(BotPolicy)}
    assert (
        named
        == set(BotsSchema.model_fields) - {"thresholds"} | set(ThresholdsSchema.model_fields)
        == (set(given) - {"thresholds"} | set(thresholds))
    )


def test_defaults_are_completed_key_by_key_and_lists_are_replaced() -> None:
    defaults = {"trap_link": True, "ignore": ["fast"], "thresholds": {"burst_links": 5}}
    assert parse(None, defaults).bots == BotPolicy(trap_link=True, ignore=frozenset({"fast"}), burst_links=5)
    found = parse({"ignore": ["ms_net"], "thresholds": {"echo_seconds": 5}}, defaults).bots
    # As deep as all of the file's mappings: `thresholds` is a value of `bots`.
    assert found == BotPolicy(trap_link=True, ignore=frozenset({"ms_net"}), echo_seconds=5)


# The reason codes of each row of the decision table. Row 24 is each weak sign by itself, row 27 is what remains.
ROWS = {
    1: {"method_head"},
    2: {"prefetch"},
    3: {"ua_empty"},
    4: {"apple_mpp"},
    5: {"ua_bare"},
    6: {"gmail_prefetch"},
    7: {"proxy_gmail", "proxy_yahoo", "proxy_other", "proxy_unverified"},
    8: {"mail_client"},
    9: {"link_preview"},
    10: {"scanner_ua", "scanner_net"},
    11: {"bot_known", "bot_generic", "ua_shape"},
    12: {"honeypot"},
    13: {"link_burst", "link_sweep"},
    14: {"too_fast"},
    15: {"tainted_session"},
    16: {"ms_net"},
    17: {"datacenter_ip"},
    18: {"no_fetch_metadata"},
    19: {"no_accept_language"},
    20: {"fast"},
    21: {"stale_browser"},
    22: {"scanner_echo"},
    23: {"soft_signals"},
    25: {"privacy_signal"},
    26: {"relay_ip"},
}


@pytest.mark.parametrize("row", ROWS)
def test_every_row_of_the_decision_table_can_be_switched_off(row: int) -> None:
    assert parse({"ignore": sorted(ROWS[row])}).bots.ignore == ROWS[row]


def test_each_reason_is_either_a_rules_own_or_refused_with_its_why() -> None:
    assert set().union(*ROWS.values()) == IGNORABLE
    assert IGNORABLE | NOT_IGNORED.keys() == REASONS.keys()
    for code, why in NOT_IGNORED.items():
        assert fault({"ignore": [code]}) == f'brands.yaml, brand "acme", field bots.ignore[0]: {why}'


@pytest.mark.parametrize(
    ("bots", "says"),
    [
        ({"ignore": ["fast", "scaner_net"]}, "bots.ignore[1]: is not a known reason (did you mean scanner_net?)"),
        ({"ignore": ["xyzzy"]}, "bots.ignore[0]: is not a known reason"),
        ({"ignore": "fast"}, "bots.ignore: must be a list"),
        ({"ignore": [7]}, "bots.ignore[0]: must be text"),
        ({"trap_links": True}, "bots.trap_links: is not a known field (did you mean trap_link?)"),
        ({"thresholds": {"bursts_links": 3}}, "bots.thresholds.bursts_links: is not a known field (did you"),
        ({"burst_links": 3}, "bots.burst_links: is not a known field here (it belongs to another mapping)"),
        ({"filter": "yes"}, "bots.filter: must be true or false"),
        ({"thresholds": 3}, "bots.thresholds: must be a mapping"),
        (True, "bots: must be a mapping"),
    ],
)
def test_a_faulty_policy_is_named_with_the_right_spelling(bots: object, says: str) -> None:
    assert f'brands.yaml, brand "acme", field {says}' in fault(bots)


@pytest.mark.parametrize(
    ("threshold", "least", "most"),
    [
        ("burst_links", 2, 50),
        ("burst_seconds", 0.001, 60),
        ("sweep_seconds", 0.001, 300),
        ("look_back_seconds", 0, 60),
        ("taint_seconds", 0.001, 3600),
        ("too_fast_seconds", 0.001, 60),
        ("fast_seconds", 0.001, 60),
        ("microsoft_seconds", 0, 60),
        ("echo_seconds", 0.001, 300),
        ("stale_versions", 6, 200),
        ("machine_points", 1, 6),
    ],
)
def test_thresholds_are_bounded(threshold: str, least: float, most: float) -> None:
    for value in (least, most):
        assert getattr(parse({"thresholds": {threshold: value}}).bots, threshold) == value
    for value in (least - 1, -1, most + 1, 1e300, float("nan"), float("inf"), True, "3", None):
        assert f"field bots.thresholds.{threshold}: must be" in fault({"thresholds": {threshold: value}})


def test_the_documented_defaults_and_bounds_are_those_of_the_schema() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (\d+) \| (above )?(\d+), (\d+) \|", DOCUMENT.read_text("utf-8"), re.MULTILINE)
    documented = {name: (float(usual), bool(above), float(low), float(high)) for name, usual, above, low, high in rows}
    properties = ThresholdsSchema.model_json_schema()["properties"]
    assert documented == {
        name: (
            found["default"],
            "exclusiveMinimum" in found,
            found.get("exclusiveMinimum", found.get("minimum")),
            found["maximum"],
        )
        for name, found in properties.items()
    }

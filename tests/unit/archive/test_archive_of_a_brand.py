"""`archive:` in brands.yaml, from the file to the brand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from app.brands import BrandsFileRefused, EndpointRules, secret_references
from app.brands.load import parse_brands
from app.brands.secrets import SecretReader

KEYS = {"access_key_id": "env:ALDER_ID", "secret_access_key": "env:ALDER_KEY"}


def _file(archive: dict[str, Any]) -> bytes:
    entry = {"bucket": "alder-archive", "region": "eu-central-1", **archive}
    brand = {"id": "alder", "name": "Alder", "tracking_hosts": ["t.alder.example"], "archive": entry}
    return json.dumps({"version": 1, "brands": [brand]}).encode()


def _parse(archive: dict[str, Any], variables: dict[str, str]) -> Any:
    reader = SecretReader(Path("/nonexistent"), variables.get)
    (brand,) = parse_brands("brands.yaml", _file(archive), reader, EndpointRules())
    return brand.archive


def test_a_brand_knows_its_bucket_and_keys() -> None:
    place = _parse(KEYS, {"ALDER_ID": "AKID", "ALDER_KEY": "hush"})
    assert (place.bucket, place.access_key_id, place.secret_access_key) == ("alder-archive", "AKID", "hush")


def test_a_set_up_is_told_of_its_references() -> None:
    assert secret_references("brands.yaml", _file(KEYS)) == ("env:ALDER_ID", "env:ALDER_KEY")


def test_a_reference_that_leads_nowhere_is_a_fault_of_the_file() -> None:
    with pytest.raises(BrandsFileRefused) as refused:
        _parse(KEYS, {"ALDER_ID": "AKID"})
    assert "env:ALDER_KEY" in str(refused.value)
    assert "AKID" not in str(refused.value)

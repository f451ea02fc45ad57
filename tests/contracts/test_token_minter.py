"""The published minter and docs/tokens.md against the server: the same contents make the same bytes, in every place."""

from __future__ import annotations

import ast
import json
import re
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.models.block import Channel
from app.tracking.token_content import encode
from app.tracking.tokens import (
    ContentRefused,
    TokenContent,
    TokenKey,
    TokenPurpose,
    key_text,
    open_token,
    seal_token,
)
from clients.python.telltale_tokens import Minter

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = (ROOT / "docs" / "tokens.md").read_text(encoding="utf-8")
MINTER_FILE = ROOT / "clients" / "python" / "telltale_tokens.py"
SECRET = bytes(range(64))
KEY = TokenKey(1, SECRET)
MINTER = Minter(key_text("alder", 1, SECRET), "https://click.alder.example")
PURPOSES = {"open": "o", "click": "c", "unsubscribe": "u", "fields": "p"}

_TEXT = st.text(min_size=0, max_size=140)
_URLS = st.from_regex(r"(https?|HTTPS|ftp):/?/[a-z@:]{0,9}\.example([/?#][a-z%/?&=#ß .\\-]{0,20})?", fullmatch=True)
CONTENTS = st.builds(
    TokenContent,
    reference=st.none() | _TEXT,
    address=st.none() | st.sampled_from(["ada@mail.example", "ä@ö.example", "ada", "+4915112345678", "+0123456789"]),
    channel=st.sampled_from(Channel),
    contact_id=st.none() | _TEXT,
    campaign_id=st.none() | _TEXT,
    list_id=st.none() | _TEXT,
    job_source=st.none() | _TEXT,
    destination=st.none() | _URLS,
    metadata=st.dictionaries(_TEXT, _TEXT, max_size=4),
)


def arguments(content: TokenContent) -> dict[str, Any]:
    """A content as the minter takes it."""
    names = ("reference", "contact_id", "campaign_id", "list_id", "job_source", "destination")
    given = {name: getattr(content, name) for name in names}
    sms = content.channel is Channel.SMS
    return {**given, "phone" if sms else "email": content.address, "sms": sms, "metadata": content.metadata}


@given(CONTENTS, st.sampled_from(TokenPurpose))
def test_the_minter_makes_the_servers_tokens_and_never_one_that_says_something_else(
    content: TokenContent, purpose: TokenPurpose
) -> None:
    minted, _ = _tried(lambda: MINTER.token(purpose.value, **arguments(content)))
    sealed, refused = _tried(lambda: seal_token(KEY, "alder", purpose, content))
    if sealed is not None or minted is None:
        assert minted == sealed
    else:
        # Only what a destination's host may be is left to the server: that needs tables.
        assert isinstance(refused, ContentRefused)
        assert refused.field == "destination"
        assert open_token(KEY, "alder", purpose, minted) is None


def _tried(make: Callable[[], str]) -> tuple[str | None, ValueError | None]:
    try:
        return make(), None
    except ValueError as error:
        return None, error


_BRAND_IDS = st.sampled_from(["alder", "b", "birch_2", "0-_-0", "a" * 40])


@given(_BRAND_IDS, st.integers(1, 65535), st.binary(min_size=64, max_size=64))
def test_an_exported_key_is_read_whatever_its_brand_and_number(brand_id: str, number: int, secret: bytes) -> None:
    minter = Minter(key_text(brand_id, number, secret), "https://t.alder.example/")
    token = seal_token(TokenKey(number, secret), brand_id, TokenPurpose.OPEN, TokenContent(reference="m-1"))
    assert minter.open_url(reference="m-1") == f"https://t.alder.example/o/s/{token}.gif"


def test_links_have_the_paths_of_their_purpose() -> None:
    about = {"reference": "m-1", "email": "ada@mail.example"}
    place = r"https://click\.alder\.example"
    assert re.fullmatch(place + r"/o/s/[\w-]+\.gif", MINTER.open_url(**about))
    assert re.fullmatch(place + r"/u/s/[\w-]+", MINTER.unsubscribe_url(**about))
    clicked = MINTER.click_url("https://www.alder.example/", **about)
    assert re.fullmatch(place + r"/c/s/[\w-]+", clicked)
    found = open_token(KEY, "alder", TokenPurpose.CLICK, clicked.rpartition("/")[2])
    assert found is not None
    assert found.destination == "https://www.alder.example/"
    fields = open_token(KEY, "alder", TokenPurpose.FIELDS, MINTER.fields(metadata={"name": "Ada"}))
    assert fields == TokenContent(metadata={"name": "Ada"})


@pytest.mark.parametrize(
    ("key", "url"),
    [
        ("", "https://t.alder.example"),
        ("ttk_alder_1_short", "https://t.alder.example"),
        (key_text("alder", 1, SECRET)[:-1], "https://t.alder.example"),
        (key_text("alder", 1, SECRET) + "\n", "https://t.alder.example"),
        (key_text("alder", 65536, SECRET), "https://t.alder.example"),
        (key_text("alder", 0, SECRET), "https://t.alder.example"),
        (key_text("Alder", 1, SECRET), "https://t.alder.example"),
        (key_text("alder", 1, SECRET), "t.alder.example"),
        (key_text("alder", 1, SECRET), "https://t.alder.example/path"),
        (key_text("alder", 1, SECRET), "https://t.alder.example/?a=b"),
    ],
)
def test_a_wrong_key_or_address_is_refused_and_not_shown(key: str, url: str) -> None:
    with pytest.raises(ValueError, match=r"the base URL|not a token key") as caught:
        Minter(key, url)
    assert "AAEC" not in str(caught.value)


def test_a_minter_does_not_show_its_key_and_knows_its_purposes() -> None:
    assert "AAEC" not in repr(MINTER)
    with pytest.raises(ValueError, match="purpose"):
        MINTER.token("x", reference="m-1")
    with pytest.raises(TypeError):
        MINTER.open_url(reference="m-1", name="Ada")


def test_the_minter_is_one_file_for_python_3_9_that_needs_only_cryptography() -> None:
    tree = ast.parse(MINTER_FILE.read_text(encoding="utf-8"), feature_version=(3, 9))
    imported = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    imported |= {name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names}
    foreign = {str(name).split(".")[0] for name in imported} - set(sys.stdlib_module_names)
    assert foreign == {"cryptography"}


def _vectors() -> list[dict[str, Any]]:
    (block,) = re.findall(r"^```json\n(.*?)^```", DOCUMENT, re.MULTILINE | re.DOTALL)
    found: list[dict[str, Any]] = json.loads(block)
    return found


@pytest.mark.parametrize("vector", _vectors(), ids=lambda vector: vector["purpose"])
def test_the_published_vectors_are_what_we_make(vector: dict[str, Any]) -> None:
    about = dict(vector)
    purpose = TokenPurpose(PURPOSES[about.pop("purpose")])
    raw, token = about.pop("content"), about.pop("token")
    content = TokenContent(**{**about, "channel": Channel(about.get("channel", "email"))})
    assert encode(purpose, content).hex() == raw
    assert seal_token(KEY, "alder", purpose, content) == token
    assert open_token(KEY, "alder", purpose, token) == content
    assert MINTER.token(purpose.value, **arguments(content)) == token


def test_the_published_key_and_purposes_and_every_field_are_in_the_vectors() -> None:
    assert f"`{key_text('alder', 1, SECRET)}`" in DOCUMENT
    assert {vector["purpose"] for vector in _vectors()} == set(PURPOSES)
    said = {name for vector in _vectors() for name in vector} - {"purpose", "content", "token"}
    assert said == set(TokenContent.__dataclass_fields__)


def test_the_published_sizes_are_measured() -> None:
    rows = re.findall(r"^\| (\w+) \| ((?:address|reference)[^|]*) \| (\d+) \|$", DOCUMENT, re.MULTILINE)
    assert len(rows) == 6
    for kind, carries, characters in rows:
        content = TokenContent(
            address="adaline.lovelace@mails.example" if "address" in carries else None,
            reference="spring-2026-000123" if "reference of 18" in carries else None,
        )
        assert content.address is None or len(content.address) == 30
        about = arguments(replace(content, destination=None))
        del about["destination"]
        if kind == "click":
            assert "destination of 34" in carries
            link = MINTER.click_url("https://www.alder.example/jobs/123", **about)
        else:
            link = MINTER.open_url(**about) if kind == "open" else MINTER.unsubscribe_url(**about)
        assert len(link) == int(characters), carries


def test_the_sample_of_the_document_runs() -> None:
    (sample,) = re.findall(r"^```python\n(.*?)^```", DOCUMENT, re.MULTILINE | re.DOTALL)
    sample = sample.replace("from telltale_tokens", "from clients.python.telltale_tokens")
    names: dict[str, Any] = {"key": key_text("alder", 1, SECRET)}
    exec(compile(sample, "tokens.md", "exec"), names)
    purposes = {"pixel": TokenPurpose.OPEN, "link": TokenPurpose.CLICK, "leave": TokenPurpose.UNSUBSCRIBE}
    for name, purpose in purposes.items():
        token = names[name].rpartition("/")[2].removesuffix(".gif")
        found = open_token(KEY, "alder", purpose, token)
        assert found is not None
        assert found.reference == "spring-000123"

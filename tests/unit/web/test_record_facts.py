"""What the front writes down of a request's headers: letters for what they say, and nothing of how they say it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.brands import Brand
from app.brands.brand import Page
from app.journal.segments import list_segments
from app.journal.writer import JournalWriter
from app.models import record_line
from app.models.block import Channel
from app.models.record import HitKind, Record
from app.tracking.tokens import TokenPurpose
from app.web.tracking.records import Records

BRAND = Brand(
    id="alder",
    name="Alder",
    channels=frozenset({Channel.EMAIL}),
    tracking_hosts=("t.alder.example",),
    sms_host="t.alder.example",
    page=Page(title="Alder"),
)
READ_HEADERS = (
    "HTTP_ACCEPT_LANGUAGE",
    "HTTP_SEC_FETCH_DEST",
    "HTTP_SEC_FETCH_SITE",
    "HTTP_SEC_FETCH_MODE",
    "HTTP_SEC_FETCH_USER",
    "HTTP_DNT",
    "HTTP_SEC_GPC",
    "HTTP_X_FORWARDED_PROTO",
)


class NothingOpens:
    def check(self, brand_id: str, purpose: TokenPurpose, token: str) -> None:
        return None


def written(folder: Path, environ: dict[str, Any]) -> tuple[Record, bytes]:
    """The record of a click that came with these variables, and its line."""
    writer = JournalWriter(folder, max_bytes=1 << 20, max_seconds=60.0, low_bytes=0)
    request = {"REQUEST_METHOD": "GET", "HTTP_HOST": "t.alder.example", "REMOTE_ADDR": "192.0.2.7", **environ}
    try:
        assert Records(writer, NothingOpens()).keep(request, HitKind.CLICK, "abc", 7, BRAND)
    finally:
        writer.close()
    line = list_segments(folder)[-1].read_bytes().splitlines()[-1]
    return record_line.decode(line), line


@pytest.mark.parametrize(
    ("environ", "facts"),
    [
        ({}, "h"),
        ({"TELLTALE_SCHEME": "http"}, "h"),
        ({"TELLTALE_SCHEME": "https"}, "s"),
        ({"wsgi.url_scheme": "https", "HTTP_X_FORWARDED_PROTO": "https"}, "h"),
        ({"HTTP_ACCEPT_LANGUAGE": "de-DE,de;q=0.9"}, "hl"),
        ({"HTTP_ACCEPT_LANGUAGE": "*"}, "hl"),
        ({"HTTP_ACCEPT_LANGUAGE": ""}, "h"),
        ({"HTTP_ACCEPT_LANGUAGE": " \t "}, "h"),
        ({"HTTP_SEC_FETCH_DEST": "document", "HTTP_SEC_FETCH_SITE": "none"}, "hm"),
        ({"HTTP_SEC_FETCH_DEST": "image"}, "hm"),
        ({"HTTP_SEC_FETCH_DEST": "empty", "HTTP_SEC_FETCH_MODE": "cors"}, "he"),
        ({"HTTP_SEC_FETCH_SITE": "none"}, "hm"),
        ({"HTTP_SEC_FETCH_MODE": "navigate"}, "hm"),
        ({"HTTP_SEC_FETCH_USER": "?1"}, "hm"),
        ({"HTTP_DNT": "1"}, "hp"),
        ({"HTTP_SEC_GPC": "1"}, "hp"),
        ({"HTTP_DNT": "0", "HTTP_SEC_GPC": "1"}, "hp"),
        ({"HTTP_DNT": "0"}, "h"),
        ({"HTTP_DNT": "unspecified", "HTTP_SEC_GPC": ""}, "h"),
        (
            {
                "TELLTALE_SCHEME": "https",
                "HTTP_ACCEPT_LANGUAGE": "en",
                "HTTP_SEC_FETCH_DEST": "document",
                "HTTP_DNT": "1",
                "HTTP_SEC_GPC": "1",
            },
            "slmp",
        ),
    ],
)
def test_a_request_is_written_down_as_letters(tmp_path: Path, environ: dict[str, str], facts: str) -> None:
    assert written(tmp_path, environ)[0].facts == facts


@given(values=st.dictionaries(st.sampled_from(READ_HEADERS), st.text("kestrel-mark", min_size=12, max_size=300)))
def test_no_word_of_a_header_that_is_looked_at_reaches_the_journal(
    tmp_path_factory: pytest.TempPathFactory, values: dict[str, str]
) -> None:
    _, line = written(tmp_path_factory.mktemp("journal"), values)
    for value in values.values():
        assert value.encode() not in line
    plain = len(written(tmp_path_factory.mktemp("journal"), {})[1])
    assert len(line) <= plain + len("lmep")


@pytest.mark.parametrize(
    ("header", "value", "purpose"),
    [
        ("HTTP_SEC_PURPOSE", "prefetch", "prefetch"),
        ("HTTP_SEC_PURPOSE", "prefetch;anonymous-client-ip", "prefetch"),
        ("HTTP_SEC_PURPOSE", "prefetch;prerender", "prefetch,prerender"),
        ("HTTP_PURPOSE", "prefetch", "prefetch"),
        ("HTTP_X_MOZ", "prefetch", "prefetch"),
        ("HTTP_X_PURPOSE", "preview", "preview"),
        ("HTTP_X_PURPOSE", "Preview", "preview"),
    ],
)
def test_every_way_to_say_prefetch_is_kept_in_our_own_words(
    tmp_path: Path, header: str, value: str, purpose: str
) -> None:
    assert written(tmp_path, {header: value})[0].headers == {"purpose": purpose}


@pytest.mark.parametrize("header", ["HTTP_SEC_PURPOSE", "HTTP_PURPOSE", "HTTP_X_MOZ", "HTTP_X_PURPOSE"])
def test_another_purpose_is_none(tmp_path: Path, header: str) -> None:
    assert written(tmp_path, {header: "kestrel@people.example"})[0].headers == {}


def test_a_header_without_a_purpose_does_not_hide_one_that_has_it(tmp_path: Path) -> None:
    environ = {"HTTP_SEC_PURPOSE": "", "HTTP_PURPOSE": "none", "HTTP_X_MOZ": "prefetch"}
    assert written(tmp_path, environ)[0].headers == {"purpose": "prefetch"}

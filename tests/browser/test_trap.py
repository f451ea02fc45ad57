"""The hidden link in headless Chromium: people neither see it nor hear of it, and no key leads to it."""

from __future__ import annotations

import re

import pytest

from tests.browser.chromium import Reader
from tests.browser.conftest import Platform
from tests.corpus.load import Newsletter, newsletters

STYLE = re.compile(r'(<a href="[^"]+" aria-hidden="true" tabindex="-1") style="[^"]*"(></a>)')
SOME = [one for one in newsletters() if one.name in {"fragment-inline", "receipt", "transactional-divs"}]


@pytest.mark.parametrize("newsletter", SOME, ids=lambda newsletter: newsletter.name)
def test_no_screen_reader_and_no_key_meets_the_trap(
    newsletter: Newsletter, platform: Platform, readers: dict[str, Reader]
) -> None:
    reader = readers["desktop"]
    rewritten = platform.register(newsletter.html)["html"]
    before = reader.show(newsletter.content, newsletter.charset)
    heard, stops = reader.hear(), reader.tab_stops()
    assert len(stops) >= newsletter.tracked
    stripped = STYLE.sub(r"\1\2", rewritten)  # as by a mail program that takes styles away
    assert stripped != rewritten
    for html in (rewritten, stripped):
        after = reader.show(html.encode(newsletter.charset), newsletter.charset)
        assert len(after.traps) == 1
        assert (after.text, after.elements, after.size) == (before.text, before.elements, before.size)
        assert reader.hear() == heard
        assert reader.tab_stops() == stops


def test_the_comparison_hears_of_a_link_that_is_not_hidden(readers: dict[str, Reader]) -> None:
    reader = readers["desktop"]
    reader.show(b"<p><a href='https://x.example/'>x</a></p>", "utf-8")
    heard, stops = reader.hear(), reader.tab_stops()
    reader.show(b"<p><a href='https://x.example/'>x</a></p><a href='https://x.example/'></a>", "utf-8")
    assert reader.hear() != heard
    assert len(reader.tab_stops()) == len(stops) + 1

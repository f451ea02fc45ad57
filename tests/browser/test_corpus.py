"""Every newsletter of the corpus, before and after rewriting, in headless Chromium: same text, same layout to the
pixel, and every link leads where the browser says that the author's own link led."""

from __future__ import annotations

import pytest

from tests.browser.chromium import Look, Reader
from tests.browser.conftest import TRACKING_HOST, Platform
from tests.corpus.load import Newsletter, newsletters

NEWSLETTERS = newsletters()
# `data-track="off"` is taken out, so what it says holds for the first rewriting only.
REPEATABLE = [newsletter for newsletter in NEWSLETTERS if b"data-track" not in newsletter.content]


def test_the_corpus_is_large_and_varied() -> None:
    assert len(NEWSLETTERS) >= 30
    assert len({newsletter.charset for newsletter in NEWSLETTERS}) >= 8
    assert sum(len(newsletter.content) for newsletter in NEWSLETTERS) < 1_500_000


@pytest.mark.parametrize(
    "change",
    [
        ("<body>", '<body><img src="https://img.example/1.gif" style="display:block;width:1px;height:1px">'),
        ("</body>", '<img src="https://img.example/1.gif" width="1" height="1"></body>'),
        ("#222222", "#222223"),  # seen in the screenshot alone
        ("<p>", "<p> \N{NO-BREAK SPACE}"),
        ("</p><p>", " "),
    ],
)
def test_the_comparison_sees_the_smallest_change(change: tuple[str, str], readers: dict[str, Reader]) -> None:
    letter = "<!DOCTYPE html><style>p{color:#222222}</style><body><p>One</p><p>Two</p></body>"
    for reader in readers.values():
        before = reader.show(letter.encode(), "utf-8")
        _assert_same_sight(before, reader.show(letter.encode(), "utf-8"))
        changed = reader.show(letter.replace(*change).encode(), "utf-8")
        with pytest.raises(AssertionError):
            _assert_same_sight(before, changed)


@pytest.mark.parametrize("newsletter", NEWSLETTERS, ids=lambda newsletter: newsletter.name)
def test_rewriting_changes_neither_text_nor_layout_nor_destinations(
    newsletter: Newsletter, platform: Platform, readers: dict[str, Reader]
) -> None:
    message = platform.register(newsletter.html)
    rewritten = message["html"].encode(newsletter.charset)
    for reader in readers.values():
        before = reader.show(newsletter.content, newsletter.charset)
        after = reader.show(rewritten, newsletter.charset)
        _assert_same_sight(before, after)
        _assert_pixels_load(after, newsletter.pixels)
        _assert_trap_has_no_box(after, platform, newsletter.traps)
        links = _links_in_utf8(newsletter, before, reader)
        _assert_same_destinations(links, after, platform, reader, newsletter.tracked)
    assert len(message["links"]) == newsletter.tracked


@pytest.mark.parametrize("newsletter", REPEATABLE, ids=lambda newsletter: newsletter.name)
def test_what_was_rewritten_is_not_rewritten_again(newsletter: Newsletter, platform: Platform) -> None:
    once = platform.register(newsletter.html)["html"]
    again = platform.register(once)
    assert again["html"] == once
    assert again["links"] == []


def _links_in_utf8(newsletter: Newsletter, before: Look, reader: Reader) -> list[tuple[str, str] | None]:
    """Where the links led when the mail is shown in UTF-8, as mail clients do whatever it was sent in.

    The charset makes a difference to a query outside ASCII: the URL standard encodes it in the document's charset.
    """
    if newsletter.charset == "utf-8":
        return before.links
    return reader.show(newsletter.html.encode(), "utf-8").links


def _assert_same_sight(before: Look, after: Look) -> None:
    assert (after.mode, after.charset, after.title) == (before.mode, before.charset, before.title)
    assert after.text == before.text
    assert len(after.elements) == len(before.elements)
    moved = [(old, new) for old, new in zip(before.elements, after.elements, strict=True) if old != new]
    assert moved == []
    assert after.size == before.size
    assert after.screenshot == before.screenshot, "the screenshots differ"


def _assert_pixels_load(after: Look, number: int) -> None:
    assert len({url for url, _ in after.pixels}) == len(after.pixels) == number
    assert all(loaded for _, loaded in after.pixels)


def _assert_trap_has_no_box(after: Look, platform: Platform, number: int) -> None:
    assert [boxes for _, boxes in after.traps] == [0] * number
    assert [platform.get(url)[0] for url, _ in after.traps] == [302] * number


def _assert_same_destinations(
    before: list[tuple[str, str] | None], after: Look, platform: Platform, reader: Reader, tracked: int
) -> None:
    assert len(after.links) == len(before)
    codes, expected = [], []
    for old, new in zip(before, after.links, strict=True):
        if old is None or new is None:
            assert new == old
        elif "unsubscribe_url" in old[0]:
            assert new[1].startswith(f"{TRACKING_HOST}/u/")
            assert platform.get(new[1])[0] == 200
        elif new[1].startswith(f"{TRACKING_HOST}/c/"):
            codes.append(new[1])
            expected.append(old[1])
        else:
            assert new == old
    answers = [platform.get(url) for url in codes]
    assert [status for status, _, _ in answers] == [302] * len(answers)
    assert reader.parse([headers["Location"] for _, headers, _ in answers]) == expected
    assert len(set(codes)) == tracked  # crossed elements make the browser repeat an anchor

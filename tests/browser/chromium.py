"""Headless Chromium as a mail program: shows one HTML document, with no network but what the test answers, and tells
what a reader would see. Scripts are off, as in mail."""

from __future__ import annotations

import base64
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from playwright.sync_api import BrowserContext, Page, Route, sync_playwright

PAGE_URL = "http://mail.example/message"
_GIF = base64.b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")
_PROGRAMS = ("chromium", "chromium-browser")
MISSING = (
    "These tests render in Chromium, and there is none on the PATH. On Debian and Ubuntu: apt-get install chromium"
)

# Every element but the pixels and the trap of `host`: its name, its attributes but those that rewriting changes, and
# its box.
_SEE = """(host) => {
  const pixel = (e) => e.localName === 'img' && e.src.startsWith(host + '/o/');
  const trap = (e) => e.localName === 'a' && e.matches('[aria-hidden=true][tabindex="-1"]:empty')
    && e.href.startsWith(host + '/c/');
  const ours = (e) => pixel(e) || trap(e);
  const box = (e) => { const b = e.getBoundingClientRect(); return [b.x, b.y, b.width, b.height]; };
  const attributes = (e) => [...e.attributes]
    .filter((a) => a.name !== 'data-track' && !(a.name === 'href' && ['a', 'area'].includes(e.localName)))
    .map((a) => [a.name, a.value]);
  const address = (e) => {
    const raw = e.getAttribute('href');
    if (raw === null) return null;
    if (typeof e.href === 'string') return [raw, e.href];
    try { return [raw, new URL(raw, document.baseURI).href]; } catch { return [raw, raw]; }  // inside SVG
  };
  // What moves is shown as it ends, and what never ends as it began: two pictures of it must be equal.
  for (const moving of document.getAnimations()) {
    try { moving.finish(); } catch { moving.cancel(); }
  }
  const root = document.documentElement;
  return {
    text: document.body.innerText,
    title: document.title,
    elements: [...root.querySelectorAll('*')].filter((e) => !ours(e)).map((e) => [e.localName, attributes(e), box(e)]),
    size: [root.scrollWidth, root.scrollHeight, document.body.scrollWidth, document.body.scrollHeight],
    links: [...document.querySelectorAll('a, area')].filter((e) => !ours(e)).map(address),
    traps: [...document.querySelectorAll('a')].filter(trap).map((e) => [e.href, e.getClientRects().length]),
    pixels: [...document.images].filter(pixel).map((e) => [e.src, e.complete && e.naturalWidth === 1]),
    mode: document.compatMode,
    charset: document.characterSet,
  };
}"""
_FOCUSED = """() => {
  const e = document.activeElement;
  const place = [...document.body.querySelectorAll('*')].indexOf(e);
  return [place, e.localName, e.alt || e.innerText || ''];
}"""
_PARSE = "(urls) => urls.map((url) => { try { return new URL(url).href } catch { return null } })"


@dataclass(frozen=True, slots=True)
class Look:
    """What a reader sees, and where each link leads."""

    text: str
    title: str
    elements: list[Any] = field(repr=False)
    """Of each element but our pixels and trap: name, attributes but `href` of links and `data-track`, box."""
    size: list[float]
    links: list[tuple[str, str] | None] = field(repr=False)
    """Of each `a` and `area` but the trap: its `href` as it stands and as the browser resolves it. None without one."""
    traps: list[tuple[str, int]]
    """URL of each trap, and how many boxes it has."""
    pixels: list[tuple[str, bool]]
    """URL of each of our pixels, and whether it is there."""
    mode: str
    charset: str
    screenshot: bytes = field(repr=False)
    """PNG of the whole document."""


class Reader:
    """One window of one width.

    Args:
        host: `http://…` of the tracking host.
        answer: gives status, content type and body for a URL on that host.
    """

    def __init__(self, context: BrowserContext, host: str, answer: Callable[[str], tuple[int, str, bytes]]) -> None:
        self._host = host
        self._answer = answer
        self._document: tuple[bytes, str] = (b"", "")
        self._page: Page = context.new_page()
        self._session = context.new_cdp_session(self._page)
        context.route("**/*", self._serve)

    def show(self, content: bytes, charset: str) -> Look:
        self._document = (content, charset)
        self._page.goto(PAGE_URL)
        seen: dict[str, Any] = self._page.evaluate(_SEE, self._host)
        seen["links"] = [link and tuple(link) for link in seen["links"]]
        seen["traps"] = [tuple(trap) for trap in seen["traps"]]
        seen["pixels"] = [tuple(pixel) for pixel in seen["pixels"]]
        return Look(screenshot=self._picture(seen["size"]), **seen)

    def _picture(self, size: list[float]) -> bytes:
        """PNG of a document of this size, packed in a hurry; Playwright's own takes more than twice as long."""
        clip = {"x": 0, "y": 0, "width": max(size[0], size[2]), "height": max(size[1], size[3]), "scale": 1}
        how = {"format": "png", "captureBeyondViewport": True, "optimizeForSpeed": True, "clip": clip}
        picture: str = self._session.send("Page.captureScreenshot", how)["data"]
        return base64.b64decode(picture)

    def parse(self, urls: list[str]) -> list[str | None]:
        """Each URL as the browser reads it; None for what is none."""
        found: list[str | None] = self._page.evaluate(_PARSE, urls)
        return found

    def hear(self) -> list[tuple[str, str]]:
        """What a screen reader gets of the document that is shown: role and name of everything in the tree.

        Without blanks, and without the lines of a text: whether those are in the tree depends on when it was made.
        """
        nodes = self._session.send("Accessibility.getFullAXTree")["nodes"]
        found = [
            (node["role"]["value"], " ".join(node.get("name", {}).get("value", "").split()))
            for node in nodes
            if not node["ignored"]
        ]
        return [(role, name) for role, name in found if role != "InlineTextBox" and (name or role != "StaticText")]

    def tab_stops(self) -> list[tuple[str, str]]:
        """Where the Tab key leads, from the beginning to the end of the document that is shown: name and text."""
        stops: dict[int, tuple[str, str]] = {}
        while True:
            self._page.keyboard.press("Tab")
            place, name, text = self._page.evaluate(_FOCUSED)
            if place < 0 or place in stops:  # behind the last one: the window's own, or the first again
                return list(stops.values())
            stops[place] = (name, text)

    def _serve(self, route: Route) -> None:
        """The document, our pixels from the front, a picture for every picture; nothing else is there."""
        request = route.request
        if request.url == PAGE_URL:
            content, charset = self._document
            route.fulfill(body=content, headers={"Content-Type": f"text/html; charset={charset}"})
        elif request.url.startswith(self._host):
            status, content_type, body = self._answer(request.url)
            route.fulfill(status=status, body=body, headers={"Content-Type": content_type})
        elif request.resource_type == "image":
            route.fulfill(body=_GIF, headers={"Content-Type": "image/gif"})
        else:
            route.abort()


@contextmanager
def chromium(reach: Mapping[str, int] | None = None) -> Iterator[Callable[..., BrowserContext]]:
    """A browser that can reach nothing; gives what makes contexts of it.

    Args:
        reach: hosts that it can reach, with their ports on this machine; it takes `http://` there for safe, as it takes
            `https://` elsewhere.

    Raises:
        FileNotFoundError: there is no Chromium; the text says how to get it.
    """
    program = next((found for name in _PROGRAMS if (found := shutil.which(name))), None)
    if program is None:
        raise FileNotFoundError(MISSING)
    with sync_playwright() as driver:
        hosts = {} if reach is None else reach
        rules = [*(f"MAP {host} 127.0.0.1:{port}" for host, port in hosts.items()), "MAP * ~NOTFOUND"]
        safe = ",".join(f"http://{host}" for host in hosts)
        browser = driver.chromium.launch(
            executable_path=program,
            args=[f"--host-resolver-rules={','.join(rules)}", f"--unsafely-treat-insecure-origin-as-secure={safe}"],
        )
        usual = {"java_script_enabled": False, "service_workers": "block"}
        try:
            yield lambda **how: browser.new_context(**(usual | how))
        finally:
            browser.close()

"""Recipients, machines and strangers: who does what with which message. The same seed gives the same play.

A role is a function from a message to hits. Roles are dealt out in turn, so that each is played for each brand.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import cycle
from random import Random
from urllib.parse import quote, urlsplit

from local.demo.figures import CLICKED, HUMAN, MACHINE, OPENED, PROXY, UNSUBSCRIBED, Happened
from local.demo.hits import PAGE, PIXEL, REDIRECT, Answer, Hit
from local.demo.mailings import EMAIL, Link, Message

Role = Callable[[Random, Message, str], list[Hit]]
"""Args: the message, and a host of another brand."""

PEOPLE = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Safari/605",
    "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Thunderbird/128.0",
    "Mozilla/5.0 (Android 14; Mobile; rv:127.0) Gecko/127.0 Firefox/127.0",
)
PROXIES = (
    "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)",
    "YahooMailProxy; https://help.yahoo.com/kb/yahoo-mail-proxy-SLN28749.html",
)
BOTS = (
    "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
    "facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)",
    "WhatsApp/2.23.20.0",
    "python-requests/2.32.3",
    "curl/8.5.0",
    "",
)
PREFETCHES = (
    {"Sec-Purpose": "prefetch;prerender"},
    {"Purpose": "prefetch"},
    {"X-Purpose": "preview"},
    {"X-Moz": "prefetch"},
)
_FORM = {"Content-Type": "application/x-www-form-urlencoded"}
_BURST_LINKS = 3
_PIXEL = Answer(200, PIXEL)
_NOT_FOUND = Answer(404, PAGE)


def play(rng: Random, messages: Sequence[Message]) -> list[list[Hit]]:
    """Everything that happens to the messages: a visit (hits in order) for each that somebody does something with."""
    hosts = {message.brand: urlsplit(message.unsubscribe_url).netloc for message in messages}
    visits: list[list[Hit]] = []
    for brand in hosts:
        others = [host for other, host in hosts.items() if other != brand]
        for roles, is_email in ((EMAIL_ROLES, True), (SMS_ROLES, False)):
            own = [message for message in messages if message.brand == brand and (message.channel == EMAIL) == is_email]
            rng.shuffle(own)
            visits += [role(rng, message, rng.choice(others)) for role, message in zip(cycle(roles), own, strict=False)]
    rng.shuffle(visits)
    return [visit for visit in visits if visit]


# What people do.


def nothing(rng: Random, message: Message, other_host: str) -> list[Hit]:
    return []


def open_some_times(rng: Random, message: Message, other_host: str) -> list[Hit]:
    agent = rng.choice(PEOPLE)
    return [
        _open(message, position, agent, ending=rng.choice((".gif", ".png", "")))
        for _ in range(rng.randint(1, 3))
        for position in message.pixels
    ]


def open_through_proxy(rng: Random, message: Message, other_host: str) -> list[Hit]:
    agent = rng.choice(PROXIES)
    return [_open(message, position, agent, PROXY) for position in message.pixels]


def read_and_click(rng: Random, message: Message, other_host: str) -> list[Hit]:
    """Opens (email), then one or two links, one of them again: three different ones at once are a scanner's."""
    agent = rng.choice(PEOPLE)
    chosen = rng.sample(message.links, rng.randint(1, min(2, len(message.links))))
    hits = [_open(message, position, agent) for position in message.pixels]
    hits += [_click(message, link, agent) for link in chosen]
    # A platform that adds its own parameter to a shared link must not change where it leads.
    return [*hits, _click(message, chosen[0], agent, query="?fbclid=abc123", what="click again")]


def leave_by_button(rng: Random, message: Message, other_host: str) -> list[Hit]:
    """Looks at the page, which changes nothing, presses the button, and presses it again."""
    page = Hit("look at the unsubscribe page", "GET", message.unsubscribe_url, Answer(200, PAGE, holds='method="post"'))
    return [page, *_leave(message, b"", "link", rng.choice(PEOPLE))]


def leave_by_one_click(rng: Random, message: Message, other_host: str) -> list[Hit]:
    """The mail provider does it (RFC 8058), and once more after a time-out."""
    return _leave(message, b"List-Unsubscribe=One-Click", "one_click", rng.choice((*BOTS, *PEOPLE)))


# What machines do.


def scan(rng: Random, message: Message, other_host: str) -> list[Hit]:
    """A security scanner loads everything, also the unsubscribe page."""
    agent = rng.choice(BOTS)
    hits = [_open(message, position, agent, MACHINE) for position in message.pixels]
    hits += [_click(message, link, agent, MACHINE, what="click by a machine") for link in message.links]
    headers = {"User-Agent": agent}
    return [*hits, Hit("scan of the unsubscribe page", "GET", message.unsubscribe_url, Answer(200, PAGE), headers)]


def burst(rng: Random, message: Message, other_host: str) -> list[Hit]:
    """A mail gateway that calls itself a browser and follows every link at once. What had been taken for a person
    until its third link is corrected. A message with fewer links is scanned by one that says its name."""
    if len(message.links) < _BURST_LINKS:
        return scan(rng, message, other_host)
    agent = rng.choice(PEOPLE)
    hits = [_open(message, position, agent, MACHINE) for position in message.pixels]
    return hits + [_click(message, link, agent, MACHINE, what="click by a machine") for link in message.links]


def prefetch(rng: Random, message: Message, other_host: str) -> list[Hit]:
    """A browser fetches ahead, then the person really clicks."""
    agent, ahead, link = rng.choice(PEOPLE), rng.choice(PREFETCHES), rng.choice(message.links)
    hits = [_open(message, place, agent, MACHINE, headers=ahead, what="prefetched pixel") for place in message.pixels]
    fetched = _click(message, link, agent, MACHINE, headers=ahead, what="prefetched click")
    if "Sec-Purpose" in ahead:
        # Such a browser would keep a redirect and not ask when the person clicks.
        fetched = replace(fetched, answer=Answer(503, PAGE))
    return [*hits, fetched, _click(message, link, agent)]


def ask_for_heads(rng: Random, message: Message, other_host: str) -> list[Hit]:
    agent, link = rng.choice(PEOPLE), rng.choice(message.links)
    hits = [_open(message, place, agent, MACHINE, method="HEAD", what="HEAD on a pixel") for place in message.pixels]
    page = Hit("HEAD on an unsubscribe page", "HEAD", message.unsubscribe_url, Answer(200, PAGE))
    return [*hits, _click(message, link, agent, MACHINE, method="HEAD", what="HEAD on a link"), page]


# What strangers do: nothing may come of any of it.


def use_wrong_host(rng: Random, message: Message, other_host: str) -> list[Hit]:
    agent = {"User-Agent": rng.choice(PEOPLE)}
    link, leave = rng.choice(message.links).url, message.unsubscribe_url
    hits = [
        Hit("pixel on the wrong host", "GET", _at(url, other_host), _PIXEL, agent) for url in message.pixels.values()
    ]
    return [
        *hits,
        Hit("link on the wrong host", "GET", _at(link, other_host), _NOT_FOUND, agent),
        Hit("link on nobody's host", "GET", _at(link, "nobody.example"), _NOT_FOUND, agent),
        Hit("unsubscribe page on the wrong host", "GET", _at(leave, other_host), _NOT_FOUND, agent),
        Hit("unsubscribe on the wrong host", "POST", _at(leave, other_host), _NOT_FOUND, {**agent, **_FORM}, b""),
    ]


def make_up_codes(rng: Random, message: Message, other_host: str) -> list[Hit]:
    """Garbage, cut off, overlong, outside ASCII: the pixel is always a pixel, everything else is not found."""
    agent = {"User-Agent": rng.choice(PEOPLE)}
    parts = urlsplit(rng.choice(message.links).url)
    code = parts.path.rpartition("/")[2]
    garbage = "".join(rng.choices("abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789", k=10))
    codes = {
        "garbage code": garbage,
        "truncated code": code[:-1],
        "overlong code": code + "a" * rng.randint(1, 2000),
        "non-ASCII code": quote("ключ①" + code[5:]),
        "empty code": "",
    }
    hits = []
    for what, made_up in codes.items():
        base = f"{parts.scheme}://{parts.netloc}"
        hits += [
            Hit(f"{what}: pixel", "GET", f"{base}/o/{made_up}", _PIXEL, agent),
            Hit(f"{what}: link", "GET", f"{base}/c/{made_up}", _NOT_FOUND, agent),
            Hit(f"{what}: unsubscribe", "POST", f"{base}/u/{made_up}", _NOT_FOUND, {**agent, **_FORM}, b""),
        ]
    return hits


def mix_up_paths(rng: Random, message: Message, other_host: str) -> list[Hit]:
    """Right codes in wrong places, and methods that nobody should use."""
    agent = {"User-Agent": rng.choice(PEOPLE)}
    link, leave = rng.choice(message.links).url, message.unsubscribe_url
    refused = Answer(405, PAGE)
    return [
        Hit("link code as a pixel", "GET", link.replace("/c/", "/o/"), _PIXEL, agent),
        Hit("link code as unsubscribe", "POST", link.replace("/c/", "/u/"), _NOT_FOUND, {**agent, **_FORM}, b""),
        Hit("unsubscribe code as a link", "GET", leave.replace("/u/", "/c/"), _NOT_FOUND, agent),
        Hit("POST on a link", "POST", link, refused, {**agent, **_FORM}, b""),
        Hit("DELETE on an unsubscribe page", "DELETE", leave, refused, agent),
    ]


EMAIL_ROLES: tuple[Role, ...] = (
    read_and_click,
    open_some_times,
    leave_by_one_click,
    open_through_proxy,
    scan,
    read_and_click,
    prefetch,
    leave_by_button,
    use_wrong_host,
    open_some_times,
    ask_for_heads,
    make_up_codes,
    read_and_click,
    burst,
    mix_up_paths,
    nothing,
)
SMS_ROLES: tuple[Role, ...] = (
    read_and_click,
    scan,
    leave_by_button,
    prefetch,
    read_and_click,
    use_wrong_host,
    ask_for_heads,
    make_up_codes,
    mix_up_paths,
    nothing,
)


# The hits.


def _open(
    message: Message,
    position: str,
    agent: str,
    verdict: str = HUMAN,
    *,
    method: str = "GET",
    headers: dict[str, str] | None = None,
    ending: str = ".gif",
    what: str = "open",
) -> Hit:
    event = Happened(message.brand, OPENED, message.id, position, verdict, verdict != MACHINE)
    url = message.pixels[position].removesuffix(".gif") + ending
    named = {PROXY: "open through a proxy", MACHINE: "open by a machine"}.get(verdict, what) if what == "open" else what
    return Hit(named, method, url, _PIXEL, {**_named(agent), **(headers or {})}, event=event)


def _click(
    message: Message,
    link: Link,
    agent: str,
    verdict: str = HUMAN,
    *,
    method: str = "GET",
    headers: dict[str, str] | None = None,
    query: str = "",
    what: str = "click",
) -> Hit:
    event = Happened(message.brand, CLICKED, message.id, link.id, verdict, verdict != MACHINE)
    answer = Answer(302, REDIRECT, link.location)
    return Hit(what, method, link.url + query, answer, {**_named(agent), **(headers or {})}, event=event)


def _named(agent: str) -> dict[str, str]:
    """What a program says of itself. People's programs name a language; where one is missing, that is a weak sign."""
    return {"User-Agent": agent, **({"Accept-Language": "en"} if agent in PEOPLE else {})}


def _leave(message: Message, body: bytes, how: str, agent: str) -> list[Hit]:
    headers = {"User-Agent": agent, **_FORM}
    event = Happened(message.brand, UNSUBSCRIBED, message.id, how)
    url, done = message.unsubscribe_url, Answer(200, PAGE)
    return [
        Hit(f"unsubscribe ({how})", "POST", url, done, headers, body, event),
        # Says nothing new: answered the same, and no second event.
        Hit("unsubscribe again", "POST", url, done, headers, body),
    ]


def _at(url: str, host: str) -> str:
    return urlsplit(url)._replace(netloc=host).geturl()

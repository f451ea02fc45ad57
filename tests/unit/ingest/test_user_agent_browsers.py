"""Which agents are told to be a plain browser, of which more can be expected than of an app."""

from __future__ import annotations

import pytest

from app.ingest.user_agents import judge_user_agent
from tests.unit.ingest.known_agents import (
    APPS,
    BLINK,
    CHROME,
    IPHONE,
    IPHONE_APP,
    LINUX,
    MAC,
    MAIL_CLIENTS,
    OTHER_PROXIES,
    WEBKIT,
    WINDOWS,
    phone,
    web_view,
)


@pytest.mark.parametrize(
    ("agent", "browser", "major"),
    [
        (CHROME, "chrome", 131),
        (f"{LINUX} {BLINK} Chrome/76.0.3809.100 Safari/537.36", "chrome", 76),
        (phone("SM-S918B"), "chrome", 131),
        (phone("Moto G (4)"), "chrome", 131),
        (phone("K").replace("Chrome/", "SamsungBrowser/25.0 Chrome/"), "chrome", 131),
        (f"{CHROME} OPR/115.0.0.0", "chrome", 131),
        (f"{CHROME} Vivaldi/7.0.3495.11", "chrome", 131),
        (f"{CHROME} Edg/131.0.2903.51", "edge", 131),
        (phone("K", after=" EdgA/130.0.0.0"), "edge", 131),
        (f"{WINDOWS} {BLINK} Chrome/64.0.3282.140 Safari/537.36 Edge/18.17763", "edge", 64),
        ("Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:132.0) Gecko/20100101 Firefox/132.0", "firefox", 132),
        ("Mozilla/5.0 (Android 14; Mobile; rv:109.0) Gecko/118.0 Firefox/118.0", "firefox", 118),
        ("Mozilla/5.0 (X11; Ubuntu; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.5.0", "firefox", 128),
        (f"{MAC} {WEBKIT} Version/17.5 Safari/605.1.15", "safari", 17),
        (f"{IPHONE} {WEBKIT} Version/16.6.1 Mobile/15E148 Safari/604.1", "safari", 16),
    ],
)
def test_a_plain_browser_is_recognised_with_its_version(agent: str, browser: str, major: int) -> None:
    judged = judge_user_agent(agent)

    assert (judged.browser, judged.major) == (browser, major)


@pytest.mark.parametrize(
    "agent",
    [
        *APPS,
        *MAIL_CLIENTS,
        *OTHER_PROXIES,
        web_view("SM-A525F"),
        web_view("Moto G (4)"),
        f"{IPHONE_APP} Safari/604.1",
        f"{IPHONE} {WEBKIT} CriOS/131.0.6778.73 Mobile/15E148 Safari/604.1",
        f"{IPHONE} {WEBKIT} Version/16.4 Mobile/15E148 DuckDuckGo/7 Safari/605.1.15",
        f"{CHROME} ExampleApp/2.0",
        f"{WINDOWS} {BLINK} Example/1.0 Chrome/128.0.0.0 Electron/32.0.0 Safari/537.36",
        "Mozilla/5.0 (Windows NT 10.0; rv:128.0) Gecko/20100101 Firefox/128.0 SeaMonkey/2.53",
        f"{WINDOWS} Chrome/120.0.0.0",
        "Mozilla/5.0 (Windows NT 10.0; WOW64; Trident/7.0; rv:11.0) like Gecko",
    ],
)
def test_an_app_a_mail_program_or_half_a_browser_is_none(agent: str) -> None:
    judged = judge_user_agent(agent)

    assert (judged.browser, judged.major) == ("", 0)

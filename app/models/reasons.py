"""The closed set of reasons that classification gives, each with what it means in plain words.

The words complete "This was judged so because …" and are shown by `GET /v1/messages/{id}/explain`; docs/glossary.md
holds the same set (a test compares them). Which rule gives which reason is in `app.ingest`.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

REASONS: Mapping[str, str] = MappingProxyType(
    {
        "ok": "nothing speaks against a person",
        "method_head": "the request was not a GET, and browsers open links with GET",
        "prefetch": "the request itself said that it came ahead of a person",
        "ua_empty": "it had no user agent",
        "ua_bare": "its user agent says nothing but Mozilla/5.0",
        "apple_mpp": "Apple Mail Privacy Protection loaded it ahead of the person, from Apple's network",
        "gmail_prefetch": "Gmail loaded it ahead of the person",
        "proxy_gmail": "Gmail's image proxy loaded it when a person opened the message",
        "proxy_yahoo": "Yahoo's image proxy loaded it when a person opened the message",
        "proxy_other": "a mail provider's image proxy loaded it when a person opened the message",
        "proxy_unverified": "it calls itself a mail provider's image proxy but came from another network",
        "mail_client": "its user agent is a mail program's",
        "link_preview": "a chat program or social network made a preview",
        "scanner_ua": "its user agent is a security scanner's",
        "scanner_net": "it came from the network of a security scanner",
        "bot_known": "its user agent is on a list of known machines",
        "bot_generic": "its user agent calls itself a bot, a library or a command-line program",
        "ua_shape": "its user agent is not one that browsers or mail programs send",
        "honeypot": "the hidden link of the message was followed, by this request or by the same client",
        "link_burst": "too many different links of the message were opened within too short a time",
        "link_sweep": "every link of the message and the unsubscribe page were opened within too short a time",
        "too_fast": "it came before anybody could have read the message",
        "tainted_session": "the same client did something on this message that only machines do",
        "scanner_echo": "the same link had just been opened from another network",
        "ms_net": "the click came from Microsoft's network, where links are checked",
        "datacenter_ip": "the click came from a hosting cloud",
        "no_fetch_metadata": "it calls itself a current browser but lacks the headers that those send",
        "no_accept_language": "it calls itself a browser but names no language",
        "fast": "it came within seconds after the message was handed over",
        "stale_browser": "its browser is years old",
        "soft_signals": "several weak signs together speak for a machine",
        "privacy_signal": "the person asked not to be tracked (DNT or Sec-GPC); this says nothing about machines",
        "relay_ip": "it came through Apple's Private Relay with an ordinary browser",
        "destination_blocked": "the brand does not allow the destination any more: the person saw a page of ours",
        "values_gone": "the values of the personalised link are past their keeping: the person saw a page of ours",
        "implied": "a counted click says that the message was open, although no pixel was loaded",
    }
)

SOFT = ("ms_net", "datacenter_ip", "no_fetch_metadata", "no_accept_language", "fast", "stale_browser")
"""Weak signs, one point each (rules 16 to 21)."""

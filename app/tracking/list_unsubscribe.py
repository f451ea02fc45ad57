"""The two headers of one-click unsubscribe (RFC 2369, RFC 8058). The mailer must sign both (DKIM `h=`)."""

from __future__ import annotations

import re

# Visible ASCII but for what ends or quotes a bracketed URL: no blank, CR or LF can get into a header line.
_VISIBLE = r"""!#-;=?-\[\]-~"""
_URL = re.compile(rf"https?://[{_VISIBLE}]+", re.IGNORECASE)
_MAILTO = re.compile(rf"[{_VISIBLE}]+@[{_VISIBLE}]+")


def list_unsubscribe_headers(url: str, mailto: str | None) -> dict[str, str]:
    """`List-Unsubscribe` and `List-Unsubscribe-Post` for one message.

    Args:
        url: this recipient's unsubscribe URL; https in production (RFC 8058 section 3.1), http only on a local copy.
        mailto: an address, with or without `mailto:` in front and `?subject=…` behind, or None.

    Raises:
        ValueError: a value could break out of its header (CR, LF, blanks, brackets, not ASCII) or is no URL or address.
    """
    if not _URL.fullmatch(url):
        raise ValueError("the unsubscribe URL cannot stand in a header")
    targets = [f"<{url}>"]
    if mailto is not None:
        address = mailto[7:] if mailto[:7].lower() == "mailto:" else mailto
        if not _MAILTO.fullmatch(address):
            raise ValueError("the unsubscribe mailto cannot stand in a header")
        targets.insert(0, f"<mailto:{address}>")
    return {"List-Unsubscribe": ", ".join(targets), "List-Unsubscribe-Post": "List-Unsubscribe=One-Click"}

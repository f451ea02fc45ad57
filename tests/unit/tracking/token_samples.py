"""A key, contents and tokens that the tests of tokens share."""

from __future__ import annotations

import base64
from dataclasses import replace

from hypothesis import strategies as st

from app.models.block import Channel
from app.tracking.tokens import TokenContent, TokenKey, TokenPurpose, open_token, seal_token

KEY = TokenKey(1, bytes(range(64)))
OPEN, CLICK, UNSUBSCRIBE, FIELDS = TokenPurpose
PERSON = TokenContent(
    reference="m-000123",
    address="ada.lovelace@mail.example",
    contact_id="c-77",
    campaign_id="spring",
    list_id="news",
    job_source="board",
    metadata={"name": "Ada Lovelace", "größe": ""},
)
SAMPLES = {
    OPEN: PERSON,
    CLICK: replace(PERSON, destination="https://www.alder.example/straße?a=b&c=%20#top"),
    UNSUBSCRIBE: replace(PERSON, address="+4915112345678", channel=Channel.SMS),
    FIELDS: TokenContent(metadata={"name": "Ada Lovelace"}),
}


def sealed(purpose: TokenPurpose, brand_id: str = "alder") -> str:
    return seal_token(KEY, brand_id, purpose, SAMPLES[purpose])


def opened(token: str, purpose: TokenPurpose = OPEN, brand_id: str = "alder") -> TokenContent | None:
    return open_token(KEY, brand_id, purpose, token)


def sealed_raw(raw: bytes, purpose: TokenPurpose = OPEN) -> str:
    """Bytes under the brand's own key: what a sender with a fault, or with bad intent, could make."""
    whole = KEY.header + KEY.aead.encrypt(raw, [KEY.header + purpose.value.encode() + b"alder"])
    return base64.urlsafe_b64encode(whole).decode().rstrip("=")


_TEXT = st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp", "Cf"]), min_size=1, max_size=15)
_ABOUT = {
    "reference": _TEXT,
    "contact_id": st.none() | _TEXT,
    "campaign_id": st.none() | _TEXT,
    "list_id": st.none() | _TEXT,
    "job_source": st.none() | _TEXT,
    "metadata": st.dictionaries(_TEXT, _TEXT | st.just(""), max_size=3),
}
_PHONES = st.from_regex(r"\+[1-9][0-9]{6,14}", fullmatch=True)
_EMAILS = st.from_regex(r"[a-zäß.+]{1,20}@[a-z]{1,10}\.example", fullmatch=True)
CONTENTS = st.builds(TokenContent, address=st.none() | _EMAILS, **_ABOUT) | st.builds(
    TokenContent, address=st.none() | _PHONES, channel=st.just(Channel.SMS), **_ABOUT
)
DESTINATIONS = st.from_regex(r"(https|http|HTTPS)://[a-z]{1,9}\.example(/[a-z%/?&=#ß.-]{0,40})?", fullmatch=True)

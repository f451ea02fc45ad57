"""`/v1/tokens`: sealed tokens for brands that do not mint them themselves (docs/tokens.md). Nothing is stored."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from app.brands.brand import Brand
from app.errors import InvalidRequest
from app.lib.http_url import check_destination
from app.messages.addresses import check_address
from app.models.api_key import Scope
from app.models.block import Channel
from app.tracking.token_content import encode
from app.tracking.tokens import ContentRefused, TokenContent, TokenPurpose
from app.tracking.urls import TrackingUrls
from app.web.api.fields import Address, Answer, Metadata, Reference, Schema, Url
from app.web.api.operation import Call, Operation, Reply

MAX_TOKENS = 1000
_MAX_FAULTS = 20
_PURPOSES = {
    "open": TokenPurpose.OPEN,
    "click": TokenPurpose.CLICK,
    "unsubscribe": TokenPurpose.UNSUBSCRIBE,
    "fields": TokenPurpose.FIELDS,
}

Fault = dict[str, str]


class NewToken(Schema):
    """All but `purpose` is optional, but a link needs `reference` or `address`, and a click its `destination`."""

    purpose: Literal["open", "click", "unsubscribe", "fields"]
    channel: Literal["email", "sms"] = "email"
    reference: Reference | None = Field(
        default=None, description="Your own name of this message to this recipient; the same in all its tokens."
    )
    address: Address | None = Field(default=None, description="An email address, or a phone number in E.164 form.")
    contact_id: Reference | None = Field(default=None, description="Your own id of this contact.")
    campaign_id: Reference | None = None
    list_id: Reference | None = Field(default=None, description="What an unsubscribe leaves.")
    job_source: Reference | None = Field(default=None, description="Where the traffic came from: board, partner, feed.")
    destination: Url | None = Field(default=None, description="Where a click leads.")
    metadata: Metadata = Field(default_factory=dict, description="String to string, 16 fields at most.")

    def content(self) -> TokenContent:
        return TokenContent(
            reference=self.reference,
            address=self.address,
            channel=Channel(self.channel),
            contact_id=self.contact_id,
            campaign_id=self.campaign_id,
            list_id=self.list_id,
            job_source=self.job_source,
            destination=self.destination,
            metadata=self.metadata,
        )


class NewTokens(Schema):
    tokens: Annotated[list[NewToken], Field(min_length=1, max_length=MAX_TOKENS)]


class MintedToken(Answer):
    token: str = Field(description="At most 1,400 characters, of `A-Z a-z 0-9 - _`.")
    url: str | None = Field(default=None, description="The link; absent for `fields`, which goes behind `?p=`.")


class MintedTokens(Answer):
    tokens: list[MintedToken] = Field(description="In the order of the request.")


def mint(call: Call) -> Reply:
    """Everything is checked before anything is sealed: a batch is minted whole or not at all."""
    given = call.body_as(NewTokens).tokens
    wanted = [(_PURPOSES[one.purpose], one.content()) for one in given]
    _check(call.brand, wanted)
    keys, brand = call.services.token_keys, call.brand
    tokens: list[str] = [""] * len(wanted)
    for purpose in dict.fromkeys(purpose for purpose, _ in wanted):
        places = [place for place, (other, _) in enumerate(wanted) if other is purpose]
        sealed = keys.seal_many(brand.id, purpose, [wanted[place][1] for place in places])
        for place, token in zip(places, sealed, strict=True):
            tokens[place] = token
    urls = call.services.urls
    rows = zip(wanted, tokens, strict=True)
    return Reply({"tokens": [_json(urls, brand, one, token) for one, token in rows]})


def _check(brand: Brand, wanted: list[tuple[TokenPurpose, TokenContent]]) -> None:
    """Raises InvalidRequest (422) with every fault, up to twenty; a code of its own when all are of one kind."""
    if any(content.channel not in brand.channels for _, content in wanted):
        raise InvalidRequest("The brand does not use this channel.", code="channel_not_enabled", status=422)
    faults: list[tuple[str, Fault]] = []
    for place, (purpose, content) in enumerate(wanted):
        for name, detail in _faults(brand, purpose, content):
            leads_wrong = name == "destination" and purpose is TokenPurpose.CLICK and content.destination is not None
            code = "invalid_destination" if leads_wrong else "invalid_request"
            pointer = f"/tokens/{place}" + (f"/{name}" if name else "")
            faults.append((code, {"pointer": pointer, "detail": detail}))
        if len(faults) >= _MAX_FAULTS:
            break
    if faults:
        codes = {code for code, _ in faults}
        code = codes.pop() if len(codes) == 1 else "invalid_request"
        errors = [fault for _, fault in faults[:_MAX_FAULTS]]
        raise InvalidRequest("A token cannot be made.", code=code, errors=errors, status=422)


def _faults(brand: Brand, purpose: TokenPurpose, content: TokenContent) -> list[tuple[str, str]]:
    """(field, what is wrong with it), at most two."""
    found: list[tuple[str, str]] = []
    if content.address is not None:
        try:
            check_address(content.channel, content.address)
        except ValueError as error:
            found.append(("address", str(error)))
    try:
        encode(purpose, content)
        if content.destination is not None and not brand.allows_destination(check_destination(content.destination)):
            found.append(("destination", "leads outside the domains that the brand allows"))
    except ContentRefused as error:
        if not any(name == error.field for name, _ in found):
            found.append((error.field, str(error)))
    return found


def _json(urls: TrackingUrls, brand: Brand, wanted: tuple[TokenPurpose, TokenContent], token: str) -> dict[str, Any]:
    purpose, content = wanted
    host = brand.sms_host if content.channel is Channel.SMS else brand.tracking_hosts[0]
    place = f"s/{token}"
    if purpose is TokenPurpose.OPEN:
        return {"token": token, "url": urls.pixel(host, place)}
    if purpose is TokenPurpose.CLICK:
        return {"token": token, "url": urls.click(host, place)}
    if purpose is TokenPurpose.UNSUBSCRIBE:
        return {"token": token, "url": urls.unsubscribe(host, place)}
    return {"token": token}


OPERATIONS = (
    Operation(
        name="mintTokens",
        method="POST",
        path="/tokens",
        summary="Mint sealed tokens",
        description=(
            "Links that carry their own content, encrypted and bound to your brand and to one purpose: up to 1,000 at "
            "once. Nothing is stored. The same content gives the same token until the brand's key is rotated, so a "
            "call may be repeated as it is, and an idempotency key changes nothing."
        ),
        scope=Scope.MESSAGES_WRITE,
        handler=mint,
        request=NewTokens,
        response=MintedTokens,
    ),
)

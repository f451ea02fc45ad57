"""What a brand wants to have tracked, as `planning` takes it. Its form has been checked; whether the brand may do it
has not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from app.brands.brand import Utm
from app.models.block import Channel
from app.models.message import Recipient

NO_UTM = Utm(())
"""No campaign parameters, whatever the brand's are."""


@dataclass(frozen=True, slots=True)
class Addressee:
    recipient: Recipient
    """With an empty address: nobody. Such a link has no message document."""
    metadata: dict[str, str] = field(default_factory=dict, repr=False)
    """The recipient's own and the shared metadata, merged; so are the values."""
    values: dict[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Draft:
    """Content and recipients. Either `mime` or `html` and `text`; `destination` is a link without any content."""

    channel: Channel
    addressees: Sequence[Addressee]
    html: str | None = field(default=None, repr=False)
    text: str | None = field(default=None, repr=False)
    mime: bytes | None = field(default=None, repr=False)
    campaign_id: str | None = None
    list_id: str | None = None
    job_source: str | None = None
    header_pixel: bool | None = None
    """None: as the brand is set up. The same for the other choices."""
    footer_pixel: bool | None = None
    track_opens: bool | None = None
    track_clicks: bool | None = None
    utm: Utm | None = None

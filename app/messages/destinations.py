"""What a brand and a request say about links, and what becomes of links that the brand forbids.

`app.tracking.link_rules` decides on each link; here are its rules and the refusal of the whole request.
"""

from __future__ import annotations

import logging

from app.brands.brand import Brand, Utm
from app.errors import InvalidRequest
from app.lib.log import WARNING, log_event
from app.models.block import Channel
from app.tracking.findings import Findings
from app.tracking.link_reasons import EXPLANATIONS, Caution
from app.tracking.link_rules import LinkRules
from app.tracking.utm import parameters_of

_log = logging.getLogger("telltale.messages")


def rules_of(
    brand: Brand,
    channel: Channel,
    *,
    campaign_id: str | None = None,
    list_id: str | None = None,
    job_source: str | None = None,
    track_clicks: bool | None = None,
    values: frozenset[str] = frozenset(),
    utm: Utm | None = None,
) -> LinkRules:
    """The rules for the links of one request.

    Args:
        track_clicks: None as the brand is set up.
        values: the names that every recipient has a value for.
        utm: instead of the brand's own parameters.
    """
    links = brand.links
    about = {"campaign_id": campaign_id, "list_id": list_id, "job_source": job_source, "channel": channel.value}
    return LinkRules(
        track_clicks=brand.track_clicks if track_clicks is None else track_clicks,
        own_hosts=frozenset(brand.tracking_hosts),
        untracked_domains=links.untracked_domains,
        blocked_domains=links.blocked_domains,
        app_link_domains=links.app_domains,
        allows=brand.allows_destination,
        allow_list=bool(brand.destinations),
        protocol_relative=links.protocol_relative == "https",
        vml=links.vml,
        trap=brand.bots.trap_link,
        utm=parameters_of(utm or links.utm, about),
        values=values,
    )


def log_unread(brand: Brand, findings: Findings) -> None:
    """Log each part that is sent as it is because it has no sensible reading."""
    for note in findings.notes:
        if note.caution is Caution.UNPARSABLE_HTML:
            log_event(_log, WARNING, "html_left_unmodified", brand_id=brand.id, line=note.line, column=note.column)


def refuse_forbidden(findings: Findings, pointer: str | None = None) -> None:
    """Raise when the brand's configuration forbids a link.

    Args:
        pointer: where the content stood in the request; by default in the field of the link's own part.

    Raises:
        InvalidRequest: (422) with an entry for each of the first refused links. The URLs are not repeated: they may be
            personal.
    """
    if findings.refused:
        faults = [
            {
                "pointer": pointer or f"/content/{link.part}",
                "detail": f"{EXPLANATIONS[link.reason]} ({place}line {link.line}, column {link.column})",
            }
            for link in findings.refused
            for place in (f"{link.part} part, " if pointer else "",)
        ]
        raise InvalidRequest("A link leads where it may not.", code="invalid_destination", errors=faults, status=422)

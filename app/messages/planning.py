"""The first step of registering messages: everything that can be wrong with a request is found here, and how its
content will be filled. No store is touched. `register` stores and renders."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from functools import cache

import orjson

from app.brands.brand import Brand
from app.errors import InvalidRequest, TooLarge
from app.messages.content import Note, plan_message, preview_of
from app.messages.destinations import log_unread, refuse_forbidden, rules_of
from app.messages.draft import Draft
from app.messages.own_address import set_aside
from app.messages.sms_preview import SmsPreview
from app.models.block import FIRST_LINK_SLOT, Channel, Link, Slot
from app.tracking.findings import MAX_WARNINGS, Findings
from app.tracking.link_reasons import EXPLANATIONS, Action
from app.tracking.link_rules import LinkRules, decide, refusal_of_values
from app.tracking.link_table import LinkTable
from app.tracking.personal import encoded
from app.tracking.placeholders import unsubscribe_splices
from app.tracking.rewrite_html import plan_html_or_keep
from app.tracking.rewrite_mime import MimeTemplate
from app.tracking.rewrite_text import plan_text
from app.tracking.template import Splice, Template, assemble, refuse_lone_surrogates
from app.tracking.trap import TRAP_SLOT
from app.tracking.urls import TrackingUrls

MAX_CODES = 100_000
"""Codes in one answer. Making and writing them costs about 10 µs each, and a web worker's time is bounded."""
MAX_OUTPUT_BYTES = 32 * 1024 * 1024
_URL_CHARS = 60
"""What a tracked URL takes in an answer, roughly."""
MAX_FAULTS = 20
_PLACE_OF_LINK = re.compile(r"\{\{[ \t]*link[ \t]*\}\}")


@dataclass(frozen=True, slots=True)
class Plan:
    """A request without a fault: what will be stored and how its content is filled, but for the numbers."""

    draft: Draft
    brand: Brand
    host: str
    links: tuple[Link, ...]
    html: Template | None
    text: Template | None
    mime: MimeTemplate | None
    pixel: Slot | None
    """The pixel whose URL is told to the caller."""
    track_opens: bool
    track_clicks: bool
    warnings: tuple[Note, ...] = ()
    """What the author should look at: part, line, column, code, detail."""
    values: dict[str, str] = field(default_factory=dict, repr=False)
    """Besides each recipient's own: what was taken out of the links of a message to one person (`own_address`)."""

    @property
    def stride(self) -> int:
        return FIRST_LINK_SLOT + len(self.links)

    @property
    def has_trap(self) -> bool:
        return bool(self.links) and self.links[-1].trap

    @property
    def size(self) -> int:
        """How many numbers it needs."""
        return len(self.draft.addressees) * self.stride

    @property
    def slots(self) -> tuple[int, ...]:
        """The slots that need a URL, of every recipient."""
        used = {int(Slot.UNSUBSCRIBE), *range(FIRST_LINK_SLOT, self.stride)}
        if self.pixel is not None:
            used.add(int(self.pixel))
        for template in (self.html, self.text, self.mime):
            used |= template.slots if template else frozenset()
        return tuple(sorted(used - {TRAP_SLOT}))  # that is the last link's, which is among them

    @property
    def told_urls(self) -> tuple[str, ...]:
        """Where the author's links lead as the caller is told it: with what `own_address` took out, which the caller
        sent. Without the trap, which comes after them."""
        return tuple(self.values.get(link.destination[2:-2], link.shown) for link in self.links if not link.trap)

    def fingerprint(self, urls: TrackingUrls) -> bytes:
        """Everything the answer follows from besides the request itself: equal bytes, equal answer."""
        links = [[link.destination, link.label, link.personal, link.fallback] for link in self.links]
        mailto = self.brand.unsubscribe.mailto
        return orjson.dumps([urls.click(self.host, ""), mailto, self.slots, self.stride, links])

    def sms_preview(self, urls: TrackingUrls) -> SmsPreview | None:
        """What an SMS costs with the author's links and with ours; None for email. At most: with the longest codes."""
        if self.draft.channel is not Channel.SMS or self.draft.text is None or self.text is None:
            return None
        return preview_of(self.draft.text, self.text, self.host, urls)


@dataclass(slots=True)
class _Work:
    """What is found out on the way to a plan."""

    brand: Brand
    draft: Draft
    rules: LinkRules
    opens: bool
    values_at: str = "/recipients/{index}/values"
    """Where a recipient's values stand in the request."""
    table: LinkTable = field(default_factory=LinkTable)
    findings: Findings = field(default_factory=Findings)
    notes: list[Note] = field(default_factory=list)
    html: Template | None = None
    text: Template | None = None
    mime: MimeTemplate | None = None

    @property
    def has_trap(self) -> bool:
        content = self.html or self.mime
        return content is not None and TRAP_SLOT in content.slots


def plan(brand: Brand, draft: Draft, *, with_content: bool) -> Plan:
    """Find every fault of a request.

    Args:
        with_content: whether the rewritten content will be rendered, which bounds recipients times content.

    Raises:
        InvalidRequest: channel, tracking mode, destination or values; TooLarge: too many codes, or too much to give
            back.
    """
    work = _begin(brand, draft)
    if not with_content:
        work.rules = replace(work.rules, trap=False)  # the caller rewrites, and has no place for it
    header, footer = _pixels(brand, draft, opens=work.opens)
    table, rules, findings = work.table, work.rules, work.findings
    if draft.mime is not None:
        work.mime = plan_message(
            draft.mime, table, rules, findings, work.notes, header_pixel=header, footer_pixel=footer
        )
    if draft.html is not None:
        work.html = plan_html_or_keep(draft.html, table, rules, findings, header_pixel=header, footer_pixel=footer)
    if draft.text is not None:
        work.text = plan_text(draft.text, table, rules, findings)
    if work.has_trap:
        table.add_trap()
    return _finish(work, header=header, footer=footer, with_content=with_content)


def plan_link(brand: Brand, draft: Draft, destination: str) -> Plan:
    """A single link, with a text around it when the draft has one: `{{ link }}` is its place there.

    Raises:
        InvalidRequest: as `plan`; or the destination is not tracked, or the text has no place for the link.
    """
    text = "{{ link }}" if draft.text is None else draft.text
    refuse_lone_surrogates(text)
    places = list(_PLACE_OF_LINK.finditer(text))
    if len(places) != 1:
        raise _fault("/text", "must have {{ link }} exactly once, where the link goes")
    start, end = places[0].span()
    unsubscribe = unsubscribe_splices(text)
    if unsubscribe and not draft.addressees[0].recipient.address:
        raise _fault("/text", "has {{unsubscribe_url}}, which leads nobody anywhere without a recipient")
    work = _begin(brand, draft)
    work.values_at = "/values"
    decision = decide(destination, work.rules)
    if decision.action is Action.REFUSED:
        raise _fault("/destination", EXPLANATIONS[decision.reason], code="invalid_destination")
    if decision.action is not Action.TRACKED:
        raise _fault("/destination", f"is not a link that can be tracked. {EXPLANATIONS[decision.reason]}")
    slot = work.table.add(decision.destination, "", personal=decision.personal)
    work.findings.begin("destination", destination)
    work.findings.add(decision, destination, 0, slot)
    work.text = assemble(text, [Splice(start, end, (slot,)), *unsubscribe], escape=False)
    work.draft = replace(draft, text=text[:start] + destination + text[end:])
    return _finish(work, header=False, footer=False, with_content=True)


def _begin(brand: Brand, draft: Draft) -> _Work:
    if draft.channel not in brand.channels:
        raise InvalidRequest("The brand does not use this channel.", code="channel_not_enabled", status=422)
    opens = _mode("opens", draft.track_opens, ceiling=brand.track_opens)
    clicks = _mode("clicks", draft.track_clicks, ceiling=brand.track_clicks)
    rules = rules_of(
        brand,
        draft.channel,
        campaign_id=draft.campaign_id,
        list_id=draft.list_id,
        job_source=draft.job_source,
        track_clicks=clicks,
        values=frozenset(name for addressee in draft.addressees for name in addressee.values),
        utm=draft.utm,
    )
    return _Work(brand, draft, rules, opens)


def _finish(work: _Work, *, header: bool, footer: bool, with_content: bool) -> Plan:
    brand, draft = work.brand, work.draft
    refuse_forbidden(work.findings, None if draft.mime is None else "/content/mime")
    log_unread(brand, work.findings)
    _check_codes(work)
    _check_values(work)
    links, values = set_aside(draft, work.table.links)
    content = work.html or work.mime
    if content is not None:
        # A pixel that is there already, or content that is kept as it is: then there is none of ours to tell.
        header, footer = (slot in content.slots for slot in (Slot.PIXEL_HEADER, Slot.PIXEL_FOOTER))
    planned = Plan(
        draft=draft,
        brand=brand,
        host=brand.sms_host if draft.channel is Channel.SMS else brand.tracking_hosts[0],
        links=links,
        html=work.html,
        text=work.text,
        mime=work.mime,
        pixel=Slot.PIXEL_FOOTER if footer else Slot.PIXEL_HEADER if header else None,
        track_opens=work.opens,
        track_clicks=work.rules.track_clicks,
        warnings=tuple([*work.notes, *work.findings.warnings()][:MAX_WARNINGS]),
        values=values,
    )
    _check_size(planned, with_content=with_content)
    return planned


def _mode(what: str, wanted: bool | None, *, ceiling: bool) -> bool:
    """Raises InvalidRequest when more is wanted than the brand allows: narrowing it silently would be a lie."""
    if wanted and not ceiling:
        raise _fault(f"/tracking/{what}", "is more than the brand allows", code="tracking_not_allowed")
    return ceiling if wanted is None else wanted


def _pixels(brand: Brand, draft: Draft, *, opens: bool) -> tuple[bool, bool]:
    """(header, footer)"""
    if (draft.header_pixel or draft.footer_pixel) and not opens:
        raise _fault("/pixel", "is more than the brand or this message's tracking allows", code="tracking_not_allowed")
    if draft.channel is not Channel.EMAIL or not opens:
        return False, False
    header = brand.header_pixel if draft.header_pixel is None else draft.header_pixel
    footer = brand.footer_pixel if draft.footer_pixel is None else draft.footer_pixel
    return header, footer


def _check_codes(work: _Work) -> None:
    """Before anything is done for each recipient and link: that takes minutes when there are too many of both."""
    count, links = len(work.draft.addressees), work.table.links
    if count * len(links) > MAX_CODES:
        raise _too_many_codes()
    if count * sum(len(link.destination) + _URL_CHARS for link in links) > MAX_OUTPUT_BYTES:
        raise _too_much("split")


def _check_values(work: _Work) -> None:
    """Every recipient's values have to make a URL of every personalised link."""
    templates = list(dict.fromkeys(link.destination for link in work.table.links if link.personal))
    faults: list[dict[str, str]] = []
    for index, addressee in enumerate(work.draft.addressees if templates else ()):
        # Encoding a long value costs more than all the rest, and it may stand in every link.
        encode = cache(encoded)
        for template in templates:
            refusal = refusal_of_values(template, addressee.values, work.rules, encode)
            if refusal is not None:
                faults.append({"pointer": work.values_at.format(index=index), "detail": refusal})
                break
        if len(faults) == MAX_FAULTS:
            break
    if faults:
        raise InvalidRequest("A personalised link cannot be filled.", code="invalid_values", errors=faults, status=422)


def _check_size(planned: Plan, *, with_content: bool) -> None:
    count = len(planned.draft.addressees)
    if count * len(planned.slots) > MAX_CODES:
        raise _too_many_codes()
    links = sum(len(link.destination) + 2 * _URL_CHARS for link in planned.links)
    content = _content_bytes(planned) if with_content else 0
    if count * (links + content) > MAX_OUTPUT_BYTES:
        hint = 'ask for "return": "links" and rewrite the content yourself, or split' if with_content else "split"
        raise _too_much(hint)


def _too_many_codes() -> TooLarge:
    return TooLarge(f"Recipients times links are above {MAX_CODES:,}; split the batch.", code="batch_too_large")


def _too_much(hint: str) -> TooLarge:
    text = f"The answer would be larger than {MAX_OUTPUT_BYTES // 1024 // 1024} MiB; {hint} the batch."
    return TooLarge(text, code="response_too_large")


def _content_bytes(planned: Plan) -> int:
    """What one recipient's content takes in an answer, roughly. A slot may stand in it many times."""
    draft, size = planned.draft, 0
    for text, template in ((draft.html, planned.html), (draft.text, planned.text)):
        if text is not None and template is not None:
            size += len(text.encode()) + _URL_CHARS * (len(template.parts) // 2)
    if draft.mime is not None and planned.mime is not None:
        # Bodies may be encoded anew (quoted-printable: up to three times their size), and base64 comes on top.
        size += 4 * (len(draft.mime) + _URL_CHARS * planned.mime.holes)
    return size


def _fault(pointer: str, detail: str, *, code: str = "") -> InvalidRequest:
    errors = [{"pointer": pointer, "detail": detail}]
    return InvalidRequest("The request cannot be done as it is.", code=code, errors=errors, status=422)

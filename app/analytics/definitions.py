"""Every figure once: its name, what it says and what it does not say, and its formula over counts.

`GET /v1/stats`, `flask db figures` and docs/figures.md take figures from here and add nothing of their own. Ranks make
the unique figures exact: of a message's events of a kind one is the first counted, one the first of the other share,
one the first of a machine, one the first of Apple (`app.models.event`).
"""

from __future__ import annotations

from collections import Counter

from app.analytics.figure import Counts, Figure, Ratio, Sum, Unit, View
from app.models.count import CountKey
from app.models.event import FIRST, FIRST_APPLE, FIRST_MACHINE, FIRST_OF_OTHER, EventKind, Share

_COUNTED_SHARES = (Share.HUMAN, Share.PROXY)

SENT = Sum(
    "sent",
    Unit.MESSAGES,
    "Messages that were reported as sent. It does not say that they arrived, and messages nobody reported are missing.",
    lambda key: key.kind == EventKind.SENT and key.rank == FIRST,
)
UNSUBSCRIBED = Sum(
    "unsubscribed",
    Unit.MESSAGES,
    "Messages through which somebody unsubscribed, by the button or by the mail program's own. Replies to an SMS and "
    "suppressions set by you are not in it.",
    lambda key: key.kind == EventKind.UNSUBSCRIBED and key.rank == FIRST,
)

OPENED_TOTAL = Sum(
    "opened.total",
    Unit.EVENTS,
    "Counted opens: pixels loaded by a person's mail program or by a mail provider's proxy for them, and opens that a "
    "click implies. Not how often a mail was read: one with a pixel in its header and one in its footer loads two each "
    "time it is viewed, and a program or proxy that keeps pictures loads none again.",
    lambda key: key.kind == EventKind.OPENED and key.counted,
)
OPENED_UNIQUE = Sum(
    "opened.unique",
    Unit.MESSAGES,
    "Messages with at least one counted open, each once, on the day of its first. Not how many people read it: who "
    "blocks pictures and clicks nothing is missing, and a loaded picture is not a read text.",
    lambda key: key.kind == EventKind.OPENED and key.counted and key.rank == FIRST,
)
OPENED_HUMAN_TOTAL = Sum(
    "opened.human.total",
    Unit.EVENTS,
    "Counted opens by a person's own mail program or browser, and those that a click implies.",
    lambda key: key.kind == EventKind.OPENED and key.counted and key.share == Share.HUMAN,
)
OPENED_HUMAN_UNIQUE = Sum(
    "opened.human.unique",
    Unit.MESSAGES,
    "Messages with at least one open of opened.human.total. A message that was opened through a proxy as well is in "
    "both figures, so human and proxy together may be more than opened.unique.",
    lambda key: key.kind == EventKind.OPENED and _first_of(key, Share.HUMAN),
)
OPENED_PROXY_TOTAL = Sum(
    "opened.proxy.total",
    Unit.EVENTS,
    "Counted opens through a mail provider's picture proxy (as Gmail's or Yahoo's), which fetches when somebody opens "
    "the mail. It does not say where or on what device, and a picture the proxy keeps hides later views.",
    lambda key: key.kind == EventKind.OPENED and key.counted and key.share == Share.PROXY,
)
OPENED_PROXY_UNIQUE = Sum(
    "opened.proxy.unique",
    Unit.MESSAGES,
    "Messages with at least one open of opened.proxy.total. A message may be in opened.human.unique too.",
    lambda key: key.kind == EventKind.OPENED and _first_of(key, Share.PROXY),
)
OPENED_IMPLIED = Sum(
    "opened.implied",
    Unit.MESSAGES,
    "Messages whose first sign of being open is a counted click: no pixel had been loaded, as with pictures turned "
    "off. They are in opened.total, opened.unique and opened.human; this says how many of those nobody saw load.",
    lambda key: key.kind == EventKind.OPENED and key.counted and key.part == "implied",
)
OPENED_HEADER = Sum(
    "opened.header",
    Unit.EVENTS,
    "Counted loads of the pixel in the header. With the one in the footer a view is two loads; loads from before "
    "pixels were told apart are in neither figure.",
    lambda key: key.kind == EventKind.OPENED and key.counted and key.part == "header",
)
OPENED_FOOTER = Sum(
    "opened.footer",
    Unit.EVENTS,
    "Counted loads of the pixel in the footer. Fewer than in the header need not mean less interest: some programs cut "
    "long mails off before it.",
    lambda key: key.kind == EventKind.OPENED and key.counted and key.part == "footer",
)
OPENED_MACHINE_TOTAL = Sum(
    "opened.machine.total",
    Unit.EVENTS,
    "Loads of a pixel by machines: security scanners, previews, programs that load ahead of a person. In no counted "
    "figure. Apple's are apart.",
    lambda key: key.kind == EventKind.OPENED and key.share == Share.MACHINE,
    View.ALL,
)
OPENED_MACHINE_UNIQUE = Sum(
    "opened.machine.unique",
    Unit.MESSAGES,
    "Messages with at least one load of opened.machine.total. Whether a person opened them too it does not say.",
    lambda key: key.kind == EventKind.OPENED and key.rank == FIRST_MACHINE,
    View.ALL,
)
OPENED_APPLE_TOTAL = Sum(
    "opened.apple.total",
    Unit.EVENTS,
    "Loads of a pixel by Apple Mail Privacy Protection, which loads ahead whether or not anybody looks. In no counted "
    "figure, and not in opened.machine.",
    lambda key: key.kind == EventKind.OPENED and key.share == Share.APPLE,
    View.ALL,
)
OPENED_APPLE_UNIQUE = Sum(
    "opened.apple.unique",
    Unit.MESSAGES,
    "Messages with at least one load of opened.apple.total: about how many arrived where that protection is on. "
    "It does not say that anybody opened them.",
    lambda key: key.kind == EventKind.OPENED and key.rank == FIRST_APPLE,
    View.ALL,
)
OPENED_UNCOUNTED = Sum(
    "opened.uncounted",
    Unit.EVENTS,
    "Loads of a pixel that were not judged a machine's and yet are not counted, as those of a proxy that could not be "
    "verified.",
    lambda key: key.kind == EventKind.OPENED and _uncounted(key),
    View.ALL,
)
OPENED_ALL = Sum(
    "opened.all",
    Unit.EVENTS,
    "Every open on record, whoever made it: opened.total, machines, Apple and uncounted together. Of how many messages "
    "it does not say.",
    lambda key: key.kind == EventKind.OPENED,
    View.ALL,
)

CLICKED_TOTAL = Sum(
    "clicked.total",
    Unit.EVENTS,
    "Counted clicks: links that people followed. Three links, or one link three times, are three clicks.",
    lambda key: key.kind == EventKind.CLICKED and key.counted,
)
CLICKED_UNIQUE = Sum(
    "clicked.unique",
    Unit.MESSAGES,
    "Messages with at least one counted click, each once, on the day of its first. Who the mail was forwarded to "
    "clicks for the same message. In rows of a link: messages with a counted click on that link.",
    lambda key: key.kind == EventKind.CLICKED and key.counted and key.rank == FIRST,
)
CLICKED_HUMAN_TOTAL = Sum(
    "clicked.human.total",
    Unit.EVENTS,
    "Counted clicks judged a person's. Mail providers' proxies follow no links, so it is the same as clicked.total; it "
    "stands here beside the machines'.",
    lambda key: key.kind == EventKind.CLICKED and key.counted and key.share == Share.HUMAN,
)
CLICKED_HUMAN_UNIQUE = Sum(
    "clicked.human.unique",
    Unit.MESSAGES,
    "Messages with at least one click of clicked.human.total.",
    lambda key: key.kind == EventKind.CLICKED and _first_of(key, Share.HUMAN),
)
CLICKED_MACHINE_TOTAL = Sum(
    "clicked.machine.total",
    Unit.EVENTS,
    "Links followed by machines: security scanners, previews, programs that load ahead. In no counted figure. They "
    "were led to the destination like anybody.",
    lambda key: key.kind == EventKind.CLICKED and key.share == Share.MACHINE,
    View.ALL,
)
CLICKED_MACHINE_UNIQUE = Sum(
    "clicked.machine.unique",
    Unit.MESSAGES,
    "Messages with at least one click of clicked.machine.total. Whether a person clicked too it does not say.",
    lambda key: key.kind == EventKind.CLICKED and key.rank == FIRST_MACHINE,
    View.ALL,
)
CLICKED_APPLE_TOTAL = Sum(
    "clicked.apple.total",
    Unit.EVENTS,
    "Links followed by Apple Mail Privacy Protection. Usually none: it loads pictures.",
    lambda key: key.kind == EventKind.CLICKED and key.share == Share.APPLE,
    View.ALL,
)
CLICKED_APPLE_UNIQUE = Sum(
    "clicked.apple.unique",
    Unit.MESSAGES,
    "Messages with at least one click of clicked.apple.total.",
    lambda key: key.kind == EventKind.CLICKED and key.rank == FIRST_APPLE,
    View.ALL,
)
CLICKED_UNCOUNTED = Sum(
    "clicked.uncounted",
    Unit.EVENTS,
    "Clicks of people that led to a page of ours instead of the destination, because the destination is not allowed "
    "any more or the values of a personalised link are gone. Not in clicked.total.",
    lambda key: key.kind == EventKind.CLICKED and _uncounted(key),
    View.ALL,
)
CLICKED_ALL = Sum(
    "clicked.all",
    Unit.EVENTS,
    "Every click on record, whoever made it: clicked.total, machines, Apple and uncounted together. Of how many "
    "messages it does not say.",
    lambda key: key.kind == EventKind.CLICKED,
    View.ALL,
)
VIEWED_TOTAL = Sum(
    "viewed.total",
    Unit.EVENTS,
    "How often the unsubscribe page was asked for, by people and machines. Scanners follow that link too, and nobody "
    "is unsubscribed by it.",
    lambda key: key.kind == EventKind.VIEWED,
    View.ALL,
)
CORRECTED = Sum(
    "corrected",
    Unit.EVENTS,
    "Verdicts that were taken back because of what was seen later, on the day of the correction. The figures have "
    "followed already; this only says how often.",
    lambda key: key.kind == EventKind.RECLASSIFIED,
    View.ALL,
)

OPEN_RATE = Ratio(
    "open_rate",
    "opened.unique divided by sent; null when nothing was reported as sent. Sent is not delivered. Over part of a "
    "campaign's time, or when not every message was reported, it can be above 1.",
    (OPENED_UNIQUE,),
    SENT,
)
CLICK_RATE = Ratio(
    "click_rate",
    "clicked.unique divided by sent; null when nothing was reported as sent. Over part of a campaign's time, or when "
    "not every message was reported, it can be above 1.",
    (CLICKED_UNIQUE,),
    SENT,
)
CLICK_TO_OPEN_RATE = Ratio(
    "click_to_open_rate",
    "clicked.unique divided by opened.unique; null without opens. A clicked message is an opened one, so over a "
    "campaign's whole time it is at most 1. On a single day it can be more: people click in mails they opened on a day "
    "before.",
    (CLICKED_UNIQUE,),
    OPENED_UNIQUE,
)
UNSUBSCRIBE_RATE = Ratio(
    "unsubscribe_rate",
    "unsubscribed divided by sent; null when nothing was reported as sent. Over part of a campaign's time, or when not "
    "every message was reported, it can be above 1.",
    (UNSUBSCRIBED,),
    SENT,
)
MACHINE_SHARE = Ratio(
    "clicked.machine_share",
    "The share of clicked.all that machines made, Apple's included; null without clicks, never above 1. It says "
    "nothing about how many people clicked.",
    (CLICKED_MACHINE_TOTAL, CLICKED_APPLE_TOTAL),
    CLICKED_ALL,
    View.ALL,
)

FIGURES: tuple[Figure, ...] = (
    SENT,
    OPENED_TOTAL,
    OPENED_UNIQUE,
    OPENED_HUMAN_TOTAL,
    OPENED_HUMAN_UNIQUE,
    OPENED_PROXY_TOTAL,
    OPENED_PROXY_UNIQUE,
    OPENED_IMPLIED,
    OPENED_HEADER,
    OPENED_FOOTER,
    OPENED_MACHINE_TOTAL,
    OPENED_MACHINE_UNIQUE,
    OPENED_APPLE_TOTAL,
    OPENED_APPLE_UNIQUE,
    OPENED_UNCOUNTED,
    OPENED_ALL,
    CLICKED_TOTAL,
    CLICKED_UNIQUE,
    CLICKED_HUMAN_TOTAL,
    CLICKED_HUMAN_UNIQUE,
    CLICKED_MACHINE_TOTAL,
    CLICKED_MACHINE_UNIQUE,
    CLICKED_APPLE_TOTAL,
    CLICKED_APPLE_UNIQUE,
    CLICKED_UNCOUNTED,
    CLICKED_ALL,
    MACHINE_SHARE,
    UNSUBSCRIBED,
    VIEWED_TOTAL,
    CORRECTED,
    OPEN_RATE,
    CLICK_RATE,
    CLICK_TO_OPEN_RATE,
    UNSUBSCRIBE_RATE,
)
"""In the order in which they are shown."""
OF_LINKS: tuple[Figure, ...] = tuple(figure for figure in FIGURES if figure.name.startswith("clicked."))
"""Those that can be said of a single link."""

ROWS = {
    "none": "Everything asked for, in one row.",
    "day": "A UTC day of the hits. Unique figures belong to the day of a message's first event, so days add up.",
    "campaign": "A campaign, ordered by its id; messages without one are a row of their own.",
    "link": (
        "A link at its place in the content that anybody followed; a URL at several places has as many rows. Counted "
        "from single clicks, so it reaches back only as far as these are kept. A message that followed several links "
        "is in the unique figures of each."
    ),
    "url": (
        "All links with one URL, wherever they stand in the content; a message is once in its unique figures. Counted "
        "from single clicks, so it reaches back only as far as these are kept."
    ),
}
"""What a row of figures stands for, by what they are asked for by. Hidden trap links have no row."""


def shown(figures: tuple[Figure, ...], view: View) -> tuple[Figure, ...]:
    """The figures of a view."""
    return tuple(figure for figure in figures if view is View.ALL or figure.view is View.COUNTED)


def values(figures: tuple[Figure, ...], counts: Counts) -> dict[str, int | float | None]:
    """Name → value of some figures over one set of counts."""
    # Days, campaigns and brands make no difference to any formula, and without them a few dozen keys are left.
    small: Counter[CountKey] = Counter()
    for key, number in counts.items():
        small[key._replace(brand_id="", campaign_id="", day="")] += number
    return {figure.name: figure.of(small) for figure in figures}


def _first_of(key: CountKey, share: Share) -> bool:
    """The first counted event of a share is the first of all, or the first of the other share than the first's."""
    return key.counted and key.share == share and key.rank in (FIRST, FIRST_OF_OTHER)


def _uncounted(key: CountKey) -> bool:
    return not key.counted and key.share in _COUNTED_SHARES

"""What can happen to a link, why, and what people should know about it: closed sets, with a sentence for each.

`link_rules` decides, the linter and the answers of the API show these sentences.
"""

from __future__ import annotations

from enum import StrEnum


class Action(StrEnum):
    TRACKED = "tracked"
    LEFT = "left"
    REFUSED = "refused"


class Reason(StrEnum):
    """Why a link is tracked, left as it is, or refused."""

    WEB = "web"
    PERSONAL = "personal"

    EMPTY = "empty"
    FRAGMENT = "fragment"
    RELATIVE = "relative"
    PROTOCOL_RELATIVE = "protocol_relative"
    OTHER_SCHEME = "other_scheme"
    UNSAFE_SCHEME = "unsafe_scheme"
    MALFORMED = "malformed"
    TOO_LONG = "too_long"
    USER_INFO = "user_info"
    PRIVATE_HOST = "private_host"
    UNSUBSCRIBE = "unsubscribe"
    RESERVED = "reserved"
    PLACEHOLDER = "placeholder"
    SVG_LINK = "svg_link"
    OWN_HOST = "own_host"
    UNTRACKED_DOMAIN = "untracked_domain"
    OPT_OUT = "opt_out"
    CLICKS_OFF = "clicks_off"

    NOT_ALLOWED = "not_allowed"
    BLOCKED_DOMAIN = "blocked_domain"


EXPLANATIONS: dict[Reason, str] = {
    Reason.WEB: "A web link: a click is recorded and lands exactly where the author said.",
    Reason.PERSONAL: "Tracked as one link; where it lands is filled in from each recipient's own values.",
    Reason.EMPTY: "It has no URL.",
    Reason.FRAGMENT: "It leads to a place within the message.",
    Reason.RELATIVE: "It has no scheme and no host, so only the message's own place could complete it.",
    Reason.PROTOCOL_RELATIVE: "It begins with //, and the brand leaves such links as they are.",
    Reason.OTHER_SCHEME: "It is not a web link: it opens a mail program, a telephone, an app.",
    Reason.UNSAFE_SCHEME: "It runs or shows what it holds itself, or a file: nothing a redirect may lead to.",
    Reason.MALFORMED: "Programs do not agree on where it leads, or it leads nowhere.",
    Reason.TOO_LONG: "It is longer than any server accepts.",
    Reason.USER_INFO: "It carries a user name or password in front of its host.",
    Reason.PRIVATE_HOST: "Its host is an address or a name that is not public.",
    Reason.UNSUBSCRIBE: "It is filled with the recipient's own unsubscribe link.",
    Reason.RESERVED: "It is the place of the message's web view or preferences link, which is never tracked.",
    Reason.PLACEHOLDER: "It has a placeholder that is filled in after us, so where it leads is not known yet.",
    Reason.SVG_LINK: "It is a link inside a drawing (xlink:href), which mail programs do not show.",
    Reason.OWN_HOST: "It leads to one of the brand's own tracking hosts: it is tracked already.",
    Reason.UNTRACKED_DOMAIN: "Its domain is on the brand's list of domains that are not tracked.",
    Reason.OPT_OUT: 'Its author said data-track="off".',
    Reason.CLICKS_OFF: "Clicks are not tracked in this message.",
    Reason.NOT_ALLOWED: "It leads outside the domains that the brand allows.",
    Reason.BLOCKED_DOMAIN: "It leads to a domain that the brand has blocked.",
}


class Caution(StrEnum):
    """What the author of a message should look at. A link with a caution is not refused for it."""

    RELATIVE_URL = "relative_url"
    BASE_HREF = "base_href"
    MISSING_SCHEME = "missing_scheme"
    PROTOCOL_RELATIVE_URL = "protocol_relative_url"
    UNSAFE_SCHEME = "unsafe_scheme"
    MALFORMED_URL = "malformed_url"
    URL_TOO_LONG = "url_too_long"
    USER_INFO = "user_info"
    PRIVATE_HOST = "private_host"
    FILLED_LATER = "filled_later"
    PLACEHOLDER_IN_HOST = "placeholder_in_host"
    BLANK_IN_URL = "blank_in_url"
    INVISIBLE_CHARACTERS = "invisible_characters"
    BIDI_CHARACTERS = "bidi_characters"
    MIXED_SCRIPT_HOST = "mixed_script_host"
    APP_LINK = "app_link"
    SVG_LINK = "svg_link"
    UNPARSABLE_HTML = "unparsable_html"
    AMP_DOCUMENT = "amp_document"


CAUTIONS: dict[Caution, str] = {
    Caution.RELATIVE_URL: "A relative link leads nowhere in a message.",
    Caution.BASE_HREF: "A relative link is completed with <base href> by some mail programs and broken in the others.",
    Caution.MISSING_SCHEME: "A link without https:// in front leads nowhere in a message.",
    Caution.PROTOCOL_RELATIVE_URL: "A link that begins with // leads nowhere in many mail programs.",
    Caution.UNSAFE_SCHEME: "A link that runs a program, holds its own content or names a file is removed or blocked.",
    Caution.MALFORMED_URL: "A link is not a well-formed URL, so it is left untracked.",
    Caution.URL_TOO_LONG: "A link is longer than 8,192 characters, so it is left untracked.",
    Caution.USER_INFO: "A link has a user name or password before its host, as phishing has; it is left untracked.",
    Caution.PRIVATE_HOST: "A link leads to an address or a name that is not public, so it is left untracked.",
    Caution.FILLED_LATER: "A link has a placeholder that is filled in after us, so it is left untracked.",
    Caution.PLACEHOLDER_IN_HOST: "A placeholder stands in a link's host; it may stand behind it or be the whole URL.",
    Caution.BLANK_IN_URL: "A link has a blank inside, which programs percent-encode.",
    Caution.INVISIBLE_CHARACTERS: "A link has characters that nobody sees (zero-width); they are kept.",
    Caution.BIDI_CHARACTERS: "A link has characters that turn the direction of writing; they are kept.",
    Caution.MIXED_SCRIPT_HOST: "A link's host mixes letters of several scripts, as imitations of other names do.",
    Caution.APP_LINK: "A link's domain opens an app; tracked, it opens the browser first. List it as untracked.",
    Caution.SVG_LINK: "A link inside a drawing (xlink:href) is left untracked.",
    Caution.UNPARSABLE_HTML: "The html has no sensible reading from here on, so the part is sent as it is.",
    Caution.AMP_DOCUMENT: "An AMP document stays as it is: its links are not tracked, and it gets no pixel.",
}

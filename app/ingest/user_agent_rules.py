"""Our own rules on user agents, in order: the first that matches decides.

Order matters: mail proxies and mail clients come before everything that looks for machines, because words and lists
that find machines call both of them machines. The rules describe kinds of agents wherever a kind can be described;
names stand where a vendor gives no other sign. An agent that no rule matches has not even the shape of a browser.

Every pattern is RE2, is searched anywhere in the agent (`^` and `$` are its ends) and ignores case.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import re2

from app.models.event import Verdict

_MATCHER_BYTES = 16 << 20
"""What RE2 may keep of the states it has met; when it is full it starts anew, which costs time and nothing else."""


class Rule(NamedTuple):
    """What an agent is if one of the patterns is found in it."""

    reason: str
    verdict: Verdict
    patterns: tuple[str, ...]


GMAIL_PREFETCH = Rule(
    "gmail_prefetch",
    Verdict.MACHINE,
    # Plain `Edge/12.246` at the end is an old browser of a person.
    (r"edge/12\.246 (mozilla/5\.0|gmail-content-sampling)$",),
)

# A person opened the message; the provider's server fetched the image.
GMAIL_PROXY = Rule("proxy_gmail", Verdict.PROXY, (r"googleimageproxy|\bggpht\.com",))
YAHOO_PROXY = Rule("proxy_yahoo", Verdict.PROXY, (r"yahoomailproxy",))
OTHER_PROXY = Rule(
    "proxy_other",
    Verdict.PROXY,
    (
        r"\bimageproxy/\d",  # Rambler
        r"mail-?(image-?)?proxy/\d",  # Seznam, and who names it alike
        r"\bfwdcdn\b",  # Ukr.net
        r"\bfastmailua/",
        r"yandeximageresizer",
    ),
)

MAIL_CLIENT = Rule(
    "mail_client",
    Verdict.HUMAN,
    (
        # Outlook on every system; ms-office is the engine in which it shows a message.
        r"\bmicrosoft outlook\b|\bms-office\b|\bmacoutlook/|\boutlook-(ios|android|express)\b",
        # Apple Mail is WebKit that names no browser.
        r"^mozilla/5\.0 \((macintosh|ip(hone|ad|od))[^()]*\) applewebkit/[0-9.]+ \(khtml, like gecko\)( mobile/\w+)?$",
        # Mail apps on Android that fetch images themselves, through the system.
        r"^dalvik/[0-9.]+ \(linux; u; android [^()]*(\([^()]*\)[^()]*)?\)$",
        # Gecko or Chromium with a mail program's name.
        r"^mozilla/\d.* (thunderbird|icedove|betterbird|lightning|postbox|spicebird|eudora|foxmail|mailbird)/",
        r"^mozilla/\d.* (mailspring|emclient|superhuman|mailmate|mailmaster\w*|mailapp|(yahoo|naver)mail\w*)/",
        # Programs that say only their name.
        r"^(airmail|eudora|polymail|mailmate|em ?client|the bat!|pegasus mail|incredimail|sylpheed)\b|\blotus-notes/",
        r"^(kmail2?|kontact|evolution|geary|trojita|claws mail|windows ?(live ?)?mail|navermailapp|yahoomobilemail)/",
        r"^[\w%-]{0,20}mail[/ ]v?\d|^(barca|postbox|k-9 mail)[/ ]",
        r"^(canary|spark|edison|blue|boxer|outlook|yahoo|gmx|web\.de|proton)(%20| |-)?(e?mail)?/[0-9.]+ cfnetwork/",
    ),
)

LINK_PREVIEW = Rule(
    "link_preview",
    Verdict.MACHINE,
    (
        r"facebookexternalhit|\bfacebookcatalog|\bfacebot\b|\bmeta-external(fetcher|hit)",
        r"whatsapp/\d",
        r"(twitter|telegram|slack|discord|linkedin|pinterest|reddit|bitly|snapchat|preview)-?bot\b",
        r"\bslack-imgproxy|\bskypeuripreview|\bgoogle-pagerenderer|\bgooglemessages\b|\bviberurldownloader",
        r"^(tumblr|pinterest|bluesky|mastodon|viber|line|kakaotalk)/",
        r"\b(cardyb|iframely|embedly|vkshare|kakaotalk-scrap|line-poker|xing-contenttabreceiver)\b",
        r"\bopen ?graph\b|\bunfurl|unfurl(er|ist|bot)",
        r"(link|url|uri|bing|microsoft|page|site|rich)[ -]?preview|\bpreview(er|s)?/\d",
    ),
)

SCANNER_NAMED = Rule(
    "scanner_ua",
    Verdict.MACHINE,
    (
        # Who checks mail.
        r"\bbarracuda|\bproofpoint|\bmimecast|\bmessagelabs|\bsymantec|\btrend ?micro|\bforcepoint|\bwebsense",
        r"\bsophos|\bforti(net|guard|mail)|\bzscaler|\bironport|\bcloudmark|\bvade ?secure|\bhornetsecurity",
        r"\bironscales|\bcyren\b|\burl ?defense|\bsafe ?links\b|\bphish|\bmalware|\bvirustotal|\burlscan\b",
        # Who checks servers.
        r"\b(zgrab|masscan|nmap|nikto|sqlmap|nuclei|wpscan|acunetix|netsparker|nessus|qualys|openvas|arachni|wfuzz)\b",
        r"\b(censys|shodan|leakix|l9explore|netcraft|detectify|sucuri|expanse|palo ?alto|internet-?measurement)",
    ),
)

SELF_NAMED = Rule(
    "bot_generic",
    Verdict.MACHINE,
    (
        # What machines call themselves.
        r"bots?([^a-z]|$)|(^|[^a-z])bot[^a-z]|robot|crawl|crwlr|spider|slurp|fetch|scrap(e|ing|y)",
        r"headless|phantomjs|selenium|webdriver|puppeteer|playwright|lighthouse|page ?speed",
        # Where to read about them.
        r"https?:|\bwww\.|mailto:",
        # Libraries and command-line programs.
        r"^(python|curl|wget|java|jakarta|go|okhttp|ruby|perl|php|node|axios|libwww|lwp|aws|apache|aiohttp)\b",
        r"http-?client|http_request|libcurl|httpx/|urllib|node-fetch|\baxios/|guzzle|postman|insomnia|faraday",
        # Nobody's browser writes markup or code.
        r"[<>]|&[lg]t;|\$\{|'\+|\(select\b|\bload_file\b",
    ),
)

# A page inside an app. Apps may be called anything ("Feed", "Reader", "QR Scanner"), and machines do not pose as them:
# of 4,600 agents of machines one did, and it said "bot".
WEB_VIEW = Rule(
    "ok",
    Verdict.HUMAN,
    (
        r"^mozilla/5\.0 \(linux;[^()]*(\([^()]*\)[^()]*)?; wv\) applewebkit/",
        r"^mozilla/5\.0 \((iphone|ipad|ipod)[^()]*\) (apple)?webkit/[0-9.]+ \(khtml, like gecko\) mobile/\w+ [^(]",
    ),
)

SCANNING = Rule(
    "scanner_ua",
    Verdict.MACHINE,
    (r"scanner|vulnerab|pen-?test|security\.txt|\bsecurity[ .-]?(research|scan|check|audit|monitor|dot-txt|headers)",),
)

TASK_NAMED = Rule(
    "bot_generic",
    Verdict.MACHINE,
    (
        # What machines do.
        r"monitor|synthetic|uptime|pingdom|\bptst[ /]|webpagetest|checker|validator|inspect(or|ion)|harvest|downloader",
        r"\b(archiver|indexer|extractor|analy[sz]er|aggregator|resolver|transcoder|verification|research|measurement|subscribers?)\b",
        r"screenshot|snapshot|\bthumbnail|web-?capture|\bfeed|\brss\b|[a-z]agent(/|[);]|$)|\bagent[);]|(^|[^a-z])scan[^a-z]",
        r"search ?engine|\bseo\b|backlink|\brecon\b|exploit|httrack|nutch|heritrix|\bjava(fx)?/\d|jsdom|cypress/",
        r"\bgoogle-[a-z]|-google\b|\bgoogleother",
        # Yandex's services, but neither its search app nor the modules of televisions.
        r"(^|[ (;])yandex([^sm]|$)",
        # Programs of an office suite look at a link before they hand it to the browser.
        r"\b(excel|word|powerpoint)/\d",
        # Services that walk through sites with a real browser, to measure them.
        r"\b(catchpoint|functionize|dareboost|gomez|dynatrace|ruxit|dejaclick|thousandeyes|ghost inspector|datadog)",
        r"\b(new ?relic|splunk|neustar|site24x7|statuscake|uptrends|checkly|rigor)\b",
        # Whom to ask about them: an address, a mailbox, a host name that is not a program's name.
        r"\bcontact\b|\babuse\b|\bip:|\bappid\b|[\w.-]@[a-z][\w-]*\.[a-z]|\[at\]",
        r"[a-z0-9-]{2,}\.(com|org|edu|gov|info|biz|io|eu|de|ru)([^\w./]|/[^\d]|$)",
        # A clock in milliseconds, so that no two are equal.
        r"[ /=]1[567]\d{11}([^\d]|$)",
        # Something of their own inside what every browser writes alike.
        r"khtml, like gecko[;,] ?([^s ]|s[^a])|khtml, like gecko; s|\) \(compatible;|chrome/w\.x",
    ),
)

# One of these is in every agent of a browser, and of its ancestors on old phones and televisions. Such an agent may
# still be on a list of known machines.
BROWSER = Rule(
    "ok",
    Verdict.HUMAN,
    (
        # An engine.
        r"^mozilla/\d.*(gecko/\d|webkit ?/?\d|like gecko|trident/\d|msie \d|presto/\d|khtml/\d|goanna/\d|netfront/\d)",
        # No engine, but a system and more in brackets. (RE2 has no look-ahead: this says "not compatible".)
        r"^mozilla/\d\.\d+ ?\(([abd-z0-9]|c[^o])[^();]*;[^()]",
        r"^mozilla/\d\.\d+ ?\(compatible; [^()]*\b(symbian|brew|nokia|cellphone|windows (ce|phone)|amiga\w*|beos|os/2)",
        # Browsers that never said Mozilla, or say it later.
        r"^opera[ /]\d|^(lynx|e?links|w3m|dillo|amigavoyager|ibrowse)[ /(]|^ucweb/?\d|uc ?browser/?\d",
        r"^\w*browser/\d.*(mozilla/\d|chrome/\d|firefox/\d)|^[a-z]+/[\d.]+ \(android[^()]*\) gecko/",
        # Phones before web engines: a Java profile, a browser of that time, or the maker and model in front.
        r"profile/midp|configuration/cldc|\bup\.(browser|link)/|\bhbbtv/\d|\bbrowser/[a-z]|\bwap browser",
        r"\b(obigo|teleca|netfront|openwave|polaris|jasmine|dolfin|semc-?browser)",
        r"^(docomo|kddi-|j-phone|softbank|vodafone)",
        r"^(nokia|blackberry|samsung|sonyericsson|zte|huawei|alcatel|(lge?|mot|sec|sagem|sharp|htc|sie|philips)-)[\w.-]*/",
    ),
)

RULES = (
    GMAIL_PREFETCH,
    GMAIL_PROXY,
    YAHOO_PROXY,
    OTHER_PROXY,
    MAIL_CLIENT,
    LINK_PREVIEW,
    SCANNER_NAMED,
    SELF_NAMED,
    WEB_VIEW,
    SCANNING,
    TASK_NAMED,
    BROWSER,
)


def first_rule(agent: bytes) -> Rule | None:
    """The first rule that matches an agent in UTF-8."""
    matcher, rules = _compiled()
    matched = matcher.Match(agent)
    return rules[min(matched)] if matched else None


@lru_cache(maxsize=1)
def _compiled() -> tuple[re2.Set, tuple[Rule, ...]]:
    """All patterns in one set, and whose each is."""
    options = re2.Options()
    options.case_sensitive = False
    options.max_mem = _MATCHER_BYTES
    matcher = re2.Set.SearchSet(options)
    owners = tuple(rule for rule in RULES for pattern in rule.patterns if matcher.Add(pattern) >= 0)
    matcher.Compile()
    return matcher, owners

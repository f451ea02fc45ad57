"""Hand-written user agents with the answer they must get, whatever version the lists have.

Whoever raises a list's version and sees one of these fail reads in the failure which pattern of which list hit.
"""

from __future__ import annotations

WINDOWS = "Mozilla/5.0 (Windows NT 10.0; Win64; x64)"
LINUX = "Mozilla/5.0 (X11; Linux x86_64)"
MAC = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7)"
IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X)"
BLINK = "AppleWebKit/537.36 (KHTML, like Gecko)"
WEBKIT = "AppleWebKit/605.1.15 (KHTML, like Gecko)"
CHROME = f"{WINDOWS} {BLINK} Chrome/131.0.0.0 Safari/537.36"
IPHONE_APP = f"{IPHONE} {WEBKIT} Mobile/15E148"


def phone(model: str, android: str = "12", after: str = "") -> str:
    """Chrome on an Android phone of this model."""
    return f"Mozilla/5.0 (Linux; Android {android}; {model}) {BLINK} Chrome/131.0.0.0 Mobile Safari/537.36{after}"


def web_view(model: str, after: str = "") -> str:
    """A page inside an app on an Android phone of this model."""
    return (
        f"Mozilla/5.0 (Linux; Android 12; {model} Build/SP1A.210812.016; wv) {BLINK} Version/4.0"
        f" Chrome/131.0.0.0 Mobile Safari/537.36{after}"
    )


BROWSERS = (
    CHROME,
    f"{CHROME} Edg/131.0.0.0",
    f"{WINDOWS} {BLINK} Chrome/42.0.2311.135 Safari/537.36 Edge/12.246",
    f"{CHROME} OPR/115.0.0.0",
    f"{CHROME} Vivaldi/7.0",
    f"{LINUX} {BLINK} Chrome/130.0.0.0 Safari/537.36",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:132.0) Gecko/20100101 Firefox/132.0",
    "Mozilla/5.0 (Android 14; Mobile; rv:132.0) Gecko/132.0 Firefox/132.0",
    f"{MAC} {WEBKIT} Version/17.5 Safari/605.1.15",
    f"{IPHONE} {WEBKIT} Version/17.0 Mobile/15E148 Safari/604.1",
    f"{IPHONE} {WEBKIT} CriOS/131.0.6778.73 Mobile/15E148 Safari/604.1",
    f"{IPHONE} {WEBKIT} FxiOS/132.0 Mobile/15E148 Safari/605.1.15",
    f"{IPHONE} {WEBKIT} GSA/340.3.694307863 Mobile/15E148 Safari/604.1",
    "Mozilla/5.0 (Windows NT 10.0; WOW64; Trident/7.0; rv:11.0) like Gecko",
    "Mozilla/5.0 (compatible; MSIE 10.0; Windows NT 6.2; Trident/6.0)",
    "Mozilla/4.0 (compatible; MSIE 8.0; Windows NT 6.1; Trident/4.0; SLCC2; .NET CLR 2.0.50727)",
    "Opera/9.80 (Android; Opera Mini/36.2.2254/119.132; U; en) Presto/2.12.423 Version/12.16",
    "Lynx/2.9.0 libwww-FM/2.14 SSL-MM/1.4.1 GNUTLS/3.8.3",
    "AmigaVoyager/3.3.47 (AmigaOS/MC680x0)",
    f"{WINDOWS} {BLINK} coc_coc_browser/120.0.0 Chrome/120.0.0.0 Safari/537.36",
    f"{WINDOWS} {BLINK} Ladybird/1.0 LibWeb/1.0",
    "NokiaN70-1/5.0616.2.0.3 Series60/2.8 Profile/MIDP-2.0 Configuration/CLDC-1.1",
    "UCWEB/2.0 (MIDP-2.0; U; Adr 9; en-US; Spider_2) U2/1.0.0 UCBrowser/12.1 U2/1.0.0 Mobile",
    "Mozilla/5.0 (Web0S; Linux/SmartTV) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/79.0.3945.79 Safari/537.36",
    f"{WINDOWS} {BLINK} Chrome/130.0.0.0 YaBrowser/24.12.0 Yowser/2.5 Safari/537.36",
    phone("SM-S918B"),
    phone("K", "10"),
)

PHONES_WITH_A_MACHINES_NAME = (
    *map(phone, ("CUBOT_X30", "CUBOT NOTE 20", "M bot 60", "IDbot553", "B bot 50", "VR BOT 552", "HTC_botdugls")),
    *map(phone, ("Fever Plus", "O+ Sonic", "HTC Butterfly s", "Panasonic ELUGA I7", "Pump X", "Scanner 5")),
    *map(phone, ("Crawler (2nd gen)", "Spider", "GLX SpiderI", "Feed-1", "Monitor/2.1 Build/X")),
    "Mozilla/5.0 (Linux; U; Android 4.2.2; fa-ir; GLX SpiderI Build/JDQ39) AppleWebKit/534.30 (KHTML like Gecko)"
    " Version/4.0 Mobile Safari/534.30",
    "Mozilla/5.0 (Linux; Android 5.1; FEVER Build/LMY47D; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0"
    " Chrome/43.0.2357.121 Mobile Safari/537.36",
    f"Mozilla/5.0 (Linux; U; Android 14; en-US; CPH2557 Build/AP3A.240617.008) {BLINK} Version/4.0"
    " Chrome/100.0.4896.58 UCBrowser/13.6.0 Mobile Safari/537.36",
    f"Mozilla/5.0 (Linux; U; Android 14; zh-CN; PKB110 Build/AP3A.240617.008) {BLINK} Version/4.0"
    " Chrome/100.0.4896.58 Quark/7.4.0 Mobile Safari/537.36",
    phone("RMX5131 Build/AP3A.240617.008; wv", after=" AP3A.240617.008"),
)

APPS = (
    web_view("Pixel 2", " Instagram 157.0.0.37 Android (27/8.1.0; 420dpi; 1080x1794; Google/google; Pixel 2; walleye)"),
    web_view("S550", " Instagram 94.0 Android (22/5.1; 320dpi; 720x1280; CUBOT; S550 Pro; hct6735; mt6735; ru_RU)"),
    web_view("moto g", " [FB_IAB/FB4A;FBAV/400.0.0.1;FBCR/www.carrier.example;]"),
    f"{IPHONE_APP} [FBAN/FBIOS;FBAV/155.0;FBDV/iPhone9,3;FBCR/Carrier.de;FBID/phone;FBLC/de_DE;FBOP/5]",
    f"{IPHONE_APP} Instagram 300.0.0.0 (iPhone14,5; iOS 17_0; en_US; en; scale=3.00; 1170x2532; 514771569)",
    f"{IPHONE_APP} Twitter for iPhone/10.90",
    f"{IPHONE_APP} FeedReader/2.0",
    f"{IPHONE_APP} QRScanner/3.1",
    web_view("SM-A525F", " BarcodeScanner/1.0 Security Check"),
    web_view("SM-A525F", " NewsReader/4.1 Monitor/2"),
    web_view("SM-A525F", " LinkChecker/1.0 (Feed)"),
    web_view("Moto G (4)", " Line/15.4.2/IAB"),
    f"{WINDOWS} {BLINK} Slack/4.40.0 Chrome/128.0.0.0 Electron/32.0.0 Safari/537.36",
    f"{WINDOWS} {BLINK} Notion/3.0.0 Chrome/128.0.0.0 Electron/32.0.0 Safari/537.36",
    f"{IPHONE_APP} Viber/20.0.0",
    web_view("SM-A405FM", " YandexSearch/9.00 YandexSearchWebView/9.00"),
    phone("IN2010", after=" YaSearchBrowser/21.53 ru.yandex.searchplugin/21.53"),
)

MAIL_CLIENTS = (
    "Microsoft Office/16.0 (Windows NT 10.0; Microsoft Outlook 16.0.15225; Pro)",
    "Microsoft Office/16.0 (Microsoft Outlook 16.0.13228; Pro), Mozilla/4.0 (compatible; ms-office; MSOffice 16)",
    "Microsoft Office/15.0 (Windows NT 6.1; Microsoft Outlook 15.0.4420; Pro)",
    "Microsoft Office/12.0 (Windows NT 6.0; Microsoft Office Outlook 12.0.4518; Pro; ms-office)",
    "Mozilla/4.0 (compatible; MSIE 7.0; Windows NT 10.0; Trident/7.0; Microsoft Outlook 16.0.4266; ms-office)",
    "MacOutlook/16.92.24120731 (Intelx64 Mac OS X 14.7)",
    "Outlook-iOS/711.3061168.prod.iphone",
    "Outlook-Android/2.0",
    "Outlook-Express/7.0 (MSIE 8.0; Windows NT 5.1; Trident/4.0; TmstmpExt)",
    f"{MAC} {WEBKIT}",
    IPHONE_APP,
    f"Mozilla/5.0 (iPad; CPU OS 16_6 like Mac OS X) {WEBKIT} Mobile/15E148",
    "Mail/3731.700.6 CFNetwork/1492.0.1 Darwin/23.3.0",
    "Canary%20Mail/640 CFNetwork/1492 Darwin/23.3.0",
    "Airmail 1.0.6 rv:196 (Macintosh; Mac OS X 10.8.4; en_GB)",
    "Polymail/2.1",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:128.0) Gecko/20100101 Thunderbird/128.4.0",
    "Mozilla/5.0 (X11; Linux x86_64; rv:68.0) Gecko/20100101 Thunderbird/68.0 Lightning/68.0",
    f"{CHROME} Foxmail/7.2.25",
    f"{WINDOWS} {BLINK} eMClient/10.0 Chrome/120.0.0.0 Safari/537.36",
    "NaverMailApp/2.2.10 (Android 14; SM-S916N)",
    "YahooMobileMail/1.0 (Android Mail; 6.4) (SM-G960;samsung)",
    "WindowsMail/17.5.9600.22013",
    "Dalvik/2.1.0 (Linux; U; Android 13; SM-A546B Build/TP1A.220624.014)",
)

GMAIL_PROXIES = (
    "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)",
    f"{WINDOWS} {BLINK} Chrome/131.0.0.0 Safari/537.36 (via ggpht.com GoogleImageProxy)",
)
YAHOO_PROXIES = (
    "YahooMailProxy; https://help.yahoo.com/kb/yahoo-mail-proxy-SLN28749.html",
    "YahooMailProxy; https://senders.yahooinc.com/mail-proxy-servers",
)
OTHER_PROXIES = (
    "RamblerMail/6.0 (incompatible; ImageProxy/6.0)",
    "Mozilla/5.0 SeznamEmailProxy/2.0.174",
    f"{LINUX} {BLINK} Chrome/118.0.5993.117 Safari/537.36 FastmailUA/1.0",
    "Mozilla/5.0 (compatible; YandexImageResizer/2.0; +http://yandex.com/bots)",
    f"{CHROME} fwdcdn",
)

GMAIL_PREFETCHES = (
    f"{WINDOWS} {BLINK} Chrome/42.0.2311.135 Safari/537.36 Edge/12.246 Mozilla/5.0",
    f"{WINDOWS} {BLINK} Chrome/42.0.2311.135 Safari/537.36 Edge/12.246 Gmail-content-sampling",
)

LINK_PREVIEWS = (
    f"{MAC} AppleWebKit/601.2.4 (KHTML, like Gecko) Version/9.0.1 Safari/601.2.4 facebookexternalhit/1.1 Facebot"
    " Twitterbot/1.0",
    "GoogleMessages/20",
    f"{LINUX} {BLINK} Chrome/56.0.2924.87 Safari/537.36 Google-PageRenderer Google"
    " (+https://developers.google.com/+/web/snippet/)",
    "WhatsApp/2.23.20.0 A",
    "WhatsApp/2.23.20.0 i",
    f"{WINDOWS} {BLINK} Chrome/131.0.0.0 Safari/537.36 BingPreview/1.0b",
    "Mozilla/5.0 (Windows NT 6.1; WOW64) SkypeUriPreview Preview/0.5",
    "bitlybot/3.0 (+http://bit.ly/)",
    "TelegramBot (like TwitterBot)",
    "Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)",
    "Mozilla/5.0 (compatible; Discordbot/2.0; +https://discordapp.com)",
    "LinkedInBot/1.0 (compatible; Mozilla/5.0; Apache-HttpClient +http://www.linkedin.com)",
    "Example LinkPreview v2",
    "Pinterest/0.2 (+https://www.pinterest.com/bot.html)",
)

SCANNERS = (
    "Barracuda Sentinel (EE)",
    "Mozilla/5.0 (compatible; Proofpoint-URLDefense/1.0)",
    "Mimecast/1.0",
    "Mozilla/5.0 zgrab/0.x",
    "Mozilla/5.0 (compatible; CensysInspect/1.1; +https://about.censys.io/)",
    "Mozilla/5.0 (compatible; Example Security Scanner/0.2)",
    f"{CHROME} security.txt",
)

SELF_NAMED = (
    "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
    phone("Nexus 5X Build/MMB29P", "6.0.1", " (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"),
    phone("CUBOT_X30", after=" ExampleBot/1.0"),
    web_view("SM-A525F", " (compatible; examplebot/2.0)"),
    "python-requests/2.32.3",
    "curl/8.5.0",
    "Wget/1.21.4",
    "Go-http-client/2.0",
    "okhttp/4.12.0",
    "Java/17.0.9",
    "axios/1.7.2",
    "Apache-HttpClient/4.5.14 (Java/17.0.9)",
    f"{LINUX} {BLINK} HeadlessChrome/131.0.0.0 Safari/537.36",
    f"{CHROME} Chrome-Lighthouse",
    f"{CHROME} (checks@partner.example)",
    f"{CHROME} UptimeMonitor/1.0",
    f"{CHROME} Yandex.Translate",
    f"{CHROME} Example/2023 (contact; somebody; at; brand.example)",
    f"{CHROME} Example/1710630666672",
    f"{LINUX} AppleWebKit/537.36 (KHTML, like Gecko; compatible; Something/1.2) Chrome/124.0.0.0 Safari/537.36",
    f"{CHROME} crawling.brand.example https://brand.example",
    "Mozilla/5.0 (Windows NT 6.1) '+(select load_file('x'))+'",
    f"{CHROME} <script>alert(1)</script>",
    f"{CHROME} ${{jndi:ldap://x}}",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X) Word/14.61.0",
)

KNOWN = (
    f"{CHROME} ArchiveBox/0.6.2",
    f"{LINUX} AppleWebKit/534.34 (KHTML, like Gecko) wkhtmltoimage Safari/534.34",
)

SHAPELESS = (
    "Mozilla/4.0",
    "mozilla/5.0",
    "Mozilla/5.0 (compatible; FindsThings/1.0)",
    "Hello, world",
    "ExampleApp/1.0 CFNetwork/1492.0.1 Darwin/23.3.0",
    "User-Agent: something",
    "%s",
    "🦊",
)

PLACEHOLDERS = (
    *(
        "",
        " ",
        "\t",
        "\r\n",
        "\u00a0",
        "-",
        "--",
        " - ",
        "null",
        "NULL",
        "undefined",
        "(null)",
        "<null>",
        "None",
        "nil",
    ),
    *("Mozilla", "mozilla", "unknown", "Unknown", "(unknown)", "N/A", "n/a", '""', "''", '"-"', "User-Agent", "{}"),
)

KNOWN_AGENTS: tuple[tuple[str, str, str], ...] = tuple(
    (verdict, reason, agent)
    for verdict, reason, agents in (
        ("human", "ok", BROWSERS + PHONES_WITH_A_MACHINES_NAME + APPS),
        ("human", "mail_client", MAIL_CLIENTS),
        ("proxy", "proxy_gmail", GMAIL_PROXIES),
        ("proxy", "proxy_yahoo", YAHOO_PROXIES),
        ("proxy", "proxy_other", OTHER_PROXIES),
        ("machine", "gmail_prefetch", GMAIL_PREFETCHES),
        ("machine", "ua_bare", ("Mozilla/5.0", " Mozilla/5.0 ")),
        ("machine", "ua_empty", PLACEHOLDERS),
        ("machine", "link_preview", LINK_PREVIEWS),
        ("machine", "scanner_ua", SCANNERS),
        ("machine", "bot_generic", SELF_NAMED),
        ("machine", "bot_known", KNOWN),
        ("machine", "ua_shape", SHAPELESS),
    )
    for agent in agents
)

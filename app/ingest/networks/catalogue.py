"""Which lists there are, what each means, and who publishes it where.

A list has files of its vendor, or the numbers of autonomous systems whose ranges are taken from a table of the whole
internet, or both: then the vendor's files are preferred. Only addresses that a vendor documents are here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from app.ingest.networks.vendor_formats import Parsed, apple_relay, aws, digitalocean, gcp, google, oracle
from app.models.signals import CLOUD, GOOGLE, MICROSOFT, RELAY, SCANNER, YAHOO

AS_TABLE = ("asn-ipv4.csv", "asn-ipv6.csv")
AS_SOURCE = "ip-location-db/asn: RouteViews (https://www.routeviews.org), NRO, DB-IP (https://db-ip.com)"
AS_LICENCE = "CC BY 4.0 (https://creativecommons.org/licenses/by/4.0/); selected by AS number and merged"

_FACTS = "a vendor's own statement of its networks"


@dataclass(frozen=True, slots=True)
class Kind:
    """One list."""

    name: str
    bit: int
    title: str
    widest: int
    """IPv4 addresses that it may cover at most, more than four times today's: no force goes beyond it."""
    files: Mapping[str, str] = field(default_factory=dict)
    """Name in a mirror -> where the vendor publishes it."""
    parse: Callable[[Mapping[str, bytes]], Parsed] | None = None
    systems: frozenset[int] = frozenset()
    """Autonomous systems."""
    licence: str = _FACTS


_MI = 1024 * 1024

KINDS = {
    kind.name: kind
    for kind in (
        Kind(
            "relay",
            RELAY,
            "Apple's egress: iCloud Private Relay and Mail Privacy Protection",
            2 * _MI,
            files={"egress-ip-ranges.csv": "https://mask-api.icloud.com/egress-ip-ranges.csv"},
            parse=apple_relay,
        ),
        # Exchange Online Protection, Defender and Azure are all here; service tags have no stable address.
        Kind("microsoft", MICROSOFT, "Microsoft", 400 * _MI, systems=frozenset({8068, 8069, 8070, 8075})),
        # Not by number of its system: that announces blocks of its cloud, too.
        Kind(
            "google",
            GOOGLE,
            "Google's own machines, its cloud's customers excepted",
            16 * _MI,
            files={
                "goog.json": "https://www.gstatic.com/ipranges/goog.json",
                "cloud.json": "https://www.gstatic.com/ipranges/cloud.json",
            },
            parse=google,
        ),
        # With AOL, and with Yahoo Japan: another company, but its mail's proxy has the same name.
        Kind(
            "yahoo",
            YAHOO,
            "Yahoo, AOL and Yahoo Japan",
            4 * _MI,
            systems=frozenset(
                {5779, 7233, 7280, 10229, 10230, 10310, 10880, 14196, 14776, 14777, 14778, 14779, 14780, 15635, 16515}
                | {18293, 23879, 23880, 23926, 24376, 24506, 26101, 28122, 34010, 36088, 36229, 36646, 36647, 36752}
                | {38032, 38072, 39995, 42173, 43428, 56173, 203070, 203219, 203220, 393245}
                | {18140, 23816, 24296, 24572, 55898}
            ),
        ),
        Kind(
            "aws",
            CLOUD,
            "Amazon Web Services",
            400 * _MI,
            files={"ip-ranges.json": "https://ip-ranges.amazonaws.com/ip-ranges.json"},
            parse=aws,
        ),
        Kind(
            "gcp",
            CLOUD,
            "Google Cloud's customers",
            80 * _MI,
            files={"cloud.json": "https://www.gstatic.com/ipranges/cloud.json"},
            parse=gcp,
        ),
        Kind(
            "oracle",
            CLOUD,
            "Oracle Cloud",
            32 * _MI,
            files={"public_ip_ranges.json": "https://docs.oracle.com/en-us/iaas/tools/public_ip_ranges.json"},
            parse=oracle,
            systems=frozenset({31898}),
        ),
        Kind(
            "digitalocean",
            CLOUD,
            "DigitalOcean",
            24 * _MI,
            files={"google.csv": "https://www.digitalocean.com/geo/google.csv"},
            parse=digitalocean,
            systems=frozenset({14061}),
        ),
        # Left out on purpose, because people's own traffic comes from there: content networks (Cloudflare's WARP), the
        # hosters whose trade is exits of VPNs, and every system that also sells access lines (OVH's 35540 does).
        Kind(
            "hosting",
            CLOUD,
            "Hosters without a published list",
            160 * _MI,
            systems=frozenset(
                {16276}  # OVH
                | {24940, 212317, 213230, 215859}  # Hetzner
                | {63949}  # Linode
                | {20473}  # Vultr
                | {12876, 54265, 202023}  # Scaleway
                | {40021, 51167, 141995}  # Contabo
                | {7203, 19148, 27411, 28753, 30633, 32613, 59253, 60781, 205544, 395954, 396190, 396362}  # Leaseweb
                | {8560}  # IONOS
                | {19994, 33070, 27357}  # Rackspace
                | {36351}  # IBM
                | {45102, 134963}  # Alibaba
                | {132203}  # Tencent
                | {136907}  # Huawei
                | {47583}  # Hostinger
                | {25697, 202053}  # UpCloud
                | {197540, 214996}  # netcup
                | {40509}  # Fly.io
            ),
        ),
        # Filters of mail only. Never a gateway or relay that an office browses through (Zscaler, Netskope, Umbrella,
        # Forcepoint, Skyhigh, Fortinet, Prisma): a person's click comes from there.
        Kind(
            "scanners",
            SCANNER,
            "Filters of mail: Barracuda, Proofpoint, Mimecast and others",
            1 * _MI,
            systems=frozenset(
                {15324}  # Barracuda
                | {13916, 22843, 26211, 52129}  # Proofpoint
                | {30031, 33538, 37235, 39588, 42427, 60492, 136792, 208638, 397726}  # Mimecast
                | {16417, 30215, 30238, 40427}  # Cisco Secure Email (IronPort)
                | {16880, 132229}  # Trend Micro
                | {7583}  # Symantec Email Security (MessageLabs)
                | {48328}  # Retarus
                | {13380, 53780, 59519}  # Zix and AppRiver
                | {401943}  # Hornetsecurity
            ),
        ),
    )
}

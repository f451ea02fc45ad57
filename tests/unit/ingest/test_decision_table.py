"""The decision table, row by row: each signal works alone, and does not fire on its nearest harmless twin."""

from __future__ import annotations

from dataclasses import replace

import pytest

from app.models import signals as bits
from app.models.bot_policy import DEFAULT_BOT_POLICY, BotPolicy
from tests.unit.ingest.stories import (
    CHROME,
    CLICK,
    CURL,
    FIREFOX,
    GOOGLE_PROXY,
    OPEN,
    OTHER,
    OUTLOOK,
    PAGE,
    PERSON,
    PHONE,
    SCANNER,
    YAHOO_PROXY,
    Client,
    said,
)

LATER = 3600.0
APPLE = Client("Mozilla/5.0", bits.PUBLIC_ADDRESS | bits.RELAY)


def test_row_1_another_method_than_get_is_a_machine() -> None:
    head = PERSON.plus(bits.NOT_GET)
    assert said((LATER, CLICK, 4, head)) == said((LATER, OPEN, 0, head)) == ["machine: method_head"]
    assert said((LATER, CLICK, 4, PERSON)) == ["human*: ok"]


def test_row_2_a_request_that_calls_itself_a_prefetch_is_a_machine_and_the_navigation_after_it_a_person() -> None:
    ahead = PERSON.plus(bits.PREFETCH)
    assert said((LATER, CLICK, 4, ahead), (LATER + 1, CLICK, 4, PERSON)) == ["machine: prefetch", "human*: ok"]


def test_a_browser_that_loads_all_links_ahead_makes_no_burst() -> None:
    ahead = PERSON.plus(bits.PREFETCH)
    hits = [(LATER, CLICK, slot, ahead) for slot in range(4, 9)]
    assert said(*hits, (LATER + 1, CLICK, 4, PERSON))[-1] == "human*: ok"


@pytest.mark.parametrize("agent", ["", " ", "-", "null", "undefined"])
def test_row_3_no_user_agent_is_a_machine(agent: str) -> None:
    nobody = PERSON.but(user_agent=agent)
    assert said((LATER, OPEN, 0, nobody)) == said((LATER, CLICK, 4, nobody)) == ["machine: ua_empty"]


def test_row_4_the_bare_agent_from_apples_network_is_apples_prefetch() -> None:
    assert said((LATER, OPEN, 0, APPLE)) == ["machine: apple_mpp"]
    with_a_name = APPLE.but(user_agent=PHONE)
    assert said((LATER, OPEN, 0, with_a_name)) == ["human*: relay_ip"]


def test_row_5_the_bare_agent_from_elsewhere_is_a_machine_and_not_apples() -> None:
    assert said((LATER, OPEN, 0, APPLE.without(bits.RELAY))) == ["machine: ua_bare"]


def test_row_6_gmails_prefetch_is_a_machine_and_an_old_edge_is_a_person() -> None:
    edge = CHROME.format(42).replace("42.0.0.0", "42.0.2311.135") + " Edge/12.246"
    for tail in (" Mozilla/5.0", " Gmail-content-sampling"):
        assert said((LATER, OPEN, 0, PERSON.but(user_agent=edge + tail))) == ["machine: gmail_prefetch"]
    assert said((LATER, OPEN, 0, PERSON.but(user_agent=edge)))[0].startswith("human*:")


@pytest.mark.parametrize(
    ("agent", "network", "reason"),
    [
        (GOOGLE_PROXY, bits.GOOGLE, "proxy_gmail"),
        (YAHOO_PROXY, bits.YAHOO, "proxy_yahoo"),
        ("Mozilla/5.0 SeznamEmailProxy/2.0.174", 0, "proxy_other"),
    ],
)
def test_row_7_a_mail_providers_proxy_is_a_person_behind_a_proxy(agent: str, network: int, reason: str) -> None:
    proxy = Client(agent, bits.PUBLIC_ADDRESS | network)
    assert said((LATER, OPEN, 0, proxy)) == [f"proxy*: {reason}"]
    assert said((LATER, CLICK, 4, proxy)) == [f"machine: {reason}"], "image proxies follow no links"


@pytest.mark.parametrize("agent", [GOOGLE_PROXY, YAHOO_PROXY])
def test_row_7_a_proxys_name_from_a_foreign_network_is_not_believed(agent: str) -> None:
    assert said((LATER, OPEN, 0, Client(agent, bits.PUBLIC_ADDRESS))) == ["machine: proxy_unverified"]
    unknown = Client(agent, 0)
    assert said((LATER, OPEN, 0, unknown))[0].startswith("proxy*:"), "an address nobody knows says nothing"


def test_row_8_a_mail_program_is_a_person_before_any_list() -> None:
    outlook = Client(OUTLOOK, bits.PUBLIC_ADDRESS)
    assert said((LATER, OPEN, 0, outlook)) == said((LATER, CLICK, 4, outlook)) == ["human*: mail_client"]


def test_row_9_a_link_preview_is_a_machine() -> None:
    preview = PERSON.but(user_agent="WhatsApp/2.23.20.0 A")
    assert said((LATER, CLICK, 4, preview)) == ["machine: link_preview"]
    assert said((LATER, CLICK, 4, preview), (LATER + 5, CLICK, 4, OTHER))[1] == "human*: ok"


def test_row_10_a_scanner_is_known_by_its_name_or_by_its_network() -> None:
    assert said((LATER, CLICK, 4, PERSON.but(user_agent=SCANNER))) == ["machine: scanner_ua"]
    from_scanner = PERSON.plus(bits.SCANNER)
    assert said((LATER, CLICK, 4, from_scanner)) == said((LATER, OPEN, 0, from_scanner)) == ["machine: scanner_net"]


def test_row_10_one_link_mail_scanned_at_43_s_is_known_by_its_network_and_from_home_it_is_a_person() -> None:
    one = frozenset({4})
    assert said((43, CLICK, 4, PERSON.plus(bits.SCANNER)), links=one) == ["machine: scanner_net"]
    assert said((43, CLICK, 4, PERSON), links=one) == ["human*: ok"]


@pytest.mark.parametrize(
    "agent",
    [CURL, "python-requests/2.32.3", "Mozilla/5.0 (compatible; ExampleBot/1.0; +https://bot.example)"],
)
def test_row_11_what_calls_itself_a_program_is_a_machine(agent: str) -> None:
    assert said((LATER, CLICK, 4, PERSON.but(user_agent=agent)))[0].startswith("machine: bot_")


def test_row_12_the_hidden_link_makes_a_machine_of_the_client_from_shortly_before_to_long_after() -> None:
    trap = PERSON.plus(bits.TRAP)
    hits = [(LATER - 9, OPEN, 0, PERSON), (LATER, CLICK, 8, trap), (LATER + 899, CLICK, 4, PERSON)]
    assert said(*hits) == ["machine: honeypot"] * 3
    around = [(LATER - 11, OPEN, 0, PERSON), (LATER, CLICK, 8, trap), (LATER + 901, CLICK, 4, PERSON)]
    assert said(*around) == ["human*: ok", "machine: honeypot", "human*: ok"]


def test_row_12_by_address_or_by_agent_and_nobody_else() -> None:
    trap = PERSON.plus(bits.TRAP)
    same_address, same_agent = PERSON.but(user_agent=FIREFOX), PERSON.but(address=9, network=9)
    hits = [(LATER, CLICK, 8, trap), (LATER + 1, OPEN, 0, same_address), (LATER + 60, OPEN, 0, same_agent)]
    assert said(*hits, (LATER + 61, CLICK, 5, OTHER)) == ["machine: honeypot"] * 3 + ["human*: ok"]


def test_row_12_a_proxy_is_no_client_and_a_browsers_prefetch_follows_hidden_links_too() -> None:
    proxy = Client(GOOGLE_PROXY, bits.GOOGLE | bits.PUBLIC_ADDRESS)
    assert said((LATER, CLICK, 8, PERSON.plus(bits.TRAP)), (LATER + 1, OPEN, 0, proxy))[1] == "proxy*: proxy_gmail"
    ahead = PERSON.plus(bits.TRAP | bits.PREFETCH)
    assert said((LATER, CLICK, 8, ahead), (LATER + 1, CLICK, 4, PERSON)) == ["machine: prefetch", "human*: ok"]


def test_row_13_three_links_in_two_seconds_are_a_machines_all_of_them() -> None:
    hits = [(LATER, CLICK, 4, PERSON), (LATER + 1, CLICK, 5, OTHER), (LATER + 2, CLICK, 6, PERSON)]
    assert said(*hits) == ["machine: link_burst"] * 3
    slower = [*hits[:2], (LATER + 2.001, CLICK, 6, PERSON)]
    assert said(*slower) == ["human*: ok"] * 3


def test_row_13_two_links_or_one_link_three_times_are_what_people_do() -> None:
    assert said(*[(LATER + n / 10, CLICK, 4 + n % 2, PERSON) for n in range(6)]) == ["human*: ok"] * 6


def test_row_13_every_link_and_the_unsubscribe_page_within_half_a_minute_is_a_sweep() -> None:
    sweep = [(LATER + n * 7, CLICK, slot, PERSON) for n, slot in enumerate((4, 5, 6))] + [(LATER + 25, PAGE, 2, PERSON)]
    links = frozenset({4, 5, 6})
    assert said(*sweep, links=links) == ["machine: link_sweep"] * 4
    without_page = sweep[:3]
    assert said(*without_page, links=links) == ["human*: ok"] * 3
    assert said(*sweep, links=links | {7}) == ["human*: ok"] * 3 + ["human: ok"], "one link was not looked at"
    one = [(LATER, CLICK, 4, PERSON), (LATER + 5, PAGE, 2, PERSON)]
    assert said(*one, links=frozenset({4})) == ["human*: ok", "human: ok"], "one link and leaving is a person's way"


def test_a_burst_folds_back_on_the_open_before_it() -> None:
    cloud = PERSON.plus(bits.CLOUD)
    hits = [(9, OPEN, 0, cloud)] + [(10 + n / 20, CLICK, 4 + n, cloud) for n in range(12)]
    answers = said(*hits, links=frozenset(range(4, 16)))
    assert answers[0].startswith("machine: tainted_session")
    assert all(answer.startswith("machine: link_burst") for answer in answers[1:])


def test_a_burst_takes_in_the_click_that_came_alone() -> None:
    hits = [(LATER, CLICK, 4, PERSON), (LATER + 1.9, CLICK, 5, PERSON), (LATER + 1.95, CLICK, 6, PERSON)]
    assert said(*hits) == ["machine: link_burst"] * 3


def test_row_14_nobody_reads_a_message_within_two_seconds() -> None:
    assert said((1.9, OPEN, 0, PERSON)) == said((1.9, CLICK, 4, PERSON)) == ["machine: too_fast"]
    assert said((2.0, OPEN, 0, PERSON)) == ["human*: fast"]
    assert said((1.9, OPEN, 0, PERSON), handed_over=False) == ["human*: ok"], "nobody said when it was sent"
    assert said((-5, OPEN, 0, PERSON)) == ["human*: ok"], "the hand-over was reported too late"


def test_row_14_a_proxy_may_be_as_fast_as_it_likes() -> None:
    proxy = Client(GOOGLE_PROXY, bits.GOOGLE | bits.PUBLIC_ADDRESS)
    assert said((0.5, OPEN, 0, proxy)) == ["proxy*: proxy_gmail"]


def test_row_15_after_a_machine_the_same_client_is_a_machine_for_a_quarter_of_an_hour() -> None:
    scanner = PERSON.but(user_agent=SCANNER)
    by_address = (LATER + 899, CLICK, 4, PERSON)
    assert said((LATER, CLICK, 5, scanner), by_address)[1] == "machine: tainted_session"
    assert said((LATER, CLICK, 5, scanner), (LATER + 901, CLICK, 4, PERSON))[1] == "human*: ok"
    assert said((LATER, CLICK, 5, scanner), (LATER + 1, CLICK, 4, OTHER))[1] == "human*: ok"
    assert said((LATER, CLICK, 5, scanner), (LATER - 1, CLICK, 4, PERSON))[1] == "human*: ok", "it was there before"


def test_row_15_what_is_tainted_taints_nobody_else() -> None:
    scanner = PERSON.but(user_agent=SCANNER)
    tainted = PERSON.but(user_agent=PHONE)
    hits = [(LATER, CLICK, 5, scanner), (LATER + 600, CLICK, 4, tainted), (LATER + 1200, CLICK, 4, OTHER)]
    assert said(*hits)[1:] == ["machine: tainted_session", "human*: ok"]


@pytest.mark.parametrize("agent", ["", "Mozilla/5.0", "WhatsApp/2.23.20.0 A"])
def test_row_15_rules_one_to_nine_say_nothing_of_the_client(agent: str) -> None:
    machine = PERSON.but(user_agent=agent)
    assert said((LATER, CLICK, 5, machine), (LATER + 5, CLICK, 4, PERSON))[1] == "human*: ok"


def test_row_16_a_click_from_microsofts_network_needs_one_more_sign_or_an_early_hour() -> None:
    microsoft = PERSON.plus(bits.MICROSOFT)
    assert said((LATER, CLICK, 4, microsoft)) == ["human*: ms_net"]
    assert said((59, CLICK, 4, microsoft)) == ["machine: ms_net"]
    assert said((61, CLICK, 4, microsoft)) == ["human*: ms_net"]
    second = microsoft.without(bits.ACCEPT_LANGUAGE)
    assert said((LATER, CLICK, 4, second)) == ["machine: soft_signals ms_net no_accept_language"]
    assert said((30, OPEN, 0, microsoft)) == ["human*: ok"], "Outlook on the web opens from there"


def test_row_17_a_browser_in_a_cloud_is_suspect_and_no_more() -> None:
    assert said((LATER, CLICK, 4, PERSON.plus(bits.CLOUD))) == ["human*: datacenter_ip"]
    assert said((LATER, OPEN, 0, PERSON.plus(bits.CLOUD))) == ["human*: ok"]
    mail = Client(OUTLOOK, bits.PUBLIC_ADDRESS | bits.CLOUD)
    assert said((LATER, CLICK, 4, mail)) == ["human*: mail_client"]


@pytest.mark.parametrize("agent", [CHROME.format(155), FIREFOX, PHONE])
def test_row_18_a_current_browser_sends_fetch_metadata(agent: str) -> None:
    without = PERSON.but(user_agent=agent).without(bits.FETCH_METADATA)
    assert said((LATER, CLICK, 4, without)) == ["human*: no_fetch_metadata"]
    assert said((LATER, OPEN, 0, without)) == ["human*: ok"]
    assert said((LATER, CLICK, 4, without.without(bits.HTTPS))) == ["human*: ok"], "over http nobody sends it"
    unseen = PERSON.but(user_agent=agent, signals=bits.PUBLIC_ADDRESS)
    assert said((LATER, CLICK, 4, unseen)) == ["human*: ok"], "nobody looked at the headers"


def test_row_18_browsers_from_before_fetch_metadata_need_none() -> None:
    old = PERSON.but(user_agent=FIREFOX.replace("150", "89")).without(bits.FETCH_METADATA)
    assert said((LATER, CLICK, 4, old)) == ["human*: ok"]


def test_row_19_a_browser_names_a_language() -> None:
    without = PERSON.without(bits.ACCEPT_LANGUAGE)
    assert said((LATER, CLICK, 4, without)) == ["human*: no_accept_language"]
    assert said((LATER, OPEN, 0, without)) == ["human*: ok"]
    assert said((LATER, CLICK, 4, without.but(user_agent=OUTLOOK))) == ["human*: mail_client"]


def test_row_20_within_ten_seconds_an_open_is_flagged_and_a_click_is_suspect() -> None:
    assert said((9.9, OPEN, 0, PERSON)) == said((9.9, CLICK, 4, PERSON)) == ["human*: fast"]
    assert said((10, OPEN, 0, PERSON)) == said((10, CLICK, 4, PERSON)) == ["human*: ok"]
    assert said((9.9, CLICK, 4, PERSON.plus(bits.CLOUD))) == ["machine: soft_signals datacenter_ip fast"]


def test_row_21_a_browser_of_three_years_ago_is_suspect() -> None:
    stale, recent = PERSON.but(user_agent=CHROME.format(110)), PERSON.but(user_agent=CHROME.format(125))
    assert said((LATER, CLICK, 4, stale)) == said((LATER, OPEN, 0, stale)) == ["human*: stale_browser"]
    assert said((LATER, CLICK, 4, recent)) == ["human*: ok"]
    cloud = stale.plus(bits.CLOUD)
    assert said((LATER, CLICK, 4, cloud)) == ["machine: soft_signals datacenter_ip stale_browser"]
    assert said((LATER, OPEN, 0, cloud)) == ["human*: stale_browser"]


def test_row_22_the_same_link_from_another_network_is_an_echo() -> None:
    assert said((LATER, CLICK, 4, PERSON), (LATER + 12, CLICK, 4, OTHER)) == ["human*: ok", "machine: scanner_echo"]
    assert said((LATER, CLICK, 4, PERSON), (LATER + 16, CLICK, 4, OTHER))[1] == "human*: ok"
    assert said((LATER, CLICK, 4, PERSON), (LATER + 12, CLICK, 5, OTHER))[1] == "human*: ok"
    neighbour = OTHER.but(network=PERSON.network)
    assert said((LATER, CLICK, 4, PERSON), (LATER + 12, CLICK, 4, neighbour))[1] == "human*: ok"
    unknown = OTHER.but(network=0)
    assert said((LATER, CLICK, 4, PERSON), (LATER + 12, CLICK, 4, unknown))[1] == "human*: ok"


def test_row_22_a_gateway_that_goes_before_the_person_is_the_echo() -> None:
    gateway = OTHER.plus(bits.MICROSOFT)
    answers = said((LATER, CLICK, 4, gateway), (LATER + 1, CLICK, 4, PERSON))
    assert answers == ["machine: scanner_echo ms_net", "human*: ok"], "one human click"


def test_rows_23_and_24_two_weak_signs_make_a_machine_and_one_makes_a_suspect() -> None:
    one = PERSON.plus(bits.CLOUD)
    assert said((LATER, CLICK, 4, one)) == ["human*: datacenter_ip"]
    assert said((LATER, CLICK, 4, one.without(bits.FETCH_METADATA)))[0].startswith("machine: soft_signals")


def test_row_25_asking_for_privacy_says_nothing_about_machines() -> None:
    private = PERSON.plus(bits.PRIVACY)
    assert said((LATER, CLICK, 4, private)) == said((LATER, OPEN, 0, private)) == ["human*: privacy_signal"]


def test_row_26_private_relay_with_an_ordinary_browser_is_a_person() -> None:
    relay = PERSON.but(user_agent=PHONE).plus(bits.RELAY)
    assert said((LATER, OPEN, 0, relay)) == said((LATER, CLICK, 4, relay)) == ["human*: relay_ip"]


def test_row_27_nothing_against_a_person_is_a_person() -> None:
    assert said((LATER, OPEN, 0, PERSON), (LATER + 20, CLICK, 4, PERSON)) == ["human*: ok"] * 2


def test_an_office_behind_one_address_is_no_burst_because_every_message_is_its_own_story() -> None:
    assert all(said((LATER + n, CLICK, 4 + n % 5, PERSON)) == ["human*: ok"] for n in range(200))


IGNORED = [
    ("method_head", (LATER, CLICK, 4, PERSON.plus(bits.NOT_GET))),
    ("prefetch", (LATER, CLICK, 4, PERSON.plus(bits.PREFETCH))),
    ("ua_empty", (LATER, OPEN, 0, PERSON.but(user_agent=""))),
    ("ua_bare", (LATER, OPEN, 0, PERSON.but(user_agent="Mozilla/5.0"))),
    ("proxy_unverified", (LATER, OPEN, 0, Client(GOOGLE_PROXY, bits.PUBLIC_ADDRESS))),
    ("link_preview", (LATER, CLICK, 4, PERSON.but(user_agent="WhatsApp/2.23.20.0 A"))),
    ("scanner_ua", (LATER, CLICK, 4, PERSON.but(user_agent=SCANNER))),
    ("scanner_net", (LATER, CLICK, 4, PERSON.plus(bits.SCANNER))),
    ("honeypot", (LATER, CLICK, 8, PERSON.plus(bits.TRAP))),
    ("too_fast", (1, OPEN, 0, PERSON)),
]


@pytest.mark.parametrize(("code", "hit"), IGNORED, ids=[code for code, _ in IGNORED])
def test_a_brand_can_switch_each_certain_signal_off(code: str, hit: tuple) -> None:  # type: ignore[type-arg]
    (before,) = said(hit)
    assert before.startswith("machine:")
    assert code in before
    (after,) = said(hit, policy=replace(DEFAULT_BOT_POLICY, ignore=frozenset({code})))
    assert not after.startswith("machine:")


@pytest.mark.parametrize(
    ("code", "client"),
    [
        ("ms_net", PERSON.plus(bits.MICROSOFT)),
        ("datacenter_ip", PERSON.plus(bits.CLOUD)),
        ("no_fetch_metadata", PERSON.without(bits.FETCH_METADATA)),
        ("no_accept_language", PERSON.without(bits.ACCEPT_LANGUAGE)),
        ("stale_browser", PERSON.but(user_agent=CHROME.format(100))),
    ],
)
def test_a_brand_can_switch_each_weak_sign_off(code: str, client: Client) -> None:
    assert said((LATER, CLICK, 4, client)) == [f"human*: {code}"]
    off = replace(DEFAULT_BOT_POLICY, ignore=frozenset({code}))
    assert said((LATER, CLICK, 4, client), policy=off) == ["human*: ok"]


def test_without_apples_rule_its_prefetch_is_a_bare_agent_and_flags_can_be_switched_off() -> None:
    def without(*codes: str) -> BotPolicy:
        return replace(DEFAULT_BOT_POLICY, ignore=frozenset(codes))

    assert said((LATER, OPEN, 0, APPLE), policy=without("apple_mpp")) == ["machine: ua_bare"]
    assert said((LATER, OPEN, 0, APPLE), policy=without("apple_mpp", "ua_bare")) == ["human*: relay_ip"]
    private = PERSON.but(user_agent=PHONE).plus(bits.RELAY | bits.PRIVACY)
    assert said((LATER, OPEN, 0, private)) == ["human*: privacy_signal relay_ip"]
    assert said((LATER, OPEN, 0, private), policy=without("privacy_signal", "relay_ip")) == ["human*: ok"]


def test_a_brand_can_switch_the_rules_over_several_hits_off() -> None:
    burst = [(LATER + n / 10, CLICK, 4 + n, PERSON) for n in range(3)]
    echo = [(LATER, CLICK, 4, PERSON), (LATER + 1, CLICK, 4, OTHER)]
    taint = [(LATER, CLICK, 5, PERSON.but(user_agent=SCANNER)), (LATER + 1, OPEN, 0, PERSON)]
    sweep = [*((LATER + n * 5, CLICK, 4 + n, PERSON) for n in range(2)), (LATER + 12, PAGE, 2, PERSON)]
    soft = [(LATER, CLICK, 4, PERSON.plus(bits.CLOUD).without(bits.ACCEPT_LANGUAGE))]
    for code, hits in {
        "link_burst": burst,
        "scanner_echo": echo,
        "tainted_session": taint,
        "link_sweep": sweep,
        "soft_signals": soft,
    }.items():
        links = frozenset({4, 5}) if code == "link_sweep" else frozenset(range(4, 9))
        assert any(code in answer for answer in said(*hits, links=links))
        off = replace(DEFAULT_BOT_POLICY, ignore=frozenset({code}))
        assert not any(code in answer for answer in said(*hits, links=links, policy=off))


def test_a_brand_sets_its_own_thresholds() -> None:
    burst = [(LATER + n, CLICK, 4 + n, PERSON) for n in range(4)]
    strict = replace(DEFAULT_BOT_POLICY, burst_links=4, burst_seconds=5.0)
    assert said(*burst, policy=strict) == ["machine: link_burst"] * 4
    lenient = replace(DEFAULT_BOT_POLICY, burst_links=5)
    assert said(*[(LATER + n / 10, CLICK, 4 + n, PERSON) for n in range(4)], policy=lenient) == ["human*: ok"] * 4
    quick = replace(DEFAULT_BOT_POLICY, too_fast_seconds=0.5, fast_seconds=1.0)
    assert said((1.0, OPEN, 0, PERSON), policy=quick) == ["human*: ok"]
    one_is_enough = replace(DEFAULT_BOT_POLICY, machine_points=1)
    assert said((LATER, CLICK, 4, PERSON.plus(bits.CLOUD)), policy=one_is_enough) == [
        "machine: soft_signals datacenter_ip"
    ]


def test_what_ends_at_a_page_of_ours_is_a_person_and_not_counted() -> None:
    assert said((LATER, CLICK, 4, PERSON.plus(bits.BLOCKED))) == ["human: destination_blocked"]
    assert said((LATER, CLICK, 4, PERSON.plus(bits.GONE))) == ["human: values_gone"]
    assert said((LATER, PAGE, 2, PERSON)) == ["human: ok"]

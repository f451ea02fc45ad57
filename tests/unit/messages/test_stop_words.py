"""Who wants out and who does not: labelled replies, the rules' edges, and what must hold for any text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.messages.reply_lexicon import STOP_KEYS, Strength
from app.messages.stop_words import MAX_LENGTH, Reply, ReplyKind, parse_reply

STOP = [
    # The seven words of 47 CFR 64.1200(a)(10), and the carriers'
    *("STOP", "QUIT", "END", "REVOKE", "OPT OUT", "CANCEL", "UNSUBSCRIBE"),
    *("STOPALL", "STOP ALL", "OPTOUT", "OPT-OUT", "Opt out please", "stop all!", "remove"),
    # As people write them
    *("stop", "Stop.", "STOP!!", " \n stop \t", "»stop«", "“STOP”", "'stop'", "(stop)", "*STOP*", "[STOP]", "…stop…"),
    *("ＳＴＯＰ", "ⓈⓉⓄⓅ", "S.T.O.P.", "S T O P", "ST\u200bOP", "st\u00adop", "\u202aSTOP\u202c", "\ufeffSTOP", "stóp"),
    *(
        "STOP 🙏",
        "🛑",
        "🛑🛑🛑",
        "🛑 texting me",
        "😡😡 STOP 😡",
        "Stoppp",
        "STOOOOOP",
        "stpo",
        "unsuscribe",
        "stop.stop.stop",
    ),
    *("STOP STOP STOP", "stop\n\nSent from my phone", "Re: stop", "STOP 2", "STOP 64446", "Reply STOP", "text stop"),
    *("Text STOP to opt out", "STOP to end", "> Sale today!\n> Reply HELP\nstop"),
    # Politeness, haste and anger
    *("STOP please", "please stop", "Pls stop thx", "ok stop now", "No, stop", "no stop", "no. STOP. thank you"),
    *(
        "stop it",
        "stop this",
        "stop now!!!",
        "I said STOP",
        "i already told you to stop",
        "You need to stop",
        "Stop!!! Why?",
    ),
    *("stop or i will report you", "stop because I never signed up", "Could you please stop", "can you stop this now"),
    *("CANCEL please", "please cancel", "END!", "End. Thanks", "quit!!", "cancel cancel", "Make it stop"),
    # With what is to stop
    *("stop sending me this", "stop texting me", "Stop messaging me.", "stop the messages", "please stop all texts"),
    *(
        "stop sending me this crap",
        "stop fucking texting me",
        "stop with the spam",
        "stop all of these marketing texts",
    ),
    *("my husband wants you to stop texting him", "I asked you twice and you keep texting so stop messaging me"),
    *(
        "I never signed up for this stop texting me",
        "how do i stop these messages?",
        "No stop texting me",
        "STOP SENDING",
    ),
    *(
        "if you don't stop texting me i will sue",
        "why don’t you stop texting me",
        "cancel my subscription",
        "end these texts",
    ),
    *(
        "quit texting me",
        "revoke my consent",
        "cancel sms",
        "Cancel all messages",
        "please stop calling",
        "stop 5 texts a day",
    ),
    # Words with one meaning
    *(
        "unsubscribe me",
        "Unsubscribe from this list",
        "i want to unsubscribe",
        "How do I unsubscribe?",
        "UNSUBSCRIBE!!!",
    ),
    *(
        "I can't unsubscribe",
        "why can i not unsubscribe???",
        "I can not unsubscribe",
        "I unsubscribed already",
        "unsub",
    ),
    *(
        "remove me from your list",
        "Take me off this list please",
        "opt me out",
        "please remove my number",
        "leave me alone",
    ),
    *("I’d like to opt out", "unsubscribe link doesn't work", "wrong number, take me off your list"),
    # Without a keyword
    *("do not text me", "Don't message me again", "don´t contact me", "never text this number again", "no more texts"),
    *("NO MORE", "I don't want these messages anymore", "i do not want to receive texts", "I no longer want your sms"),
    *("don't send me anything", "don't send me any more offers", "i dont want these texts stop texting me"),
    *("you have the wrong number please stop", "Not interested stop", "I would like to be removed from this list"),
    *("how can I get off this list", "cancel thank you", "i want out", "dont send me these", "stop!!! not interested"),
    *(
        "Lose this number",
        "je ne veux plus recevoir de sms",
        "no quiero más mensajes",
        "wypiszcie mnie",
        "stop aux sms",
    ),
    # A list's or brand's name after STOP in capitals
    *("STOP PIZZA", "STOP Bäckerei Muster", "STOP NEWS", "STOPP Muster"),
    # Other languages
    *("STOPP", "Stopp!", "ABMELDEN", "bitte abmelden", "Ich möchte mich abmelden", "abbestellen", "Bitte hört auf"),
    *("keine SMS mehr", "Bitte keine weiteren Nachrichten", "Ich möchte keine Werbung", "Ende", "Lasst mich in Ruhe!"),
    *("ARRET", "ARRÊT", "Arrêtez", "arrêtez de m'envoyer des sms", "désinscription svp", "je veux me désabonner"),
    *("s'il vous plaît, arrêtez", "Plus de SMS", "BAJA", "quiero darme de baja", "cancela", "CANCELAR por favor"),
    *("no más mensajes", "Dejen de enviarme mensajes", "basta", "disiscrivimi", "cancellami per favore", "annulla"),
    *(
        "STOPPEN",
        "AFMELDEN",
        "ik wil me afmelden",
        "uitschrijven a.u.b.",
        "geen sms meer",
        "SAIR",
        "Parar",
        "quero sair",
    ),
    *("não quero receber mensagens", "descadastrar", "WYPISZ", "wypisz mnie", "proszę mnie wypisać", "rezygnuję"),
    *(
        "avsluta",
        "Avregistrera mig",
        "afmeld",
        "frameld",
        "AVMELD",
        "avslutt",
        "ikke flere sms",
        "СТОП",
        "退订",
    ),
]
NOT_STOP = [
    # Nothing, and answers to something else
    *("", "   ", "...", "🙂", "👍👍", "1", "Yes", "No", "No thanks", "ok", "Thank you so much!", "Ja gerne", "C", "?"),
    # The everyday words
    *("I can't stop by today", "don't stop", "Please don’t stop!", "when does the shift end", "stop at the shop?"),
    *(
        "I'll stop by later",
        "Where is the bus stop?",
        "the next stop is ours",
        "non-stop fun",
        "Your shop is a one-stop shop",
    ),
    *(
        "Is there a stop near you",
        "can you stop by at 5?",
        "stop over for coffee",
        "At the stop text me when you are here",
    ),
    *(
        "does this bus stop at the station",
        "Stop joking around",
        "stop kidding :)",
        "it didn't stop raining",
        "never stop",
    ),
    *("The end.", "in the end I liked it", "weekend", "I read it to the end of the message", "at the end of the month"),
    *("endless love", "unstoppable", "I want to quit smoking", "stop smoking tips please", "can't stop laughing"),
    *(
        "cancel my order",
        "Please cancel my appointment on Friday",
        "I need to cancel the booking",
        "How do I cancel order 77?",
    ),
    *(
        "quit your job lol",
        "My son will end school in May",
        "full stop",
        "Did the rain stop",
        "he told her to stop crying",
    ),
    *(
        "I'll stop messaging you when I get home",
        "the stop sign is down",
        "STOP BY TODAY",
        "STOP JOKING",
        "Stop and go traffic",
    ),
    # Turned round
    *(
        "don't unsubscribe me",
        "Please do not unsubscribe me",
        "I did not unsubscribe",
        "What happens if I unsubscribe?",
    ),
    *("do I lose my points when I unsubscribe", "don't stop texting me", "Why did you stop sending me messages?"),
    *("I don't want you to stop texting me", "i dont want to stop receiving messages", "please do not opt me out"),
    *("if you stop sending offers I'll be sad", "I can't stop reading your messages", "never stop sending me these"),
    *(
        "nicht abmelden",
        "Ich will mich nicht abmelden",
        "Ich bekomme keine Nachrichten mehr",
        "no quiero darme de baja",
    ),
    *("je ne reçois plus de sms", "non voglio disiscrivermi", "nie wypisz mnie"),
    # About messages, but not against them
    *(
        "I didn't get your text",
        "I don't have your message",
        "don't text while driving",
        "I don't want to miss any messages",
    ),
    *("no more rooms?", "there is no message", "I lost my number", "Is there any more info", "send me the list"),
    # Everyday words of other languages that are keywords in a neighbour's
    *(
        "fin",
        "Fin!",
        "fine",
        "Fine, thanks",
        "slut",
        "La temperatura baja",
        "arrêt de bus",
        "Haltestelle",
        "das Ende ist gut",
    ),
    *("para mañana", "Ich muss mein Kind vom Kurs abmelden", "Am Ende der Straße", "vou sair agora", "basta così poco"),
    # What somebody else wrote
    *(
        "Liked “Sale today! Reply STOP to opt out”",
        "Laughed at “Text STOP to unsubscribe”",
        '👍 to "Reply STOP to end now"',
    ),
    *(
        "> Reply STOP to unsubscribe\nWhat is this?",
        "https://shop.example/stop",
        "www.shop.example/unsubscribe is nice",
    ),
    *("mail me at stop@shop.example", "Emphasized “STOP to cancel, HELP for help”"),
]


@pytest.mark.parametrize("text", STOP)
def test_who_wants_out_is_heard(text: str) -> None:
    assert parse_reply(text).kind is ReplyKind.STOP


@pytest.mark.parametrize("text", NOT_STOP)
def test_who_says_something_else_stays(text: str) -> None:
    assert parse_reply(text) == Reply(ReplyKind.NONE)


@pytest.mark.parametrize(
    "text", ["START", "start!", "please START", "Unstop", "SUBSCRIBE", "opt-in", "Anmelden", "ALTA"]
)
def test_who_plainly_asks_to_come_back_is_heard(text: str) -> None:
    assert parse_reply(text).kind is ReplyKind.START


@pytest.mark.parametrize(
    "text", ["YES", "start tomorrow?", "when does it start", "Let's start the party", "don't subscribe"]
)
def test_nobody_comes_back_by_accident(text: str) -> None:
    assert parse_reply(text).kind is ReplyKind.NONE


@pytest.mark.parametrize(
    "text", ["HELP", "Help!", "help me please", "INFO", "Hilfe", "aide svp", "ayuda", "Pomoc", "HJÆLP"]
)
def test_who_needs_help_is_heard(text: str) -> None:
    assert parse_reply(text).kind is ReplyKind.HELP


@pytest.mark.parametrize("text", ["STOP START", "Help! STOP", "stop, don't start again"])
def test_out_wins_over_in_and_help(text: str) -> None:
    assert parse_reply(text).kind is ReplyKind.STOP


@pytest.mark.parametrize("text", ["Weg damit", "weg DAMIT!", "bitte weg damit", "ＷＥＧ　ＤＡＭＩＴ"])
def test_a_brands_own_words_are_heard_as_a_whole_message(text: str) -> None:
    assert parse_reply(text).kind is ReplyKind.NONE
    assert parse_reply(text, ["nein", "Wég-damit!"]) == Reply(ReplyKind.STOP, "weg damit")
    assert parse_reply(f"das Alte muss {text}", ["nein", "weg damit"]).kind is ReplyKind.NONE


def test_a_brands_own_word_wins_over_start_and_may_be_mere_politeness() -> None:
    assert parse_reply("alta", ["Alta"]).kind is ReplyKind.STOP
    assert parse_reply("Nein, danke!", ["NEIN DANKE"]) == Reply(ReplyKind.STOP, "nein danke")
    assert parse_reply("No.", ["no"]).kind is ReplyKind.STOP


@pytest.mark.parametrize("text", ["", "!!!", "🙂", "please", "hello there"])
def test_an_empty_word_of_a_brand_matches_nothing(text: str) -> None:
    assert parse_reply(text, ["", "!!!", "🙂"]).kind is ReplyKind.NONE


def test_what_decided_is_named_and_nothing_else_of_the_text() -> None:
    assert parse_reply("I am Jane Doe, please unsubscribe me") == Reply(ReplyKind.STOP, "unsubscribe")
    assert parse_reply("Opt-Out!") == Reply(ReplyKind.STOP, "opt out")
    assert parse_reply("Ünsubscribe") == Reply(ReplyKind.STOP, "unsubscribe")
    assert parse_reply("hello Jane") == Reply(ReplyKind.NONE, "")


def test_only_the_beginning_of_a_long_text_is_read() -> None:
    assert parse_reply("stop. " + "word " * 1_000_000).kind is ReplyKind.STOP
    assert parse_reply("word " * (MAX_LENGTH // 5) + "\nstop").kind is ReplyKind.NONE


@pytest.mark.parametrize(
    "text",
    ["stop " * 400, "stop all " * 400, "dont want " * 400, "“" * MAX_LENGTH, "»a" * 800, '"' * MAX_LENGTH, ">\n" * 800,
     "a" * MAX_LENGTH, "\u0301" * MAX_LENGTH, "ﷺ" * MAX_LENGTH, "if you dont " * 400, "@." * 800, "\ud800" * 10],
)  # fmt: skip
def test_a_hostile_text_gets_an_answer(text: str) -> None:
    assert parse_reply(text).kind in ReplyKind


@given(st.text(max_size=400))
def test_any_text_gets_an_answer_that_quotes_only_the_lexicon(text: str) -> None:
    reply = parse_reply(text)
    assert reply.keyword == "" or reply.keyword in STOP_KEYS or reply.kind in (ReplyKind.START, ReplyKind.HELP)
    assert (reply.keyword == "") == (reply.kind is ReplyKind.NONE)


@given(
    st.sampled_from(
        [key for key, strength in STOP_KEYS.items() if strength not in (Strength.NEGATED, Strength.VERBAL)]
    ),
    st.sampled_from(["{}", "{}!", "  {}\n", "«{}»", "please {}", "{} please", "{}, thanks.", "🙂 {} 🙂", "{}\u200d"]),
    st.sampled_from([str.lower, str.upper, str.title]),
)
def test_every_keyword_alone_is_enough_however_it_is_dressed(key: str, frame: str, case: object) -> None:
    assert callable(case)
    assert parse_reply(frame.format(case(key))).kind is ReplyKind.STOP


def test_every_entry_of_the_lexicon_can_be_reached() -> None:
    for key, strength in STOP_KEYS.items():
        tail = " messages" if strength is Strength.NEGATED else ""
        assert parse_reply(key + tail).kind is ReplyKind.STOP, key


def test_there_are_enough_labelled_replies() -> None:
    assert len(set(STOP)) >= 150
    assert len(set(NOT_STOP)) >= 90
    assert not set(STOP) & set(NOT_STOP)

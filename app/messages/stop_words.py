"""What a person wants who answers an SMS: out, in again, or help. The words themselves are in `reply_lexicon`."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import chain

from app.messages.reply_lexicon import (
    BREAKS,
    CONTACTS,
    ENDINGS,
    FILLERS,
    FRESH,
    HELP_KEYS,
    NOT_AFTER,
    NOT_TURNING,
    OBJECTS,
    PLACES,
    PREFIXES,
    REST,
    START_KEYS,
    STOP_KEYS,
    TURNING,
    Strength,
)

MAX_LENGTH = 1600
"""Characters of a reply that are read: ten segments. A request to stop stands in front of that."""
_SHORT_REST = 12
"""Words after a keyword that are looked at."""
_NEAR = 4
"""How many words before a keyword may turn it round: "don't want you to stop" does; "never asked for this stop" not."""

_APOSTROPHES = str.maketrans("", "", "'’‘ʼ`´")
# Letters that carry no combining mark and are still written without it on many keyboards.
_PLAIN = str.maketrans({"ł": "l", "ø": "o", "đ": "d", "ı": "i", "æ": "ae", "œ": "oe"})
_STOP_SIGN = "\N{OCTAGONAL SIGN}"
_QUOTED_LINE = re.compile(r"^[ \t]*>.*$", re.MULTILINE)
_QUOTE = re.compile(r'“[^“”„]*[”“]|„[^„“”]*[“”]|«[^«»]*»|»[^«»]*«|"[^"]*"')
_ADDRESS = re.compile(r"\S+")
_CLAUSE_END = re.compile(r"[.!?;,:\n\r\v\f\x85\u2028\u2029()\[\]\"“”„«»|。、]+")
_WORD = re.compile(r"[^\W_]+")
_STRETCHED = re.compile(r"([^\W\d_])\1{2,}")
_LONGEST_KEY = max(len(key.split()) for key in STOP_KEYS)


class ReplyKind(StrEnum):
    STOP = "stop"
    START = "start"
    HELP = "help"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Reply:
    kind: ReplyKind
    keyword: str = ""
    """The entry of the lexicon, or of the brand's own words, that decided; never anything else a person wrote."""


def parse_reply(text: str, extra_stop: Iterable[str] = ()) -> Reply:
    """What a reply asks for.

    Missing a wish to stop is worse than seeing one that is not there; but seeing one that is not there loses a customer
    in silence. So, in words (STOP is any keyword; case, accents, width, punctuation, emoji, and what somebody else
    wrote, in quotation marks of more than three words, do not matter):

    1. A message that is nothing but a keyword, politeness aside, is that keyword: "Stop.", "please cancel", "HELP".
       Asking to start or for help is only seen here: writing to somebody again needs a plain word, and "yes" may
       answer anything.
    2. A clause of STOP with words of asking before and small words after wants out: "I told you to stop", "stop sending
       me this". After "please" a request begins anew: "wrong number please stop". Not for everyday words such as END.
    3. A clause where STOP leads to what is to stop, being written to, wants out: "my wife wants you to stop texting
       her", "cancel my subscription"; but not "cancel my order" or "stop by tomorrow".
    4. A clause with a word that has no other meaning wants out: UNSUBSCRIBE, "remove me".
    5. A clause that forbids writing wants out: "do not text me", "I don't want any more of your messages".
    6. In 3 to 5, a negation or a condition up to four words before turns it round: "don't stop texting me", "what if I
       unsubscribe".
    7. STOP in capitals and up to two words more wants out: the name of a list or a brand often follows.

    47 CFR 64.1200(a)(10) asks for "any reasonable means": somebody should still read what comes out as `NONE`.

    Args:
        text: cut after `MAX_LENGTH` characters; time is linear in them.
        extra_stop: a brand's own words or phrases, for rule 1. One without a letter or digit matches nothing.
    """
    own = _own_words(text[:MAX_LENGTH])
    clauses = [words for part in _CLAUSE_END.split(_fold(own)) if (words := _WORD.findall(part))]
    said = [word for words in clauses for word in words]
    message = _without_fillers(said)
    if len(message) > 1 and all(len(word) == 1 for word in message):  # S.T.O.P
        message = ["".join(message)]
        clauses = [message]
    whole = " ".join(dict.fromkeys(message))
    if whole in STOP_KEYS and STOP_KEYS[whole] in (Strength.CLEAR, Strength.STRONG, Strength.WEAK):
        return Reply(ReplyKind.STOP, whole)
    for extra in extra_stop:
        words = _WORD.findall(_fold(extra))
        if words and words in (said, message):  # as it is, because a brand's "no thanks" is all politeness
            return Reply(ReplyKind.STOP, " ".join(words))
    for keyword in chain.from_iterable(map(_requests, clauses)):
        return Reply(ReplyKind.STOP, keyword)
    if _is_keyword_with_name(own, message):
        return Reply(ReplyKind.STOP, message[0])
    if whole in START_KEYS:
        return Reply(ReplyKind.START, whole)
    if whole in HELP_KEYS or whole in {f"{key} me" for key in HELP_KEYS}:
        return Reply(ReplyKind.HELP, whole.removesuffix(" me"))
    return Reply(ReplyKind.NONE)


def _own_words(text: str) -> str:
    """Without what somebody else wrote: quoted lines, quotations, addresses of the web and of people."""
    text = _QUOTED_LINE.sub("\n", text)
    if not _QUOTE.fullmatch(text.strip()):
        text = _QUOTE.sub(lambda found: found[0] if len(_WORD.findall(found[0])) <= 3 else "\n", text)
    return _ADDRESS.sub(lambda found: "\n" if _is_address(found[0]) else found[0], text)


def _is_address(piece: str) -> bool:
    _, at, host = piece.partition("@")
    return "://" in piece or piece[:4].lower() == "www." or bool(at and "." in host.strip("."))


def _fold(text: str) -> str:
    """Lower case, compatible forms made one, without accents, invisible characters and apostrophes."""
    text = text.replace(_STOP_SIGN, " stop ").translate(_APOSTROPHES)
    # Cut again: one character may stand for eighteen.
    text = unicodedata.normalize("NFKC", text)[:MAX_LENGTH]
    text = unicodedata.normalize("NFD", text.casefold())
    text = "".join(char for char in text if unicodedata.category(char) not in ("Mn", "Cf"))
    return _STRETCHED.sub(r"\1", text.translate(_APOSTROPHES).translate(_PLAIN))


def _without_fillers(words: list[str]) -> list[str]:
    start, end = 0, len(words)
    while start < end and words[start] in FILLERS:
        start += 1
    while start < end and words[end - 1] in FILLERS:
        end -= 1
    return words[start:end]


def _requests(words: Sequence[str]) -> Iterator[str]:
    """The keywords of a clause that are requests to stop."""
    plain, turned_at, previous = True, -_NEAR - 1, ""
    for at, word in enumerate(words):
        for length in range(min(_LONGEST_KEY, len(words) - at), 0, -1):
            key = " ".join(words[at : at + length])
            if key not in STOP_KEYS:
                continue
            # One word more than is looked at shows that the rest is not short.
            rest = words[at + length : at + length + _SHORT_REST + 1]
            turned = at - turned_at <= _NEAR
            if _is_request(STOP_KEYS[key], rest, plain=plain, turned=turned, previous=previous):
                yield key
        plain = word in FRESH or (plain and word in PREFIXES)
        pair = f"{previous} {word}"
        if pair in TURNING or (word in TURNING and pair not in NOT_TURNING):
            turned_at = at
        previous = word


def _is_request(strength: Strength, rest: Sequence[str], *, plain: bool, turned: bool, previous: str) -> bool:
    match strength:
        case Strength.CLEAR:
            return not turned
        case Strength.STRONG:
            if previous in NOT_AFTER:
                return False
            return (plain and _only_small_words(rest)) or (not turned and _names_contact(rest))
        case Strength.WEAK:
            return plain and _names_contact(rest)
        case Strength.NEGATED:
            return not turned and _names_contact(rest)
        case Strength.VERBAL:
            return not turned and (not rest or rest[0] in OBJECTS)


def _only_small_words(rest: Sequence[str]) -> bool:
    for word in rest[:_SHORT_REST]:
        if word in BREAKS:
            return True
        if word not in REST and word not in ENDINGS and not word.isdigit():
            return False
    return len(rest) <= _SHORT_REST


def _names_contact(rest: Sequence[str]) -> bool:
    """Whether small words, if any, lead to what is to stop."""
    for word in rest[:_SHORT_REST]:
        if word in CONTACTS:
            return True
        if word not in REST and not word.isdigit():
            return False
    return False


def _is_keyword_with_name(own: str, message: Sequence[str]) -> bool:
    if not 1 < len(message) <= 3 or message[0] not in ("stop", "stopp"):
        return False
    first = _WORD.search(own)
    return first is not None and first[0].isupper() and message[1] not in PLACES and not message[1].endswith("ing")

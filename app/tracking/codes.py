"""Numbers as codes: a keyed permutation over 48 bits, then Hashids. The place for both and for message ids.

The permutation makes codes neither sequential nor guessable; Hashids writes them with an alphabet
without `0 O 1 l I`. Hashids keeps four letters of that alphabet as guards, which leaves 40 digits, and
40**9 is a little less than 2**48: numbers therefore stay below 40**9 and the permutation walks its cycle
until it is inside again ("cycle walking", Black & Rogaway 2002), so a code has at most ten characters.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Sequence

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from hashids import Hashids

from app.models.block import NUMBER_BITS

ALPHABET = "abcdefghijkmnopqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789"
NUMBER_LIMIT = 40**9
"""Numbers are below this, so that every code has at most `MAX_LENGTH` characters."""
MAX_LENGTH = 10
TOKEN_NUMBERS = 1 << 62
"""Messages of sealed tokens have numbers from here on, 62 bits that nobody gives out or can guess."""
_MESSAGE_PREFIX = "msg_"
_TOKEN_MESSAGE = re.compile(r"msg_t([0-9a-f]{16})")


class Permutation:
    """A keyed bijection over [0, NUMBER_LIMIT): a balanced Feistel network whose round function is AES.

    Eight rounds over two 24-bit halves: NIST SP 800-38G asks for eight with a domain this size (FF3-1).
    """

    ROUNDS = 8

    def __init__(self, key: bytes) -> None:
        # ECB on single blocks is AES itself, which is what a Feistel round function needs.
        self._aes = Cipher(algorithms.AES(key), modes.ECB()).encryptor()  # noqa: S305
        # A round's block is the half in the low eight bytes and the round's index above them.
        self._rounds_forward = tuple((index, index << 64) for index in range(self.ROUNDS))
        self._rounds_back = tuple(reversed(self._rounds_forward))

    def forward(self, number: int) -> int:
        while True:
            left, right = self._feistel(number >> 24, number & 0xFFFFFF, self._rounds_forward)
            number = left << 24 | right
            if number < NUMBER_LIMIT:
                return number

    def back(self, number: int) -> int:
        while True:
            right, left = self._feistel(number & 0xFFFFFF, number >> 24, self._rounds_back)
            number = left << 24 | right
            if number < NUMBER_LIMIT:
                return number

    def forward_many(self, numbers: Sequence[int]) -> list[int]:
        """`forward` of each, several times faster: one AES call per round instead of one per number and round."""
        lefts, rights = self._feistel_many(
            [number >> 24 for number in numbers], [number & 0xFFFFFF for number in numbers], self._rounds_forward
        )
        mixed = (left << 24 | right for left, right in zip(lefts, rights, strict=True))
        return [number if number < NUMBER_LIMIT else self.forward(number) for number in mixed]

    def back_many(self, numbers: Sequence[int]) -> list[int]:
        rights, lefts = self._feistel_many(
            [number & 0xFFFFFF for number in numbers], [number >> 24 for number in numbers], self._rounds_back
        )
        mixed = (left << 24 | right for left, right in zip(lefts, rights, strict=True))
        return [number if number < NUMBER_LIMIT else self.back(number) for number in mixed]

    def _feistel(self, left: int, right: int, rounds: tuple[tuple[int, int], ...]) -> tuple[int, int]:
        update = self._aes.update
        for _, tag in rounds:
            mixed = int.from_bytes(update((right | tag).to_bytes(16, "little")), "little")
            left, right = right, left ^ (mixed & 0xFFFFFF)
        return left, right

    def _feistel_many(
        self, lefts: list[int], rights: list[int], rounds: tuple[tuple[int, int], ...]
    ) -> tuple[list[int], list[int]]:
        words = struct.Struct(f"<{2 * len(lefts)}Q")
        blocks = [0] * (2 * len(lefts))
        for index, _ in rounds:
            blocks[::2] = rights
            blocks[1::2] = [index] * len(lefts)
            mixed = words.unpack(self._aes.update(words.pack(*blocks)))[::2]
            lefts, rights = rights, [left ^ (word & 0xFFFFFF) for left, word in zip(lefts, mixed, strict=True)]
        return lefts, rights


class ShortCode:
    """Hashids for exactly one number, from tables: twenty times faster than the library, equal to it in every code.

    Hashids shuffles its alphabet by the first character of a code, so there are only as many alphabets as
    letters; the library makes them here once and the tests hold both against each other.
    """

    def __init__(self, salt: str) -> None:
        library = Hashids(salt=salt, alphabet=ALPHABET)
        # What the library keeps after it has taken separators and guards out; its last release is of 2020.
        letters: str = library._alphabet
        self._letters = letters
        self._base = len(letters)
        self._shuffled = {first: _shuffle(letters, (first + salt + letters)[: len(letters)]) for first in letters}
        # Two digits at a time: most of what encoding costs is dividing.
        self._pairs = {
            first: [high + low for high in alphabet for low in alphabet] for first, alphabet in self._shuffled.items()
        }
        self._values = {
            first: {char: index for index, char in enumerate(alphabet)} for first, alphabet in self._shuffled.items()
        }

    def encode(self, number: int) -> str:
        first = self._letters[number % 100 % self._base]
        base, pairs = self._base, self._pairs[first]
        square = base * base
        code = ""
        while number >= square:
            number, two = divmod(number, square)
            code = pairs[two] + code
        # The highest digit is never zero, unless the number is.
        return first + (pairs[number] if number >= base else self._shuffled[first][number]) + code

    def decode(self, code: str) -> int | None:
        """The number, or None unless `code` is exactly what `encode` makes of it."""
        if not 2 <= len(code) <= MAX_LENGTH:
            return None
        values = self._values.get(code[0])
        if values is None:
            return None
        number, base = 0, self._base
        try:
            for char in code[1:]:
                number = number * base + values[char]
        except KeyError:
            return None
        # The only other spellings of a number: a wrong first letter, or leading zero digits.
        if self._letters[number % 100 % base] != code[0] or (len(code) > 2 and values[code[1]] == 0):
            return None
        return number


class Codes:
    """Codes in links and the public ids of messages, both from the deployment's code key.

    Args:
        code_key: 32 bytes that never change.
    """

    def __init__(self, code_key: bytes) -> None:
        derived = HKDF(hashes.SHA256(), 80, None, b"telltale codes 1").derive(code_key)
        self._links = Permutation(derived[:16])
        self._messages = Permutation(derived[16:32])
        self._link_text = ShortCode(derived[32:56].hex())
        self._message_text = ShortCode(derived[56:].hex())

    def encode(self, number: int) -> str:
        """The code of a number, at most ten characters.

        Raises:
            ValueError: when the number is outside [0, NUMBER_LIMIT).
        """
        return self._link_text.encode(self._links.forward(_checked(number)))

    def decode(self, code: str) -> int | None:
        """The number of a code; None when no number has exactly this code."""
        hidden = self._link_text.decode(code)
        return None if hidden is None else self._links.back(hidden)

    def encode_many(self, numbers: Sequence[int]) -> list[str]:
        write = self._link_text.encode
        return [write(hidden) for hidden in self._links.forward_many([_checked(number) for number in numbers])]

    def decode_many(self, codes: Sequence[str]) -> list[int | None]:
        hidden = [self._link_text.decode(code) for code in codes]
        found = iter(self._links.back_many([number for number in hidden if number is not None]))
        return [None if number is None else next(found) for number in hidden]

    def message_id(self, number: int) -> str:
        """The public id of the message whose own number this is. Unrelated to the codes of its links."""
        if number >= TOKEN_NUMBERS:
            return f"{_MESSAGE_PREFIX}t{number - TOKEN_NUMBERS:016x}"
        return _MESSAGE_PREFIX + self._message_text.encode(self._messages.forward(_checked(number)))

    def message_ids(self, numbers: Sequence[int]) -> list[str]:
        """`message_id` of each."""
        write = self._message_text.encode
        coded = [_checked(number) for number in numbers if number < TOKEN_NUMBERS]
        texts = iter([_MESSAGE_PREFIX + write(hidden) for hidden in self._messages.forward_many(coded)])
        return [next(texts) if number < TOKEN_NUMBERS else self.message_id(number) for number in numbers]

    def message_number(self, message_id: str) -> int | None:
        if not message_id.startswith(_MESSAGE_PREFIX):
            return None
        if found := _TOKEN_MESSAGE.fullmatch(message_id):
            rest = int(found[1], 16)
            return TOKEN_NUMBERS + rest if rest < TOKEN_NUMBERS else None
        hidden = self._message_text.decode(message_id[len(_MESSAGE_PREFIX) :])
        return None if hidden is None else self._messages.back(hidden)


def _checked(number: int) -> int:
    if not 0 <= number < NUMBER_LIMIT:
        raise ValueError(f"a number must be in [0, 40**9), which fits {NUMBER_BITS} bits")
    return number


def _shuffle(text: str, salt: str) -> str:
    """Hashids' "consistent shuffle" (the algorithm is public and the same in every language)."""
    letters = list(text)
    index = total = 0
    for position in range(len(letters) - 1, 0, -1):
        index %= len(salt)
        value = ord(salt[index])
        total += value
        other = (value + index + total) % position
        letters[position], letters[other] = letters[other], letters[position]
        index += 1
    return "".join(letters)

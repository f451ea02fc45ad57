"""What `benchmarks.links` registers: newsletters of a given size and number of links, and batches of recipients."""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Iterator
from dataclasses import dataclass

_WORDS = (
    "harbour",
    "lantern",
    "meadow",
    "copper",
    "thistle",
    "marble",
    "falcon",
    "willow",
    "ember",
    "cobble",
    "saffron",
)
_CELL = (
    '<td class="cell" align="left" valign="top" width="50%" style="border-collapse:collapse;padding:12px 16px 0 16px;'
    'font-family:Helvetica,Arial,sans-serif;font-size:15px;line-height:22px;color:#333333;mso-line-height-rule:exactly">'
)
_ROW = (
    '<!--[if mso | IE]><table role="presentation" width="600"><tr><td><![endif]-->\n'
    '<table role="presentation" width="100%" border="0" cellpadding="0" cellspacing="0" bgcolor="#ffffff"><tbody><tr>\n'
)
_ROW_END = "</tr></tbody></table>\n<!--[if mso | IE]></td></tr></table><![endif]-->\n"


def newsletter(size: int, links: int) -> str:
    """An HTML mail of about `size` bytes in tables with inline styles, its links spread evenly; always the same."""
    chance = random.Random(size)
    head = (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>The week</title>\n<style>'
        "a{color:#0a58ca}@media(max-width:480px){.cell{display:block!important;width:100%!important}}</style></head>\n"
        '<body style="margin:0;padding:0;background-color:#f4f4f4">\n'
    )
    rows = []
    room = (size - len(head)) // links
    for place in range(links):
        url = (
            f"https://shop.example/{chance.choice(_WORDS)}/{place}?utm_source=mail&amp;utm_medium=email&amp;pos={place}"
        )
        row = f'{_ROW}{_CELL}<a href="{url}" target="_blank" style="color:#0a58ca">{_text(chance, 4)}</a></td>\n'
        while len(row) + len(_ROW_END) + 330 < room:
            row += f'{_CELL}{_text(chance, 12)} <img src="https://img.example/{place}.png" width="20" alt=""></td>\n'
        fill = room - len(row) - len(_ROW_END) - 9
        rows.append(f"{row}<!-- {_text(chance, 60)[: max(0, fill)]} -->\n{_ROW_END}")
    return f'{head}{"".join(rows)}<p><a href="{{{{unsubscribe_url}}}}">Unsubscribe</a></p>\n</body></html>\n'


def _text(chance: random.Random, words: int) -> str:
    return " ".join(chance.choices(_WORDS, k=words)).capitalize()


@dataclass(frozen=True, slots=True)
class Shape:
    """A kind of batch; one row of the table."""

    name: str
    size: int
    """Bytes of html."""
    links: int
    answer: str
    """`links` or `content`: what the call gives back."""
    batches: int
    """In a round."""
    recipients: int = 1000

    def bodies(self, serial: Iterator[int]) -> list[bytes]:
        """The requests of one round; each recipient is somebody new."""
        html = newsletter(self.size, self.links)
        people = itertools.islice(serial, self.batches * self.recipients)
        return [self._body(html, list(itertools.islice(people, self.recipients))) for _ in range(self.batches)]

    def _body(self, html: str, people: list[int]) -> bytes:
        recipients = [
            {
                "address": f"person{n}@people.example",
                "id": f"c-{n}",
                "name": f"Person {n}",
                "metadata": {"order": f"A-{n}"},
            }
            for n in people
        ]
        request = {
            "channel": "email",
            "campaign_id": "spring",
            "list_id": "news",
            "content": {"html": html},
            "return": self.answer,
            "recipients": recipients,
        }
        return json.dumps(request).encode()

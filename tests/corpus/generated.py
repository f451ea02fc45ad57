"""Newsletters made of many like parts: a digest of a hundred links, and an issue of 200 KB. Always the same bytes."""

from __future__ import annotations

import random

_WORDS = ("harbour", "lantern", "meadow", "copper", "thistle", "marble", "falcon", "willow", "ember", "cobble")


def hundred_links() -> str:
    """A digest: ten sections of ten stories, some linked twice, every fifth with a picture."""
    chance = random.Random(100)
    sections = []
    for section in range(10):
        stories = []
        for story in range(10):
            place = section * 10 + story
            url = f"https://digest.{chance.choice(_WORDS)}.example/{section}/{story}?id={place}&amp;pos={story}&amp;s={section}"
            picture = f'<img src="https://img.digest.example/{place}.png" width="24" height="24" alt="">' * (
                story % 5 == 0
            )
            stories.append(
                f'<li>{picture}<a href="{url}">{_title(chance)}</a><br><small>{_title(chance)}.</small></li>'
            )
        sections.append(f"<h2>{_WORDS[section].title()}</h2>\n<ul>\n" + "\n".join(stories) + "\n</ul>")
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>One hundred stories</title>\n'
        "<style>body{font:14px/1.4 sans-serif;margin:0 16px}ul{padding-left:18px}small{color:#666}</style></head>\n"
        f"<body>\n<h1>One hundred stories</h1>\n{chr(10).join(sections)}\n"
        '<p><a href="{{unsubscribe_url}}">No more digests</a></p>\n</body></html>\n'
    )


def huge() -> str:
    """About 200 KB: the inline styles that an editor writes for each cell of 60 products, one cell in four a link."""
    chance = random.Random(200)
    style = ";".join(
        f"{side}-{what}"
        for side in ("border-top", "border-right", "border-bottom", "border-left")
        for what in ("width:0px", "style:solid", "color:transparent")
    )
    rows = []
    for place in range(60):
        url = f"https://shop.bazaar.example/p/{place}?v={chance.randrange(10**9)}&amp;list=huge&amp;pos={place}"
        cells = "".join(
            f'<td width="25%" style="{style};padding:4px;vertical-align:top;font:11px/15px Arial,sans-serif;'
            f'mso-line-height-rule:exactly">{text}</td>'
            for text in (
                f'<a href="{url}" style="color:#0a58ca">{_title(chance)}</a>',
                *(_title(chance) for _ in range(3)),
            )
        )
        comment = f"<!--[if mso]><table {'role=presentation ' * 30}><tr><td><![endif]-->"
        close = "<!--[if mso]></td></tr></table><![endif]-->"
        rows.append(
            f'{comment}<table class="row" width="100%" border="0" cellpadding="0" cellspacing="0" role="presentation" '
            f'style="{style};max-width:640px;margin:0 auto"><tbody><tr>{cells}</tr></tbody></table>{close}'
        )
    return (
        '<!DOCTYPE html><html><head><meta charset="utf-8"><style>'
        + "".join(f".u{n}{{padding:{n % 40}px!important}}" for n in range(900))
        + '</style></head><body style="margin:0">\n'
        + "\n".join(rows)
        + "\n</body></html>"
    )


def _title(chance: random.Random) -> str:
    return " ".join(chance.sample(_WORDS, 4)).capitalize()

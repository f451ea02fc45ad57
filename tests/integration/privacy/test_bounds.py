"""A request that is too large is refused before anything is done for each of its recipients and links."""

from __future__ import annotations

import pytest

from app.errors import TooLarge
from app.messages import planning
from app.messages.draft import Addressee, Draft
from app.models.block import Channel
from app.models.message import Recipient
from app.tracking.personal import without_values
from tests.integration.conftest import World

SHOP = "https://shop.alder.example"


def _plan(world: World, html: str, *, count: int, **values: str) -> planning.Plan:
    brand = world.services.brands.by_id("alder")
    assert brand is not None
    people = [Addressee(Recipient(f"p{place}@people.example"), values=values) for place in range(count)]
    return planning.plan(brand, Draft(channel=Channel.EMAIL, html=html, addressees=people), with_content=False)


# The value is refused by every link, so an answer about sizes comes from before the first look at it.
@pytest.mark.parametrize(
    ("links", "places", "code"), [(500, 1, "batch_too_large"), (90, 1500, "response_too_large")], ids=["many", "long"]
)
def test_sizes_come_before_values(world: World, links: int, places: int, code: str) -> None:
    html = "".join(f'<a href="{SHOP}/{link}/{"{{a}}" * places}">x</a>' for link in range(links))
    with pytest.raises(TooLarge) as refused:
        _plan(world, html, count=1000, a="..")
    assert refused.value.code == code


def test_the_same_value_in_many_links_comes_out_the_same(world: World) -> None:
    html = "".join(f'<a href="{SHOP}/{link}?a={{{{a}}}}">x</a>' for link in range(95))
    assert len(_plan(world, html, count=1000, a="ü" * 1000).links) == 95


def test_what_is_left_of_a_link_without_its_values_can_be_followed() -> None:
    assert without_values("https://shop.example/a?b=1 #for-{{a}}") == "https://shop.example/a?b=1"
    assert without_values("https://shop.example/a b/{{a}}") == "https://shop.example/a b/"

"""The value that a link with the person's address moves into takes no name from the brand's own values."""

from __future__ import annotations

from app.messages import planning
from app.messages.draft import Addressee, Draft
from app.models.block import Channel
from app.models.message import Recipient
from app.tracking.personal import fill
from tests.integration.conftest import World

SHOP = "https://shop.alder.example"


def test_a_value_with_the_name_of_ours_still_fills_its_own_link(world: World) -> None:
    brand = world.services.brands.by_id("alder")
    assert brand is not None
    own = {"_link_4": "mine", "_link_4_0": "too"}
    html = f'<a href="{SHOP}/?e=ann@people.example">a</a><a href="{SHOP}/b?c={{{{_link_4}}}}&d={{{{_link_4_0}}}}">b</a>'
    people = [Addressee(Recipient("ann@people.example"), values=own)]
    planned = planning.plan(brand, Draft(channel=Channel.EMAIL, html=html, addressees=people), with_content=False)
    stored = {**own, **planned.values}
    assert [fill(link.destination, stored) for link in planned.links] == [
        f"{SHOP}/?e=ann@people.example",
        f"{SHOP}/b?c=mine&d=too",
    ]

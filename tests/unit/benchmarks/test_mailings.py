"""The newsletters that `benchmarks.links` measures are what its table says."""

from __future__ import annotations

import itertools
import json
import re

import pytest

from benchmarks.mailings import Shape, newsletter


@pytest.mark.parametrize(("size", "links"), [(10_000, 8), (60_000, 40)])
def test_a_newsletter_has_its_size_and_its_links(size: int, links: int) -> None:
    html = newsletter(size, links)
    assert abs(len(html.encode()) - size) < size / 50
    assert len(set(re.findall(r'<a href="(https://[^"]+)"', html))) == links
    assert html == newsletter(size, links)


def test_every_recipient_of_every_batch_is_somebody_new() -> None:
    serial = itertools.count()
    shape = Shape("x", 10_000, 8, "links", batches=3, recipients=10)
    bodies = [json.loads(body) for _ in range(2) for body in shape.bodies(serial)]
    addresses = [recipient["address"] for body in bodies for recipient in body["recipients"]]
    assert len(bodies) == 6
    assert len(set(addresses)) == len(addresses) == 60

"""Templates, the link table and what they refuse."""

from __future__ import annotations

import pytest

from app.errors import InvalidRequest
from app.models.block import Link
from app.tracking.link_table import LinkTable
from app.tracking.template import Splice, Template, assemble


def test_render_fills_slots_from_a_sequence_or_a_mapping() -> None:
    template = Template(("a", 1, "", 0, "b"))
    assert template.render(["0", "1"]) == template.render({0: "0", 1: "1"}) == "a10b"
    assert template.slots == {0, 1}


def test_missing_url_is_an_error_not_a_hole() -> None:
    with pytest.raises(LookupError):
        Template(("a", 5, "b")).render(["0"])
    with pytest.raises(LookupError):
        Template(("a", 5, "b")).render({4: "x"})


@pytest.mark.parametrize("parts", [(), ("a", 1), (1, "a"), ("a", "b", "c"), ("a", 1, 2)])
def test_parts_that_do_not_alternate_are_refused(parts: tuple[str | int, ...]) -> None:
    with pytest.raises(ValueError, match="alternate"):
        Template(parts)


def test_assemble_keeps_everything_between_splices() -> None:
    splices = [Splice(3, 3, (1,)), Splice(0, 0, ("<", 0, ">")), Splice(0, 0, (2,)), Splice(1, 2, ())]
    assert assemble("abc", splices, escape=False).parts == ("<", 0, ">", 2, "ac", 1, "")


def test_only_html_is_escaped() -> None:
    url = "https://t.example/?a&b\"'<>"
    assert Template(("", 0, ""), escape=False).render([url]) == url
    assert Template(("", 0, ""), escape=True).render([url]) == "https://t.example/?a&amp;b&quot;&#x27;&lt;&gt;"


def test_link_table_numbers_links_from_the_first_link_slot() -> None:
    table = LinkTable()
    assert [table.add("https://x.example", "a"), table.add("https://x.example", " b\n c ")] == [4, 5]
    assert [table.shared("https://x.example"), table.shared("https://y.example")] == [4, 6]
    assert table.links == (
        Link("https://x.example", "a"),
        Link("https://x.example", "b c"),
        Link("https://y.example", ""),
    )


def test_link_table_counts_shared_links_once_against_its_limit() -> None:
    table = LinkTable(max_links=1)
    assert table.shared("https://x.example") == table.shared("https://x.example") == 4
    with pytest.raises(InvalidRequest) as error:
        table.shared("https://y.example")
    assert (error.value.code, error.value.status) == ("too_many_links", 422)

"""Whole MIME messages in `POST /v1/messages`: rewritten where they may be, and byte for byte the same elsewhere."""

from __future__ import annotations

import base64
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

import pytest

from app.services import Services
from tests.integration.api.api_bodies import Call, assert_problem, email, sms
from tests.integration.api.visitor import Visitor, block_of

URL = "https://www.alder.example/a?x=1&y=%2F"
HTML = f'<html><body><p>Grüße</p><a href="{URL.replace("&", "&amp;")}">A</a> {{{{unsubscribe_url}}}}</body></html>'
TEXT = f"Grüße, see {URL}.\n{{{{unsubscribe_url}}}}\n"
ATTACHED = f'<a href="{URL}">do not touch</a>\r\n'


def message(**headers: str) -> EmailMessage:
    made = EmailMessage(policy=policy.SMTP)
    made["From"], made["To"], made["Subject"] = "shop@alder.example", "ann@mail.example", "Grüße"
    for name, value in headers.items():
        made[name.replace("_", "-")] = value
    made.set_content(TEXT)
    made.add_alternative(HTML, subtype="html")
    made.add_attachment(ATTACHED.encode(), maintype="text", subtype="html", filename="notes.html")
    return made


def body_of(raw: bytes, **change: Any) -> dict[str, Any]:
    return email(content={"mime": base64.b64encode(raw).decode()}, **change)


def register(call: Call, raw: bytes, **change: Any) -> tuple[dict[str, Any], bytes, list[str]]:
    """The first message of the answer, its MIME, and the codes of all warnings."""
    response = call("POST", "/v1/messages", body_of(raw, **change))
    assert response.status_code == 201, response.get_data(as_text=True)
    answer = response.get_json()
    first = answer["messages"][0]
    return first, base64.b64decode(first["mime"]), [warning["code"] for warning in answer["warnings"]]


def part(raw: bytes, kind: str) -> str:
    found = message_from_bytes(raw, policy=policy.SMTP).get_body((kind,))
    assert found is not None
    return str(found.get_content())


def test_html_and_text_are_rewritten_and_share_the_link(call: Call, visitor: Visitor) -> None:
    first, raw, warnings = register(call, message().as_bytes())
    (link,) = first["links"]
    assert (link["id"], link["url"]) == ("lnk_1", URL)
    html, text = part(raw, "html"), part(raw, "plain")
    assert f'<a href="{link["tracked_url"]}">A</a> {first["unsubscribe_url"]}' in html
    assert html.count("<img") == html.count(first["pixel_url"]) == 1
    assert text.splitlines() == [f"Grüße, see {link['tracked_url']}.", first["unsubscribe_url"]]
    assert visitor.location(link["tracked_url"]) == URL
    assert visitor.get(first["pixel_url"]).content_type == "image/gif"
    assert warnings == ["attachment"]
    assert not {"html", "text"} & first.keys()


def test_the_attachment_and_all_other_headers_stay_as_they_were(call: Call) -> None:
    given = message(Message_ID="<1@alder.example>", X_Odd="a  b").as_bytes()
    _, raw, _ = register(call, given)
    attached = given[given.index(b"Content-Type: text/html", given.index(b"</html>")) :]
    assert attached in raw
    ours = [line for line in raw.split(b"\r\n\r\n")[0].split(b"\r\n") if not line.startswith(b"List-Unsubscribe")]
    assert ours == given.split(b"\r\n\r\n")[0].split(b"\r\n")
    assert max(len(line) for line in raw.split(b"\r\n")) <= 998


def test_the_unsubscribe_headers_stand_there_exactly_once(call: Call) -> None:
    own = message(List_Unsubscribe="<https://old.example/>", List_Unsubscribe_Post="List-Unsubscribe=One-Click")
    for given in (message(), own):
        first, raw, _ = register(call, given.as_bytes())
        read = message_from_bytes(raw, policy=policy.SMTP)
        assert read.get_all("List-Unsubscribe") == [f"<mailto:leave@alder.example>, <{first['unsubscribe_url']}>"]
        assert read.get_all("List-Unsubscribe-Post") == ["List-Unsubscribe=One-Click"]
        # Or a sender that adds what it is given would send them twice.
        assert "headers" not in first


def test_links_mode_leaves_the_message_out_and_gives_the_headers(call: Call) -> None:
    answer = call("POST", "/v1/messages", body_of(message().as_bytes(), **{"return": "links"})).get_json()
    (first,) = answer["messages"]
    assert "mime" not in first
    assert len(first["links"]) == 1
    assert first["pixel_url"]
    assert set(first["headers"]) == {"List-Unsubscribe", "List-Unsubscribe-Post"}


@pytest.mark.parametrize(
    ("pixel", "count"),
    [("none", 0), ("header", 1), ("footer", 1), ("both", 2)],
    ids=["none", "header", "footer", "both"],
)
def test_the_request_chooses_the_pixel(call: Call, pixel: str, count: int) -> None:
    first, raw, _ = register(call, message().as_bytes(), pixel=pixel)
    assert part(raw, "html").count("<img") == count
    assert ("pixel_url" in first) is (count > 0)


def test_a_retry_has_no_second_pixel_and_no_tracked_tracked_links(call: Call) -> None:
    _, raw, _ = register(call, message().as_bytes())
    again, twice, _ = register(call, raw)
    assert part(twice, "html").count("<img") == 1
    assert again["links"] == []
    assert "pixel_url" not in again


def test_of_several_html_parts_the_first_has_the_pixel(call: Call) -> None:
    made = EmailMessage(policy=policy.SMTP)
    made["Subject"] = "two"
    made.make_mixed()
    for name in ("one", "two"):
        inner = EmailMessage(policy=policy.SMTP)
        inner.set_content(f'<body><a href="https://www.alder.example/{name}">x</a></body>', subtype="html")
        made.attach(inner)
    first, raw, _ = register(call, made.as_bytes())
    assert raw.count(b"<img") == 1
    assert raw.index(b"<img") < raw.index(first["links"][1]["tracked_url"].encode())
    assert [link["url"] for link in first["links"]] == [f"https://www.alder.example/{name}" for name in ("one", "two")]


def test_each_recipient_gets_their_own(call: Call, visitor: Visitor) -> None:
    html = '<a href="https://www.alder.example/{{ order }}">x</a>'
    made = EmailMessage(policy=policy.SMTP)
    made.set_content(html, subtype="html")
    recipients = [{"address": f"u{n}@mail.example", "values": {"order": str(n)}} for n in range(3)]
    answer = call("POST", "/v1/messages", body_of(made.as_bytes(), recipients=recipients)).get_json()
    raws = [base64.b64decode(one["mime"]).decode() for one in answer["messages"]]
    for number, (one, raw) in enumerate(zip(answer["messages"], raws, strict=True)):
        (link,) = one["links"]
        assert raw.count(link["tracked_url"]) == 1
        assert visitor.location(link["tracked_url"]) == f"https://www.alder.example/{number}"
    assert len(set(raws)) == 3


def test_the_persons_own_address_is_kept_out_of_the_block_here_too(
    call: Call, visitor: Visitor, services: Services
) -> None:
    url = "https://www.alder.example/?e=Ada@mail.example"
    made = EmailMessage(policy=policy.SMTP)
    made.set_content(f"See {url}\n")
    first, raw, _ = register(call, made.as_bytes())
    assert visitor.location(first["links"][0]["tracked_url"]) == url
    assert "ada" not in repr(block_of(services, first["id"]).links).lower()
    assert part(raw, "plain").strip() == f"See {first['links'][0]['tracked_url']}"


BROKEN = {
    "no boundary": b"Subject: x\r\nContent-Type: multipart/mixed\r\n\r\n--b\r\n\r\nhttps://www.alder.example/\r\n",
    "boundary nowhere": b"Subject: x\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\nhttps://www.alder.example/\r\n",
}


@pytest.mark.parametrize("raw", BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_message_is_sent_as_it_is_and_still_unsubscribes(call: Call, raw: bytes) -> None:
    first, made, warnings = register(call, raw)
    assert warnings == ["mime_broken"]
    assert (first["links"], "pixel_url" in first) == ([], False)
    header = f"List-Unsubscribe: <mailto:leave@alder.example>, <{first['unsubscribe_url']}>\r\n".encode()
    assert header in made
    lines = [line for line in made.splitlines(keepends=True) if not line.startswith(b"List-Unsubscribe")]
    assert b"".join(lines) == raw


def test_where_no_header_can_be_added_the_caller_has_to(call: Call) -> None:
    raw = b"\xff\xfe this is no message at all\r\nneither is this: https://www.alder.example/\r\n"
    first, made, warnings = register(call, raw)
    assert made == raw
    assert warnings == ["header_broken"]
    assert set(first["headers"]) == {"List-Unsubscribe", "List-Unsubscribe-Post"}


def test_signed_messages_stay_as_they_are(call: Call) -> None:
    raw = (
        b"Subject: x\r\nContent-Type: multipart/signed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\n"
        b"https://www.alder.example/\r\n--b\r\nContent-Type: application/pgp-signature\r\n\r\nx\r\n--b--\r\n"
    )
    first, made, warnings = register(call, raw)
    assert warnings == ["signed_or_encrypted"]
    assert first["links"] == []
    assert raw.partition(b"\r\n\r\n")[2] in made


def test_unreadable_html_in_a_message_is_warned_of(call: Call) -> None:
    made = EmailMessage(policy=policy.SMTP)
    made.set_content("<p>x<!-- never ends", subtype="html")
    first, raw, warnings = register(call, made.as_bytes())
    assert warnings == ["unparsable_html"]
    assert "pixel_url" not in first
    assert part(raw, "html").strip() == "<p>x<!-- never ends"


def test_a_forbidden_link_is_refused_and_says_in_which_part(call: Call, services: Services) -> None:
    made = EmailMessage(policy=policy.SMTP)
    made.set_content('<p>\n<a href="https://evil.example/">x</a>', subtype="html")
    problem = assert_problem(call("POST", "/v1/messages", body_of(made.as_bytes())), 422, "invalid_destination")
    (error,) = problem["errors"]
    assert error["pointer"] == "/content/mime"
    assert "html part, line 2, column 4" in error["detail"]
    assert "evil" not in repr(problem)
    assert services.database["blocks"].count_documents({}) == 0


@pytest.mark.parametrize("text", ["!!!!", "aGk", "aGk=\n", "aGk=aGk=", "äaaa", "", "a-_b"])
def test_what_is_no_base64_is_refused(call: Call, text: str) -> None:
    problem = assert_problem(call("POST", "/v1/messages", email(content={"mime": text})), 422, "invalid_request")
    assert problem["errors"][0]["pointer"] == "/content/mime"


def test_a_message_comes_alone_and_never_as_an_sms(call: Call) -> None:
    mime = base64.b64encode(message().as_bytes()).decode()
    for content in ({"mime": mime, "html": "x"}, {"mime": mime, "text": "x"}):
        assert_problem(call("POST", "/v1/messages", email(content=content)), 422, "invalid_request")
    assert_problem(call("POST", "/v1/messages", sms(content={"mime": mime})), 422, "invalid_request")


def test_too_much_to_give_back_is_refused_with_a_hint(call: Call, services: Services) -> None:
    made = message()
    made.add_attachment(b"x" * 1_000_000, maintype="application", subtype="octet-stream", filename="x")
    recipients = [{"address": f"u{n}@mail.example"} for n in range(30)]
    body = body_of(made.as_bytes(), recipients=recipients)
    problem = assert_problem(call("POST", "/v1/messages", body), 413, "response_too_large")
    assert '"return": "links"' in problem["detail"]
    assert services.database["blocks"].count_documents({}) == 0
    body["return"] = "links"
    assert call("POST", "/v1/messages", body).status_code == 201


def test_one_large_message_is_fine(call: Call) -> None:
    made = message()
    made.add_attachment(b"x" * 3_500_000, maintype="application", subtype="octet-stream", filename="x")
    first, raw, _ = register(call, made.as_bytes())
    assert len(raw) > 4_500_000
    assert first["links"][0]["tracked_url"] in part(raw, "html")


def test_the_same_call_again_gives_the_same_message(call: Call) -> None:
    body = body_of(message().as_bytes())
    first = call("POST", "/v1/messages", body, idempotency="k")
    assert call("POST", "/v1/messages", body, idempotency="k").data == first.data


def test_a_brand_that_tracks_nothing_gets_its_bodies_back_unchanged(call: Call) -> None:
    raw = message().as_bytes().replace(b"{{unsubscribe_url}}", b"")
    answer = call("POST", "/v1/messages", body_of(raw), brand="cedar").get_json()
    (first,) = answer["messages"]
    made = base64.b64decode(first["mime"])
    assert made.partition(b"\r\n\r\n")[2] == raw.partition(b"\r\n\r\n")[2]
    assert b"List-Unsubscribe: <http://t.cedar.example/u/" in made
    assert first["links"] == []

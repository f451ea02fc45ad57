"""Sends marked people through every path of a copy: a brand that registers and reports, recipients, strangers.

`test_personal_data` then looks for the marks. What came back is kept apart: what a brand is told about its own people,
and what everybody else is answered, where no mark may be.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlsplit

from tests.end_to_end.client import Answer, Client
from tests.end_to_end.marks import Marks
from tests.end_to_end.receiver import Receiver

CAMPAIGN = "personal-data"


class Story:
    """One run; `play` it once."""

    def __init__(self, client: Client, receiver: Receiver, marks: Marks) -> None:
        self._client = client
        self._receiver = receiver
        self._marks = marks
        self.told_to_brands: list[bytes] = []
        """Answers of the API to its brands: marks belong there."""
        self.told_to_others: list[tuple[str, bytes]] = []
        """What recipients and strangers were answered, and what a mistaken call was: (request, answer)."""
        self.urls: list[str] = []
        """Every URL and header that we made."""
        self.messages: list[tuple[str, dict[str, Any]]] = []
        """(brand, as registered)"""
        self.events = 0
        """How many the copy must have of `CAMPAIGN` in the end."""

    def play(self) -> None:
        self._make_endpoint()
        self._register()
        for brand, message in self.messages:
            self._report_and_read(brand, message)
            self._visit(message)
        self._make_mistakes()
        self._knock()

    # A brand and its people.

    def _make_endpoint(self) -> None:
        marks = self._marks
        url = f"{self._receiver.url('ibis-api')}/{marks.word('hook')}?to={marks.address('hookquery')}"
        made = self._brand("POST", "/v1/endpoints", "ibis", {"url": url, "mode": "full"}).json()
        self._receiver.trust("ibis-api", made["secret"])

    def _register(self) -> None:
        marks = self._marks
        heron = self._message("heron", [self._person("heron1")])
        key = {"Idempotency-Key": f"order-{marks.address('key')}"}
        first = self._brand("POST", "/v1/messages", "heron", heron, key)
        again = self._brand("POST", "/v1/messages", "heron", heron, key)
        assert first.json() == again.json()
        self._keep("heron", first)
        other = self._client.api("POST", "/v1/messages", "heron", {**heron, "metadata": {}}, headers=key)
        self._other("another call with the same key", other, 422)
        batch = self._message("ibis", [self._person(f"ibis{number}") for number in range(3)])
        self._keep("ibis", self._brand("POST", "/v1/messages", "ibis", {**batch, "return": "links"}))
        self._keep(
            "jackdaw", self._brand("POST", "/v1/messages", "jackdaw", self._message("jackdaw", [self._person("jd")]))
        )
        for brand, numbers in (("heron", [1]), ("jackdaw", [2, 3])):
            people = [{**self._person(f"sms{number}"), "address": marks.phone(number)} for number in numbers]
            text = f"Hi {marks.word('smstext')}: https://shop.{brand}.example/s?phone={quote(marks.phone(9))}"
            sms = {**self._message(brand, people), "channel": "sms", "content": {"text": text}}
            self._keep(brand, self._brand("POST", "/v1/messages", brand, sms))

    def _person(self, who: str) -> dict[str, Any]:
        marks = self._marks
        return {
            "address": marks.address(who),
            "id": marks.word(f"id{who}"),
            "name": marks.word(f"name{who}").title(),
            "metadata": {"first_name": marks.word(f"meta{who}"), marks.word("metakey"): marks.word("metavalue")},
        }

    def _message(self, brand: str, people: list[dict[str, Any]]) -> dict[str, Any]:
        marks = self._marks
        shop = f"https://shop.{brand}.example"
        html = (
            f"<html><head><title>For {marks.word('subject')}</title></head><body><p>Dear {marks.word('html')}</p>"
            f'<a href="{shop}/p?email={marks.address("link")}&amp;name={marks.word("linkname")}">'
            f"{marks.word('label')}</a>"
            f'<a href="{shop}/{marks.word("linkpath")}#{marks.word("fragment")}">You</a>'
            f'<a href="mailto:{marks.address("mailto")}">Write</a><!-- {marks.word("comment")} --></body></html>'
        )
        text = f"Dear {marks.word('text')}, see {shop}/t?email={quote(marks.address('textlink'))}"
        return {
            "channel": "email",
            "content": {"html": html, "text": text},
            "recipients": people,
            "campaign_id": CAMPAIGN,
            "list_id": "letters",
            "job_source": "feed-7",
            "metadata": {"shared": marks.word("shared")},
        }

    def _keep(self, brand: str, answer: Answer) -> None:
        for message in answer.json()["messages"]:
            self.messages.append((brand, message))
            self.urls += [message["id"], message["unsubscribe_url"], message.get("pixel_url", "")]
            self.urls += [link["tracked_url"] for link in message["links"]] + [link["id"] for link in message["links"]]
            self.urls += [f"{name}: {value}" for name, value in message.get("headers", {}).items()]
        self.urls.append(str(answer.headers))

    def _report_and_read(self, brand: str, message: Mapping[str, Any]) -> None:
        path = f"/v1/messages/{message['id']}"
        self._brand("POST", f"{path}/events", brand, {"type": "sent"})
        self.events += 1
        assert self._brand("GET", path, brand).json()["recipient"]["name"]

    def _brand(
        self, method: str, path: str, brand: str, json: Any = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        answer = self._client.api(method, path, brand, json, headers={**self._gossip(), **(headers or {})})
        assert answer.status in (200, 201), answer
        self.told_to_brands.append(answer.body)
        return answer

    # Recipients, whose clients say much about them.

    def _gossip(self) -> dict[str, str]:
        marks = self._marks
        return {
            "Referer": f"https://mail.example/inbox/{marks.address('referer')}",
            "Cookie": f"who={marks.word('cookie')}; mail={marks.address('cookiemail')}",
            "X-Forwarded-For": f"{marks.word('forwarded')}, 203.0.113.9",
            "X-Real-IP": marks.word("realip"),
            "Forwarded": f'for="{marks.word("for")}"',
            "From": marks.address("from"),
            "X-Request-Id": marks.word("requestid"),
            "Telltale-Hit": marks.word("hit"),
            "Accept-Language": marks.word("language"),
            "Sec-Fetch-Dest": marks.word("fetchdest"),
            "Sec-Fetch-Site": marks.word("fetchsite"),
            "DNT": marks.word("dnt"),
            "Sec-GPC": marks.word("gpc"),
            "X-Forwarded-Proto": marks.word("proto"),
        }

    def _visit(self, message: Mapping[str, Any]) -> None:
        marks = self._marks
        query = (
            f"?email={marks.address('query')}&name={quote(marks.word('queryname').upper())}"
            f"&campaign=spring&lead={quote(marks.address('lead'))}&{marks.word('field')}=1"
        )
        links = [link["tracked_url"] for link in message["links"]]
        if "pixel_url" in message:
            self._hit("open", message["pixel_url"] + query, 200, events=1)
            self._hit("open again", message["pixel_url"] + query, 200, "HEAD", events=1)
            ahead = {"Sec-Purpose": f"prefetch;{marks.address('purpose')}", "X-Moz": marks.word("xmoz")}
            self._hit("prefetch", message["pixel_url"], 200, headers=ahead, events=1)
            self._hit("post to pixel", message["pixel_url"], 405, "POST", body=marks.word("post").encode())
        for link in links:
            self._hit("click", link + query, 302, events=1)
        self._hit("elsewhere", links[0].replace(".example:", ".example.evil.example:"), 404)
        self._hit("page", message["unsubscribe_url"] + query, 200, events=1)
        form = f"List-Unsubscribe=One-Click&email={quote(marks.address('form'))}&name={marks.word('formname')}"
        self._hit("unsubscribe", message["unsubscribe_url"] + query, 200, "POST", body=form.encode(), events=1)
        large = form.encode() + b"&comment=" + marks.word("large").encode() * 2000
        self._hit("unsubscribe again", message["unsubscribe_url"], 200, "POST", body=large)

    def _hit(  # noqa: PLR0917 - what a hit is, in the order of a request
        self,
        what: str,
        url: str,
        status: int,
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        events: int = 0,
    ) -> None:
        answer = self._client.hit(url, method, {**self._gossip(), **(headers or {})}, body)
        self.events += events
        if answer.status == 302:
            # The author's own link, as he wrote it, is what a redirect is for.
            del answer.headers["Location"]
        self._other(f"{method} {what}", answer, status)

    # Mistakes of a brand, and of people with links.

    def _make_mistakes(self) -> None:
        marks = self._marks
        good = self._message("ibis", [self._person("mistake")])
        word, address = marks.word("mistake"), marks.address("mistaken")

        def content(html: str) -> dict[str, Any]:
            return {**good, "content": {"html": html}}

        bodies: dict[str, Any] = {
            "not JSON": f'{{"recipients": [{{"address": "{address}"'.encode(),
            "not an object": f'["{address}"]'.encode(),
            "twice": f'{{"{word}": 1, "{word}": "{address}"}}'.encode(),
            "not a number": f'{{"{word}": NaN}}'.encode(),
            "deep": b'{"a":' * 40 + f'"{address}"'.encode() + b"}" * 40,
            "too large": b'{"x": "' + address.encode() * 200_000 + b'"}',
            "not UTF-8": b'{"x": "' + address.encode() + b'\xff"}',
            # A plain word as a name is repeated, so that a brand finds its mistake; nothing that looks personal is.
            "unknown field": {**good, address: word, "mail": address},
            "unknown inner field": {**good, "recipients": [{**good["recipients"][0], f"{word}.": address}]},
            "wrong type": {**good, "recipients": {address: word}},
            "wrong channel": {**good, "channel": word},
            "no address": {**good, "recipients": [{"address": f"{word} at home", "name": f"{word}\r\nBcc: {address}"}]},
            "long": {**good, "campaign_id": address * 20},
            "metadata": {**good, "metadata": {f"${word}": address}},
            "elsewhere": content(f'<a href="https://{word}.example/?e={address}">x</a>'),
        }
        # Left as they are, with a warning: what the author wrote comes back to the author and is said to nobody else.
        for odd in (
            f"<a href=\"javascript:alert('{address}')\">x</a>",
            f'<a href="https://{word}:{word}@shop.ibis.example/">x</a>',
            f'<p>{address}<a href="https://shop.ibis.example/{word}>x</a>',
            f"<!-- {address}",
        ):
            told = self._brand("POST", "/v1/messages", "ibis", content(odd)).json()
            assert told["warnings"]
            assert not self._marks.find(repr(told["warnings"]).encode())
        for what, body in bodies.items():
            raw, json = (body, None) if isinstance(body, bytes) else (None, body)
            answer = self._client.api("POST", "/v1/messages", "ibis", json, body=raw, headers=self._gossip())
            self._other(what, answer, 400, 413, 422)
        for what, path in {
            "unknown message": f"/v1/messages/{address}",
            "unknown path": f"/v1/{word}/{address}",
            "unknown parameter": f"/v1/events?email={address}",
            "no cursor": f"/v1/events?cursor={word}",
            "unknown endpoint": f"/v1/deliveries?endpoint_id={address}",
            "long query": f"/v1/events?type={address * 100}",
        }.items():
            self._other(what, self._client.api("GET", path, "ibis", headers=self._gossip()), 200, 400, 404)
        self._other("delete", self._client.api("DELETE", f"/v1/endpoints/{address}", "ibis"), 404)
        self._other("method", self._client.api("PUT", f"/v1/messages?email={address}", "ibis", good), 405)
        self._other("report", self._client.api("POST", f"/v1/messages/{address}/events", "ibis", {"type": word}), 422)
        media = {"Content-Type": f"text/{word}"}
        self._other("media type", self._client.api("POST", "/v1/messages", "ibis", good, headers=media), 415)
        long_key = {"Idempotency-Key": f"{address} " * 2}
        self._other("key", self._client.api("POST", "/v1/messages", "ibis", good, headers=long_key), 400)
        bad_hook = {"url": f"http://{word}.internal/{address}", "mode": "full"}
        self._other("endpoint", self._client.api("POST", "/v1/endpoints", "ibis", bad_hook), 422)

    def _knock(self) -> None:
        """Strangers: wrong keys, garbage in paths, requests that are none."""
        marks = self._marks
        word, address = marks.word("stranger"), marks.address("stranger")
        login = base64.b64encode(f"{address}:{word}".encode()).decode()
        for credentials in (f"Bearer tt_{word}", f"Bearer {address}", f"Basic {login}", word):
            answer = self._client.api(
                "POST", "/v1/messages", json=self._person("nokey"), headers={"Authorization": credentials}
            )
            self._other("wrong key", answer, 401)
        wrong = {"Authorization": f"Bearer {word}"}
        self._other("metrics", self._client.api("GET", f"/metrics?{word}", headers=wrong), 401)
        for path in (
            f"/readyz?check={address}",
            f"/healthz?{address}",
            f"/docs?{address}",
            f"/{address}",
            f"/{word}/..",
        ):
            self._other(path, self._client.api("GET", path, headers=self._gossip()), 200, 400, 404)
        _, message = self.messages[0]
        host = f"http://{urlsplit(message['unsubscribe_url']).netloc}"
        for path in (address, quote(address), f"{address}.gif", f"x/{word}", word.upper() * 400):
            self._hit("pixel", f"{host}/o/{path}?email={address}", 200)
            self._hit("link", f"{host}/c/{path}?email={address}", 404)
            self._hit("unsubscribe", f"{host}/u/{path}?email={address}", 404, "POST", body=address.encode())
        for request in (
            f"GET /o/{word} HTTP/9.9\r\nHost: {word}\r\n\r\n",
            f"{word.upper()} /c/{address} HTTP/1.1\r\nHost: t.ibis.example\r\nConnection: close\r\n\r\n",
            f"GET /{word * 7000} HTTP/1.1\r\nHost: t.ibis.example\r\nConnection: close\r\n\r\n",
            f"GET /c/x HTTP/1.1\r\nHost: {address}/{word}\r\nConnection: close\r\n\r\n",
            f"GET /c/x HTTP/1.1\r\nHost: t.ibis.example\r\n{word} {address}\r\nConnection: close\r\n\r\n",
            "GET /c/x HTTP/1.1\r\nHost: t.ibis.example\r\nConnection: close\r\n"
            + "".join(f"X-{word}-{number}: {address * 200}\r\n" for number in range(6))
            + "\r\n",
        ):
            for answer in self._client.raw(request.encode()):
                self._other(request[:60], answer, 400, 404, 405, 414, 431, 494, 500, 502, 505)

    def _other(self, what: str, answer: Answer, *expected: int) -> None:
        assert answer.status in expected, (what, answer.status, answer.body[:300])
        self.told_to_others.append((what, answer.all_bytes()))

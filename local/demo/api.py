"""The calls under `/v1` that a brand's platform makes. A refused call is an error, a busy copy is asked again."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any

import aiohttp

_TRIES = 3
_PAUSE_SECONDS = 0.5
_PAGE = 500
_BUSY = (429, 502, 503, 504)


class ApiRefused(RuntimeError):
    """The API did not do what it was asked; the text has the answer's own explanation and no key."""

    def __init__(self, text: str, status: int | None) -> None:
        super().__init__(text)
        self.status = status
        """None: it did not answer."""


class Api:
    """One brand's view of a copy.

    Args:
        session: its total timeout bounds every try.
        key: the brand's API key.
    """

    def __init__(self, session: aiohttp.ClientSession, url: str, key: str) -> None:
        self._session = session
        self._url = url
        self._headers = {"Authorization": f"Bearer {key}"}

    async def create_endpoint(self, url: str, key: str) -> tuple[str, str]:
        """Id and secret of a new webhook endpoint that gets every type of event."""
        made = await self._call("POST", "/endpoints", {"url": url, "events": [], "mode": "thin"}, key)
        return made["id"], made["secret"]

    async def endpoints(self) -> list[dict[str, Any]]:
        listed: list[dict[str, Any]] = (await self._call("GET", "/endpoints"))["endpoints"]
        return listed

    async def delete_endpoint(self, endpoint_id: str) -> None:
        """Delete an endpoint; one that is gone is fine too."""
        try:
            await self._call("DELETE", f"/endpoints/{endpoint_id}")
        except ApiRefused as error:
            if error.status != HTTPStatus.NOT_FOUND:
                raise

    async def register(self, body: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
        """The registered messages, in the order of the body's recipients."""
        messages: list[dict[str, Any]] = (await self._call("POST", "/messages", body, key))["messages"]
        return messages

    async def report_sent(self, message_id: str) -> str:
        """The id of the `sent` event. Needs no idempotency key: a message is sent once.

        It is said to have been sent an hour ago: who opens a message within its first seconds is a scanner.
        """
        sent_at = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
        body = {"type": "sent", "at": sent_at}
        event_id: str = (await self._call("POST", f"/messages/{message_id}/events", body))["id"]
        return event_id

    async def events(self, campaign: str, cursor: str | None) -> tuple[list[dict[str, Any]], str | None]:
        """All events of a campaign after the cursor, and the cursor to go on from later."""
        found: list[dict[str, Any]] = []
        more = True
        while more:
            query = f"?campaign_id={campaign}&limit={_PAGE}" + (f"&cursor={cursor}" if cursor else "")
            page = await self._call("GET", f"/events{query}")
            found += page["events"]
            cursor, more = page["next_cursor"], page["has_more"]
        return found, cursor

    async def _call(self, method: str, path: str, body: Mapping[str, Any] | None = None, key: str | None = None) -> Any:
        """One call, made again when no answer came or it said "busy": every call here may be repeated."""
        headers = self._headers if key is None else {**self._headers, "Idempotency-Key": key}
        what = f"{method} /v1{path.partition('?')[0]}"
        problem, status = "", None
        for attempt in range(_TRIES):
            if attempt:
                await asyncio.sleep(_PAUSE_SECONDS * attempt)
            try:
                async with self._session.request(
                    method, f"{self._url}/v1{path}", json=body, headers=headers, allow_redirects=False
                ) as response:
                    status = response.status
                    if status == HTTPStatus.NO_CONTENT:
                        return None
                    answer = await response.json(content_type=None)
                    if response.ok:
                        return answer
                    detail = answer.get("detail") if isinstance(answer, dict) else None
                    problem = f"{status} {detail or response.reason}"
                    if status not in _BUSY:
                        break
            except (aiohttp.ClientError, TimeoutError, ValueError) as error:
                problem, status = f"no answer ({type(error).__name__})", None
        raise ApiRefused(f"{what}: {problem}", status)

"""Request bodies of the tests, and what every problem document has."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from werkzeug.test import TestResponse

Call = Callable[..., TestResponse]
"""The fixture `call`."""


def email(**change: Any) -> dict[str, Any]:
    """A request for one tracked email of the brand alder."""
    html = '<html><body><p>Hi</p><a href="https://www.alder.example/a?x=1&amp;y=2">A</a></body></html>'
    return {
        "channel": "email",
        "campaign_id": "spring",
        "list_id": "news",
        "job_source": "board",
        "content": {"html": html, "text": "See https://www.alder.example/b now."},
        "recipients": [{"address": "Ada@mail.example", "id": "c-1", "name": "Ada", "metadata": {"order": "A-1"}}],
        "metadata": {"shop": "north", "order": "none"},
        **change,
    }


def sms(**change: Any) -> dict[str, Any]:
    """A request for one tracked SMS of the brand alder."""
    return {
        "channel": "sms",
        "content": {"text": "New job: https://alder.example/job/1 Stop: {{unsubscribe_url}}"},
        "recipients": [{"address": "+4915112345678"}],
        **change,
    }


def assert_problem(response: TestResponse, status: int, code: str) -> dict[str, Any]:
    """The response is a problem document as RFC 9457 says; gives its body."""
    assert response.status_code == status, response.get_data(as_text=True)
    assert response.content_type == "application/problem+json"
    found: dict[str, Any] = response.get_json(force=True)
    assert found["code"] == code
    assert found["status"] == status
    assert found["type"] == f"/docs#{code}"
    assert found["title"]
    assert found["detail"]
    return found

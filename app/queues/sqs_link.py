"""One connection to Amazon SQS, or to what speaks like it, and publishing over it in batches.

boto3 makes and signs the requests and reads the answers; the bytes go over our own connection
(`app.lib.boto_exchange`).
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import boto3  # type: ignore[import-untyped]  # publishes no types
from botocore.awsrequest import AWSPreparedRequest, AWSResponse  # type: ignore[import-untyped]  # as above
from botocore.config import Config  # type: ignore[import-untyped]  # as above
from botocore.exceptions import ClientError  # type: ignore[import-untyped]  # as above
from botocore.session import Session  # type: ignore[import-untyped]  # as above

from app.lib.boto_exchange import LentConnection, exchange
from app.lib.bounded_socket import BoundedSocket
from app.lib.queue_url import QueueTarget
from app.queues.message import Published, QueueError, QueueFailure, QueueMessage
from app.queues.sqs_batches import Entry, batches, entry

_ANSWER_BYTES = 262_144
"""Of one answer with its headers; what is said about ten messages takes about 3 KiB."""
_ABOUT_THE_MESSAGE = frozenset({"InvalidMessageContents", "InvalidParameterValue", "InvalidAttributeValue"})
"""Codes that name a message which SQS will never take."""
_CODES = (
    (("NonExistentQueue", "QueueDoesNotExist"), QueueFailure.MISSING),
    (
        ("UnrecognizedClient", "AccessDenied", "Signature", "AuthenticationToken", "InvalidSecurity"),
        QueueFailure.DENIED,
    ),
    (("Throttl",), QueueFailure.UNAVAILABLE),
)
"""Parts of error codes, which differ between the protocols of SQS; all of these come with status 400 too."""

# Making a client reads the service's description and is not made for threads; a fork's lock is its own.
_making = threading.Lock()
os.register_at_fork(after_in_child=_making._at_fork_reinit)  # type: ignore[attr-defined]  # not in typeshed


class SqsLink:
    """A connection and the client that signs for it. For one thread at a time.

    Args:
        connect: dials, within a time on `time.monotonic()`'s scale; also when the server closed the connection after
            an answer.
    """

    def __init__(self, target: QueueTarget, connect: Callable[[float], BoundedSocket], until: float) -> None:
        self.usable = True
        self._connect = connect
        self._fifo = target.is_fifo
        self._queue_url = f"{target.origin}/{target.account}/{target.name}"
        self._until = until
        self._http = LentConnection(target.host, target.port)
        self._client = _client(target)
        self._client.meta.events.register("before-send.sqs", self._exchange)
        self._talk_over(connect(until))

    def publish(self, messages: Sequence[QueueMessage], until: float) -> Published:
        """Send all of them; a batch that fails as a whole is the last, a message that fails alone stops nothing."""
        outcome = _Outcome({message.id for message in messages})
        entries = [outcome.or_refused(message.id, entry(message, fifo=self._fifo)) for message in messages]
        self._until = until
        try:
            for batch in batches([one for one in entries if one is not None]):
                numbered = [{"Id": str(number), **one.fields} for number, one in enumerate(batch)]
                outcome.note(batch, self._client.send_message_batch(QueueUrl=self._queue_url, Entries=numbered))
        except Exception as error:  # noqa: BLE001 - a stranger's bytes: what botocore raises on nonsense is no closed set
            failed = _translated(error)
            outcome.failed(failed.failure, str(failed))
        return outcome.published()

    def close(self) -> None:
        """Close the connection."""
        self.socket.close()

    def _exchange(self, request: AWSPreparedRequest, **_: object) -> AWSResponse:
        """botocore's hook in place of sending: what it returns is taken for the answer."""
        self.usable = False
        if not self._http.open:
            self.socket.close()
            self._talk_over(self._connect(self._until))
        self.socket.allow(self._until, _ANSWER_BYTES)
        answer = exchange(self._http, request, last=False)
        self.usable = self._http.open
        return answer

    def _talk_over(self, connected: BoundedSocket) -> None:
        self.socket = connected
        self._http.lend(connected)


class _Outcome:
    def __init__(self, sent: set[str]) -> None:
        self._sent = sent
        self._confirmed: set[str] = set()
        self._refused: set[str] = set()
        self._failure: QueueFailure | None = None
        self._detail = ""

    def or_refused(self, message_id: str, made: Entry | None) -> Entry | None:
        if made is None:
            self._refused.add(message_id)
            self.failed(QueueFailure.REFUSED, "not_carried")
        return made

    def note(self, batch: list[Entry], answer: dict[str, Any]) -> None:
        self._confirmed.update(batch[int(one["Id"])].message_id for one in answer.get("Successful", ()))
        for one in answer.get("Failed", ()):
            if one["Code"] in _ABOUT_THE_MESSAGE:
                self._refused.add(batch[int(one["Id"])].message_id)
            self.failed(QueueFailure.REFUSED if one["SenderFault"] else QueueFailure.UNAVAILABLE, "in_batch")

    def failed(self, failure: QueueFailure, detail: str) -> None:
        if self._failure is None:
            self._failure, self._detail = failure, detail

    def published(self) -> Published:
        if self._confirmed | self._refused != self._sent:
            self.failed(QueueFailure.UNAVAILABLE, "unanswered")
        return Published(frozenset(self._confirmed), self._failure, frozenset(self._refused), self._detail)


def _translated(error: Exception) -> QueueError:
    if isinstance(error, QueueError):
        return error
    if not isinstance(error, ClientError):
        return QueueError(QueueFailure.UNAVAILABLE, type(error).__name__)
    code = str(error.response.get("Error", {}).get("Code", ""))
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    detail = f"http_{status}"
    for parts, failure in _CODES:
        if any(part in code for part in parts):
            return QueueError(failure, detail)
    if status in (401, 403):
        return QueueError(QueueFailure.DENIED, detail)
    return QueueError(QueueFailure.REFUSED if status in range(400, 429) else QueueFailure.UNAVAILABLE, detail)


def _client(target: QueueTarget) -> Any:
    with _making:
        return boto3.session.Session(botocore_session=_session()).client(
            "sqs",
            region_name=target.region,
            endpoint_url=target.origin,
            aws_access_key_id=target.user,
            aws_secret_access_key=target.password,
            # Who tries again, and when, is decided by the delivery's schedule.
            config=Config(retries={"total_max_attempts": 1}, ignore_configured_endpoint_urls=True),
        )


@lru_cache(maxsize=1)
def _session() -> Session:
    """Keeps the descriptions of services that it has read. Nothing of this machine's own AWS configuration."""
    none, nothing = (None, None, None, None), (None, None, os.devnull, None)
    return Session(session_vars={"profile": none, "config_file": nothing, "credentials_file": nothing})

"""A brand's bucket: the few calls of S3 that an archive needs, each with a deadline, failures in words of ours."""

from __future__ import annotations

import base64
import hashlib
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from boto3.session import Session  # type: ignore[import-untyped]  # publishes no types
from botocore.config import Config  # type: ignore[import-untyped]  # as above
from botocore.exceptions import (  # type: ignore[import-untyped]  # as above
    BotoCoreError,
    ClientError,
    NoCredentialsError,
    PartialCredentialsError,
)

from app.archive.dial import Dialler, OutOfTime
from app.errors import PermanentError, TransientError
from app.lib.guarded_dial import BlockedHost, Guard
from app.models.archive import ArchivePlace

CALL_SECONDS = 30.0
"""For one call with its retries. A file of 32 MiB needs some nine megabit a second."""
MAX_OBJECT_BYTES = 64 * 1024 * 1024
_ATTEMPTS = 3
_NOT_FOUND = frozenset({"NoSuchKey", "404", "NotFound"})
_REFUSED = frozenset({400, 401, 403, 404, 405, 409, 411, 412})

# At DEBUG they write down what they sign and send.
for _name in ("boto3", "botocore"):
    logging.getLogger(_name).setLevel(logging.WARNING)


class BucketUnavailable(TransientError):
    """The store did not answer, or asked for patience."""


class BucketRefused(PermanentError):
    """The store says no: a bucket that is not there, a key without the right, an address that is not allowed."""


class Bucket:
    """For one thread and a short life: a run makes its own.

    Args:
        guard: decides which addresses may be dialled, also for Amazon's.
        seconds: for each call.
    """

    def __init__(self, place: ArchivePlace, guard: Guard, *, seconds: float = CALL_SECONDS) -> None:
        self._name = place.bucket
        self._seconds = seconds
        self._dialler = Dialler(guard, max_bytes=MAX_OBJECT_BYTES)
        self._client = _client(place)
        self._client.meta.events.register("before-send.s3", self._dialler)

    def put(self, key: str, content: bytes, content_type: str) -> None:
        """Write an object, whole or not at all.

        Raises:
            BucketUnavailable, BucketRefused
        """
        digest = base64.b64encode(hashlib.md5(content, usedforsecurity=False).digest()).decode("ascii")
        with self._call():
            self._client.put_object(
                Bucket=self._name, Key=key, Body=content, ContentMD5=digest, ContentType=content_type
            )

    def get(self, key: str) -> bytes | None:
        """An object's bytes, at most `MAX_OBJECT_BYTES`; None when it is not there.

        Raises:
            BucketUnavailable, BucketRefused
        """
        try:
            with self._call():
                content: bytes = self._client.get_object(Bucket=self._name, Key=key)["Body"].read()
        except _Missing:
            return None
        return content

    def sizes(self, prefix: str) -> Iterator[tuple[str, int]]:
        """(key, bytes) of every object below a prefix, sorted by key; one call per thousand.

        Raises:
            BucketUnavailable, BucketRefused
        """
        more: Mapping[str, str] = {}
        while True:
            with self._call():
                page = self._client.list_objects_v2(Bucket=self._name, Prefix=prefix, **more)
                rows = [(str(row["Key"]), int(row["Size"])) for row in page.get("Contents", ())]
                more = {"ContinuationToken": page["NextContinuationToken"]} if page.get("IsTruncated") else {}
            yield from rows
            if not more:
                return

    def delete(self, key: str) -> None:
        """Raises:
        BucketUnavailable, BucketRefused
        """
        with self._call():
            self._client.delete_object(Bucket=self._name, Key=key)

    @contextmanager
    def _call(self) -> Iterator[None]:
        """A deadline, and errors without the store's text: it may quote what was asked."""
        self._dialler.begin(self._seconds)
        try:
            yield
        except BlockedHost:
            raise BucketRefused("blocked_address") from None
        except OutOfTime:
            raise BucketUnavailable("bucket: deadline") from None
        except ClientError as error:
            raise _refusal(error) from None
        except (NoCredentialsError, PartialCredentialsError):
            raise BucketRefused("bucket: this machine has no role") from None
        except BotoCoreError as error:
            reason = getattr(error, "reason", type(error).__name__)
            raise BucketUnavailable(f"bucket: {reason}") from None
        except (KeyError, TypeError, ValueError):
            raise BucketUnavailable("bucket: an answer that nobody understands") from None


class _Missing(BucketRefused):
    """The object, not the bucket, is not there."""


def _refusal(error: ClientError) -> TransientError | PermanentError:
    code = str(error.response.get("Error", {}).get("Code", ""))
    status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    shown = f"bucket: {code if code.isascii() and code.isalnum() and len(code) <= 40 else 'error'} ({status})"
    if code in _NOT_FOUND:
        return _Missing(shown)
    return BucketRefused(shown) if status in _REFUSED else BucketUnavailable(shown)


def _client(place: ArchivePlace) -> Any:
    session = Session(
        aws_access_key_id=place.access_key_id,
        aws_secret_access_key=place.secret_access_key,
        region_name=place.region,
    )
    config = Config(
        proxies={},  # not None: that would ask the environment
        ignore_configured_endpoint_urls=True,
        connect_timeout=CALL_SECONDS,
        retries={"mode": "standard", "total_max_attempts": _ATTEMPTS},
        # Only with an endpoint of its own: Amazon wants the bucket in the host's name, others mostly cannot.
        s3={"addressing_style": "path" if place.endpoint_url else "auto"},
        # Checksums in trailers are Amazon's alone; every store checks Content-MD5.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        parameter_validation=False,
    )
    return session.client("s3", endpoint_url=place.endpoint_url, config=config)

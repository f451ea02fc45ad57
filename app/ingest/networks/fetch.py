"""Getting the vendors' files: from themselves, from a mirror, or from a folder; bounded in time and size."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from pathlib import Path

import aiohttp
from yarl import URL

MAX_BYTES = 48 * 1024 * 1024
"""Of one file. The largest, a table of the whole internet's IPv4 ranges, has 24 MB."""
_MAX_REDIRECTS = 3
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_CHUNK = 256 * 1024


class FetchFailed(Exception):
    """The file was not had; the text says why, for a person."""


class NotThere(FetchFailed):
    """Whoever was asked has no such file."""


Fetched = dict[str, bytes | FetchFailed]


def from_web(files: Mapping[str, str], deadline_seconds: float, max_bytes: int = MAX_BYTES) -> Fetched:
    """All files at once, each one's content or why there is none.

    Args:
        files: URL by name.
        deadline_seconds: for all of them together. Only a name server that never answers can hold it up longer, by
            the time-out of the system's resolver: that call cannot be cancelled.
        max_bytes: of one file.
    """
    return asyncio.run(_gather(files, deadline_seconds, max_bytes))


def from_folder(names: set[str], folder: Path) -> Fetched:
    """Those of the files that are there."""
    return {name: _read(folder / name) for name in names if (folder / name).exists()}


def _read(path: Path) -> bytes | FetchFailed:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        return FetchFailed(f"it cannot be read ({type(error).__name__})")
    return content if len(content) <= MAX_BYTES else _too_large(MAX_BYTES)


async def _gather(files: Mapping[str, str], deadline_seconds: float, max_bytes: int) -> Fetched:
    tls = ssl.create_default_context()
    connector = aiohttp.TCPConnector(ssl=tls, limit=4)
    async with aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
        auto_decompress=False,
        headers={"accept-encoding": "identity", "user-agent": "Telltale-Networks"},
        # The deadline is ours, around everything.
        timeout=aiohttp.ClientTimeout(total=None),
    ) as session:
        contents = await asyncio.gather(*(_get(session, url, deadline_seconds, max_bytes) for url in files.values()))
        return dict(zip(files, contents, strict=True))


async def _get(
    session: aiohttp.ClientSession, url: str, deadline_seconds: float, max_bytes: int
) -> bytes | FetchFailed:
    try:
        async with asyncio.timeout(deadline_seconds):
            return await _follow(session, URL(url), max_bytes)
    except FetchFailed as error:
        return error
    except TimeoutError:
        return FetchFailed(f"it was not there within {deadline_seconds:g} seconds")
    except (aiohttp.ClientError, OSError, ValueError) as error:
        return FetchFailed(f"the request failed ({type(error).__name__})")


async def _follow(session: aiohttp.ClientSession, url: URL, max_bytes: int) -> bytes:
    for _ in range(_MAX_REDIRECTS + 1):
        async with session.get(url, allow_redirects=False) as answer:
            if answer.status == 200:
                return await _body(answer, max_bytes)
            if answer.status == 404:
                raise NotThere("the answer is 404")
            if answer.status not in _REDIRECTS:
                raise FetchFailed(f"the answer is {answer.status}")
            target = url.join(URL(answer.headers.get("Location", "")))
        if target.origin() != url.origin():
            raise FetchFailed("it leads to another host")
        url = target
    raise FetchFailed("it leads in circles")


async def _body(answer: aiohttp.ClientResponse, max_bytes: int) -> bytes:
    if answer.headers.get("Content-Encoding", "identity") != "identity":
        raise FetchFailed("it is compressed, which was not asked for")
    content = bytearray()
    async for chunk in answer.content.iter_chunked(_CHUNK):
        content += chunk
        if len(content) > max_bytes:
            raise _too_large(max_bytes)
    return bytes(content)


def _too_large(max_bytes: int) -> FetchFailed:
    return FetchFailed(f"it is larger than {max_bytes / 1024 / 1024:g} MiB")

"""Speaks to uWSGI as nginx does, but says for itself who the client is and what time it is.

So a day of traffic is played in seconds, through everything behind nginx. The protocol: four bytes of header, then
pairs of length and bytes; the answer is plain HTTP (https://uwsgi-docs.readthedocs.io/en/latest/Protocol.html).
"""

from __future__ import annotations

import http.client
import io
import socket
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

_SECONDS = 30.0
_MAX_ANSWER = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: bytes


class Uwsgi:
    """Args:
    path: uWSGI's unix socket.
    """

    def __init__(self, path: Path) -> None:
        self._path = str(path)

    def ask(  # noqa: PLR0917
        self,
        method: str,
        url_path: str,
        headers: Mapping[str, str],
        address: str,
        hit: str,
        body: bytes = b"",
    ) -> Answer:
        """One request over https, as nginx would hand it on.

        Args:
            hit: time and id, `$msec-$request_id`.
        """
        path, _, query = url_path.partition("?")
        names = {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in headers.items()}
        variables = {
            **names,
            "TELLTALE_HIT": hit,
            "TELLTALE_SCHEME": "https",
            "REQUEST_METHOD": method,
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "CONTENT_TYPE": headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(body)) if body else "",
            "REMOTE_ADDR": address,
            "SERVER_NAME": headers["Host"],
            "SERVER_PORT": "443",
            "SERVER_PROTOCOL": "HTTP/1.1",
        }
        packet = b"".join(_pair(name) + _pair(value) for name, value in variables.items())
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(_SECONDS)
            connection.connect(self._path)
            connection.sendall(struct.pack("<BHB", 0, len(packet), 0) + packet + body)
            return _answer(_read(connection))


def _pair(text: str) -> bytes:
    data = text.encode("latin-1")
    return struct.pack("<H", len(data)) + data


def _read(connection: socket.socket) -> bytes:
    answer = bytearray()
    while part := connection.recv(65536):
        answer += part
        if len(answer) > _MAX_ANSWER:
            raise OSError("an answer without end")
    return bytes(answer)


class _Given:
    """Answers to http.client as a socket does."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def makefile(self, _: str) -> io.BytesIO:
        return io.BytesIO(self._data)


def _answer(data: bytes) -> Answer:
    response = http.client.HTTPResponse(cast("socket.socket", _Given(data)))
    response.begin()
    return Answer(response.status, response.read())

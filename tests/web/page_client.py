"""What a browser sends and receives, for tests: HTTP requests and the WebSocket."""

import http.client
import json
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import cv2
import numpy as np
from websockets.sync.client import ClientConnection, connect

from fer_edge.arrays import U8
from fer_edge.web import LivePage

MakePage = Callable[..., LivePage]
PATIENCE_S = 20.0  # for what should be almost at once


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes


def get(url: str, path: str = "/", **headers: str) -> Answer:
    """Asks for a path; `Sec_Fetch_Site="none"` is a header."""
    parts = urlsplit(url)
    assert parts.hostname is not None
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=PATIENCE_S)
    with closing(connection):
        names = {name.replace("_", "-"): text for name, text in headers.items()}
        connection.request("GET", path, headers={**names, "Connection": names.get("Connection", "close")})
        answer = connection.getresponse()
        return Answer(answer.status, answer.headers, answer.read())


def upgrade(url: str, **headers: str) -> Answer:
    """Asks for the WebSocket, as `get`; for requests that are refused."""
    handshake = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec_WebSocket_Version": "13",
        "Sec_WebSocket_Key": "dGhlIHNhbXBsZSBub25jZQ==",
    }
    return get(url, "/live", **handshake, **headers)


class Viewer:
    """One WebSocket of a page; it answers when it is told to.

    Attributes:
        first: the first message.
    """

    def __init__(self, url: str, **headers: str) -> None:
        parts = urlsplit(url)
        origin = {"Origin": f"http://{parts.netloc}", **headers}
        self._stack = ExitStack()
        self._socket: ClientConnection = self._stack.enter_context(
            connect(f"ws://{parts.netloc}/live", additional_headers=origin, compression=None, proxy=None)
        )
        self.first: dict[str, Any] = json.loads(self._socket.recv(PATIENCE_S))

    def receive(self, patience_s: float = PATIENCE_S) -> tuple[dict[str, Any], U8 | None]:
        """Returns the fields of the next message, and its picture; raises TimeoutError if there is none."""
        data = self._socket.recv(patience_s)
        assert isinstance(data, bytes)
        end = 4 + int.from_bytes(data[:4], "big")
        jpeg = np.frombuffer(data[end:], np.uint8)
        return json.loads(data[4:end]), cv2.imdecode(jpeg, cv2.IMREAD_COLOR) if jpeg.size else None

    def answer(self) -> None:
        """Says that a message was shown."""
        self._socket.send("1")

    def picture(self) -> tuple[dict[str, Any], U8]:
        """Answers messages until one has a picture, and returns it, unanswered.

        Raises TimeoutError if none comes in time: the messages without a picture go on for ever.
        """
        end = time.monotonic() + PATIENCE_S
        while (left := end - time.monotonic()) > 0:
            fields, picture = self.receive(left)
            if picture is not None:
                return fields, picture
            self.answer()
        raise TimeoutError

    def close(self) -> None:
        """Leaves the page."""
        self._stack.close()

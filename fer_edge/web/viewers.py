"""Sends each viewer the newest picture and what happened since its last message.

A viewer has two messages on their way at most; it answers each when it has shown it. So a slow viewer gets
fewer pictures, but always the newest one, and nothing queues up for it. All methods run in the event loop of
the server.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect

from fer_edge.web.journal import Journal, Position
from fer_edge.web.messages import binary_message
from fer_edge.web.pictures import Picture

# Messages on their way to one viewer: one is sent while the other is shown.
MAX_UNANSWERED = 2
MAX_VIEWERS = 32
# At least so often the numbers and the state of the source are sent, also without a picture.
TICK_S = 0.5
TRY_AGAIN_LATER, GOING_AWAY = 1013, 1001

SourceInfo = dict[str, Any]

_logger = logging.getLogger("fer_edge")


@dataclass(eq=False, slots=True)
class _Viewer:
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    unanswered: int = 0
    picture: int = 0  # number of the last one
    position: Position = field(default_factory=Position)
    sent: float = -TICK_S
    is_gone: bool = False


class Viewers:
    """The viewers of a page.

    Args:
        journal: what happened.
        first: the first message of each viewer.
        want: asks for a picture with a number above the given one.
        source_info: returns state and counts of the source, as Stream.info()["source"].
    """

    def __init__(
        self,
        journal: Journal,
        first: str,
        want: Callable[[int], None],
        source_info: Callable[[], SourceInfo],
    ) -> None:
        self._journal, self._first, self._want, self._source_info = journal, first, want, source_info
        self._viewers: set[_Viewer] = set()
        self._picture: Picture | None = None
        self._source = source_info()
        self._is_stale = False  # the last call of source_info has failed
        self._ends = False

    def __len__(self) -> int:
        return len(self._viewers)

    def publish(self, picture: Picture) -> None:
        """Takes a new picture."""
        self._picture = picture
        self._wake()

    async def watch_source(self) -> None:
        """Follows the state of the source, until cancelled."""
        while True:
            self._update_source()
            self._wake()
            await asyncio.sleep(TICK_S)

    async def end(self, patience_s: float) -> None:
        """Tells the viewers that the stream has ended, and waits until they were told."""
        self._update_source()
        self._ends = True
        self._wake()
        deadline = self._journal.now() + patience_s
        while self._viewers and self._journal.now() < deadline:
            await asyncio.sleep(0.01)

    async def serve(self, socket: WebSocket) -> None:
        """Serves one viewer until it leaves or the stream ends."""
        await socket.accept()
        if len(self._viewers) >= MAX_VIEWERS:
            await socket.close(TRY_AGAIN_LATER, f"at most {MAX_VIEWERS} viewers")
            return
        viewer = _Viewer()
        self._viewers.add(viewer)
        answers = asyncio.create_task(_receive_answers(socket, viewer))
        try:
            await socket.send_text(self._first)
            while await self._is_due(viewer):
                await socket.send_bytes(self._message(viewer))
                if self._ends:
                    await socket.close(GOING_AWAY)
                    return
        except WebSocketDisconnect:
            return
        finally:
            self._viewers.discard(viewer)
            answers.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await answers

    def _wake(self) -> None:
        for viewer in self._viewers:
            viewer.changed.set()

    def _update_source(self) -> None:
        try:
            source = self._source_info()
        except Exception as error:  # noqa: BLE001 (the user's function may raise anything)
            if not self._is_stale:
                _logger.warning("the live page shows the last state of the source: %r", error)
            self._is_stale = True
            return
        before, self._source, self._is_stale = self._source, source, False
        # Fewer than before: the page shows a new Stream.
        reconnects = max(0, source["reconnects"] - before["reconnects"])
        was_lost, is_lost = (info["state"] in ("reconnecting", "lost") for info in (before, source))
        # A short loss falls between two ticks.
        if (is_lost or reconnects) and not was_lost:
            self._journal.note("source_lost")
        if reconnects and not is_lost:
            self._journal.note("source_back")

    async def _is_due(self, viewer: _Viewer) -> bool:
        """Waits until a message is due; returns False when the viewer has left."""
        while True:
            viewer.changed.clear()
            if viewer.is_gone:
                return False
            if self._ends:
                return True
            if viewer.unanswered < MAX_UNANSWERED:
                if self._picture is not None and self._picture.number > viewer.picture:
                    return True
                self._want(viewer.picture)
                if self._journal.now() - viewer.sent >= TICK_S:
                    return True
            await viewer.changed.wait()

    def _message(self, viewer: _Viewer) -> bytes:
        entries, viewer.position = self._journal.since(viewer.position)
        picture = self._picture
        if picture is not None and picture.number <= viewer.picture:
            picture = None
        elif picture is not None:
            viewer.picture = picture.number
        viewer.unanswered += 1
        viewer.sent = self._journal.now()
        fields = {
            "now": round(viewer.sent, 2),
            "state": self._source["state"],
            "ends": self._ends,
            "viewers": len(self._viewers),
            "faces": None if picture is None else picture.faces,
            **self._journal.rates(),
            **entries,
        }
        return binary_message(fields, b"" if picture is None else picture.jpeg)


async def _receive_answers(socket: WebSocket, viewer: _Viewer) -> None:
    while (await socket.receive())["type"] != "websocket.disconnect":
        viewer.unanswered = max(0, viewer.unanswered - 1)
        viewer.changed.set()
    viewer.is_gone = True
    viewer.changed.set()

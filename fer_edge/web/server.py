"""An HTTP server in a thread of its own, with an event loop of its own."""

import asyncio
import contextlib
import errno
import os
import socket
import threading
from collections.abc import Callable
from typing import Any

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from fer_edge.web.viewers import Viewers

MAX_CONNECTIONS = 128
FIXES = {
    errno.EADDRINUSE: "choose another port, or 0 for a free one",
    errno.EACCES: "choose a port of at least 1024",
}
# The page answers with one letter.
MAX_MESSAGE_BYTES = 1024
# For the last message, and then for the connections.
PATIENCE_S = 1


def listen(host: str, port: int) -> socket.socket:
    """Returns a socket that listens on a name or address.

    Raises:
        OSError: the port is in use, this user may not use it, or the address is not one of this machine.
        ValueError: the port is no port.
    """
    if not 0 <= port <= 65535:
        raise ValueError(f"the live page's port must be 0 to 65535, where 0 takes a free one, got {port}")
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return socket.create_server(address[:2], family=family)
    except (OSError, UnicodeError) as error:
        # UnicodeError: a name with an empty or too long part.
        number = error.errno if isinstance(error, OSError) else None
        fix = FIXES.get(number or 0, "give an address of this machine")
        raise OSError(f"the live page cannot listen on {host}:{port}: {_reason_of(error)}; {fix}") from error


def _reason_of(error: OSError | UnicodeError) -> str:
    if isinstance(error, UnicodeError):
        return "no valid name"
    # The number of a gaierror is no errno; the text of other errors of create_server repeats the address.
    return str(error.strerror) if isinstance(error, socket.gaierror) else os.strerror(error.errno or 0)


class Server:
    """Serves the viewers of a page until `close`.

    Args:
        listener: a listening socket; it is closed at the end.
        app: the application.
        viewers: told about the end.
    """

    def __init__(self, listener: socket.socket, app: ASGIApp, viewers: Viewers) -> None:
        self._listener, self._viewers = listener, viewers
        # By class and not by name: PyInstaller finds what is imported.
        config = uvicorn.Config(
            app,
            http=H11Protocol,
            ws=WebSocketsSansIOProtocol,
            lifespan="off",
            # An address can hold the token.
            access_log=False,
            log_config=None,
            log_level="error",
            server_header=False,
            limit_concurrency=MAX_CONNECTIONS,
            ws_max_size=MAX_MESSAGE_BYTES,
            # A JPEG does not get smaller.
            ws_per_message_deflate=False,
            timeout_graceful_shutdown=PATIENCE_S,
        )
        self._server = uvicorn.Server(config)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="fer_edge-web", daemon=True)
        self._thread.start()

    def call(self, function: Callable[..., object], *arguments: Any) -> None:
        """Calls a function in the event loop, without waiting for it."""
        self._loop.call_soon_threadsafe(function, *arguments)

    def close(self) -> None:
        """Tells the viewers, and ends the thread; takes two seconds at most. A second call does nothing."""
        if self._thread.is_alive():
            try:
                asyncio.run_coroutine_threadsafe(self._viewers.end(PATIENCE_S), self._loop).result()
            finally:
                self._server.should_exit = True
                self._thread.join()

    def _run(self) -> None:
        with contextlib.closing(self._loop):
            self._loop.run_until_complete(self._serve())

    async def _serve(self) -> None:
        watch = asyncio.create_task(self._viewers.watch_source())
        try:
            await self._server.serve(sockets=[self._listener])
        finally:
            watch.cancel()

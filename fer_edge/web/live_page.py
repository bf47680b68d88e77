"""A page that shows a stream live, for the browsers of this machine or of a network."""

import ipaddress
import socket
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from fer_edge.stages.image import Layout
from fer_edge.web.access import Access
from fer_edge.web.app import app_from
from fer_edge.web.journal import Journal
from fer_edge.web.messages import first_message
from fer_edge.web.pictures import Picture, PictureMaker
from fer_edge.web.server import Server, listen
from fer_edge.web.viewers import Viewers

if TYPE_CHECKING:
    from fer_edge.stream.result import StreamResult


class LivePage:
    """Serves a page with the annotated picture, the expressions of each identity, events and rates.

        with LivePage(recognizer.spec.labels, lambda: stream.info()["source"]) as page:
            print(page.url)
            for result in stream:
                page.frame(result)

    Pictures are drawn and encoded in another thread, only while somebody watches, once for all viewers. A
    slow viewer gets fewer of them, and never slows the stream. The newest frame and picture are kept in
    memory, and the expressions of the last 60 s; nothing is written.

    Args:
        labels: the expressions of the model.
        source_info: returns name, state and counts of the source, as Stream.info()["source"]; called twice a
            second, in another thread.
        host: name or address to listen on. Anything but 127.0.0.1, ::1 or localhost opens the page to the
            network; then a viewer needs the token in `url`. The connection is not encrypted.
        port: 0 takes a free one.
        layout: of the frames; None: by the shape, as for fer_edge.draw.annotate.

    Raises:
        OSError: the port is in use, this user may not use it, or the address is not one of this machine.
        ValueError: the port is no port.
        ImportError: OpenCV is missing.
    """

    def __init__(
        self,
        labels: Sequence[str],
        source_info: Callable[[], dict[str, Any]],
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        layout: Layout | None = None,
    ) -> None:
        listener = listen(host, port)
        self._host, (self._address, self._port) = host, listener.getsockname()[:2]
        self._access = Access.to_address(host, self._address)
        self._journal = Journal()
        self._maker = PictureMaker(layout)
        first = first_message(labels, source_info()["name"])
        viewers = self._viewers = Viewers(self._journal, first, self._maker.want, source_info)
        server = self._server = Server(listener, app_from(viewers, self._access, self._port), viewers)

        def publish(picture: Picture) -> None:
            server.call(viewers.publish, picture)

        self._maker.start(publish)

    @property
    def url(self) -> str:
        """The address of the page, with the token if it needs one."""
        host = socket.gethostname() if ipaddress.ip_address(self._address).is_unspecified else self._host
        shown = f"[{host}]" if ":" in host else host
        token = self._access.token
        return f"http://{shown}:{self._port}/" + ("" if token is None else f"?token={token}")

    def frame(self, result: "StreamResult") -> None:
        """Takes a result of the stream. Its frame is read later, and must not be changed.

        Raises:
            RuntimeError: an earlier frame could not be drawn.
        """
        self._journal.add(result)
        if result.frame is not None:
            self._maker.offer(result)

    def info(self) -> dict[str, int]:
        """Returns how many "viewers" there are, and how many "pictures" were drawn and encoded."""
        return {"viewers": len(self._viewers), "pictures": self._maker.made}

    def close(self) -> None:
        """Tells the viewers that the stream has ended, and ends the server; takes two seconds at most."""
        self._maker.close()
        self._server.close()

    def __enter__(self) -> "LivePage":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

"""The option `--web` of `fer-edge stream`: a page to watch the stream in a browser."""

import argparse
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from fer_edge.cli.pace import Pace

if TYPE_CHECKING:
    from fer_edge.stream import Stream
    from fer_edge.stream.result import StreamResult
    from fer_edge.web import LivePage

DEFAULT_PORT = 8090
LOCAL = "127.0.0.1"


def add_web_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds `--web` and `--web-host`."""
    parser.add_argument(
        "--web",
        type=int,
        nargs="?",
        const=DEFAULT_PORT,
        metavar="PORT",
        help=f"serve a page with the live picture at http://{LOCAL}:PORT/ (default: {DEFAULT_PORT}; "
        "0 takes a free one)",
    )
    parser.add_argument(
        "--web-host",
        metavar="ADDRESS",
        help="address of this machine for the page, 0.0.0.0 for all; other machines can then open it, with "
        f"the token that is printed (default: {LOCAL})",
    )


class PacedPage:
    """Gives results to a page, those of a file at its own pace.

    Args:
        page: gets the results.
        paced: results wait for their times; False: a live source.
        clock: returns seconds.
        sleep: waits for seconds.
    """

    def __init__(
        self,
        page: "LivePage",
        *,
        paced: bool,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._page, self._sleep = page, sleep
        self._pace = Pace(paced=paced, clock=clock)

    def frame(self, result: "StreamResult") -> None:
        """Shows a frame."""
        if early := self._pace.early(result.time):
            self._sleep(early)
        self._page.frame(result)


def page_from_options(options: argparse.Namespace, labels: Sequence[str], stream: "Stream") -> "LivePage":
    """Returns the page, open.

    Raises:
        ImportError: the extra `web` is not installed.
        OSError: the port is in use, this user may not use it, or the address is not one of this machine.
        ValueError: the port is no port.
    """
    # Imported here, because it needs the extra.
    from fer_edge.web import LivePage

    host = LOCAL if options.web_host is None else options.web_host
    return LivePage(labels, lambda: stream.info()["source"], host=host, port=options.web)

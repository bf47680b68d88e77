"""Pages of real streams on the tiny networks, and their viewers."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from page_client import PATIENCE_S, MakePage, Viewer
from tiny import frame_with_cells

from fer_edge import Recognizer, Stream
from fer_edge.stream import StreamResult
from fer_edge.web import LivePage


@pytest.fixture
def make_results(recognizer: Recognizer) -> Callable[..., list[StreamResult]]:
    """Returns the results of a stream of equal frames with bright cells, which are faces."""

    def make(count: int = 10, *cells: tuple[int, int], fps: float = 20.0, grey: bool = False) -> Any:
        plane = frame_with_cells(*(cells or ((20, 15),)))
        frame = plane if grey else np.repeat(plane[..., None], 3, axis=2)
        with Stream(recognizer, [(k / fps, frame) for k in range(count)]) as stream:
            return list(stream)

    return make


@pytest.fixture
def make_page(recognizer: Recognizer) -> Iterator[MakePage]:
    """Opens pages; closed after the test."""
    pages: list[LivePage] = []

    def make(**settings: Any) -> LivePage:
        info = {"name": "camera 0", "state": "reading", "frames": 0, "dropped": 0, "reconnects": 0}
        source_info = settings.pop("source_info", lambda: info)
        pages.append(LivePage(recognizer.spec.labels, source_info, **settings))
        return pages[-1]

    yield make
    for page in pages:
        page.close()


@pytest.fixture
def page(make_page: MakePage) -> LivePage:
    """A page on 127.0.0.1."""
    return make_page()


@pytest.fixture
def watch(page: LivePage) -> Iterator[Callable[[], Viewer]]:
    """Opens the page as a viewer."""
    viewers: list[Viewer] = []

    def open_viewer() -> Viewer:
        viewers.append(Viewer(page.url))
        return viewers[-1]

    yield open_viewer
    for viewer in viewers:
        viewer.close()


@pytest.fixture
def wait_for() -> Callable[[Callable[[], bool]], None]:
    """Waits until something is so, in another thread."""

    def wait(condition: Callable[[], bool]) -> None:
        end = time.monotonic() + PATIENCE_S
        while not condition():
            assert time.monotonic() < end, "it did not happen"
            time.sleep(0.002)

    return wait

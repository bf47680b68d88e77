"""Pages in a real browser: `make test-browser`.

Every test module here has the marker ``browser``, which `make test` leaves out, and takes the browser from a
fixture, so that it can be collected without playwright. Without a browser a test fails; none is skipped.
"""

import importlib
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from fer_edge.web import LivePage
from tests.browser.camera import Camera, frames
from tests.browser.chromium import NEEDED, find

# For what happens in a second, on a machine with other work.
PATIENCE_MS = 30_000
SCREENSHOTS = Path("build/browser")


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Chromium without a window; the name attacker.example is made to point to this machine."""
    playwright = importlib.import_module("playwright.sync_api")
    path = find()
    assert path is not None, NEEDED
    with playwright.sync_playwright() as driver:
        arguments = ["--host-resolver-rules=MAP attacker.example 127.0.0.1"]
        browser = driver.chromium.launch(executable_path=path, args=arguments)
        yield browser
        browser.close()


@pytest.fixture
def open_tab(browser: Any) -> Iterator[Callable[..., Any]]:
    """Opens an address in a browser of its own; an error in the page fails the test."""
    contexts, errors = [], []

    def open_tab(url: str, *, script: str = "", **settings: Any) -> Any:
        contexts.append(browser.new_context(**{"viewport": {"width": 1280, "height": 800}, **settings}))
        contexts[-1].set_default_timeout(PATIENCE_MS)
        if script:
            contexts[-1].add_init_script(script)
        tab = contexts[-1].new_page()
        tab.on("pageerror", lambda error: errors.append(str(error)))
        # Also what the content security policy blocks.
        tab.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        tab.goto(url)
        return tab

    yield open_tab
    for context in contexts:
        context.close()
    # That the server has gone is no error of the page.
    assert [error for error in errors if "ERR_CONNECTION_REFUSED" not in error] == []


@pytest.fixture(scope="session")
def camera() -> Iterator[Camera]:
    """A camera with two faces."""
    camera = Camera(frames())
    yield camera
    camera.unplug()


@pytest.fixture
def own_camera() -> Iterator[Camera]:
    """A camera of one test: after it was unplugged, the faces that it shows are other identities."""
    camera = Camera(frames())
    yield camera
    camera.unplug()


@pytest.fixture(scope="session")
def start_stream(camera: Camera) -> Iterator[Callable[..., "tuple[subprocess.Popen[str], str]"]]:
    """Starts `fer-edge stream SOURCE --web`, and returns the process and the address of the page."""
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: object, source: Camera = camera) -> "tuple[subprocess.Popen[str], str]":
        command = [sys.executable, "-m", "fer_edge", "stream", source.url, "--threads", "1", *arguments]
        process = subprocess.Popen(
            list(map(str, command)), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        started.append(process)
        assert process.stderr is not None
        lines = []
        for line in process.stderr:
            if found := re.fullmatch(r"fer-edge: live page at (\S+)\n", line):
                return process, found[1]
            lines.append(line)
        raise AssertionError("".join(lines))

    yield start
    for process in started:
        process.terminate()
        process.communicate(timeout=30)


@pytest.fixture(scope="session")
def url(start_stream: Callable[..., "tuple[subprocess.Popen[str], str]"]) -> str:
    """The page of a stream that goes on."""
    return start_stream("--web", 0)[1]


@pytest.fixture
def own_page() -> Iterator[Callable[..., LivePage]]:
    """A page of this process, of which the test gives the frames."""
    pages: list[LivePage] = []

    def make(labels: tuple[str, ...], **settings: Any) -> LivePage:
        info = {"name": "camera 0", "state": "reading", "frames": 0, "dropped": 0, "reconnects": 0}
        pages.append(LivePage(labels, lambda: info, **settings))
        return pages[-1]

    yield make
    for page in pages:
        page.close()


@pytest.fixture(scope="session")
def screenshots() -> Path:
    """Where pictures of the pages are put, for people to look at."""
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    return SCREENSHOTS

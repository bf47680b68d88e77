"""Two browsers cost one encoding, and a slow one slows nobody."""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from threading import Event, Thread
from typing import Any

import numpy as np
import pytest

from fer_edge import Recognizer, Stream
from fer_edge.web import LivePage
from fer_edge.web.viewers import MAX_UNANSWERED

pytestmark = pytest.mark.browser

# A device on which a picture is decoded when the test says so.
SLOW_DEVICE = """
  window.waiting = [];
  const decode = createImageBitmap;
  window.createImageBitmap = async (data) => {
    await new Promise((resolve) => window.waiting.push(resolve));
    return decode(data);
  };
"""
# Notes the shade of each picture that is drawn: its number.
NOTE_SHADES = """
  window.shades = [];
  const draw = CanvasRenderingContext2D.prototype.drawImage;
  CanvasRenderingContext2D.prototype.drawImage = function (...values) {
    draw.apply(this, values);
    window.shades.push(this.getImageData(2, 2, 1, 1).data[1]);
  };
"""
FPS = 20.0
SHADES = 251
JPEG_ERROR = 3


class Camera:
    """Gives a page frames whose shade rises from 0 to 250, and begins again."""

    def __init__(self, page: LivePage, recognizer: Recognizer) -> None:
        blank = np.zeros((256, 320, 3), np.uint8)
        with Stream(recognizer, [(0.0, blank)]) as stream:
            self._result = next(stream)
        self._page, self._ends = page, Event()
        self.given = 0
        self._thread = Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while not self._ends.wait(1 / FPS):
            frame = np.full((256, 320, 3), self.given % SHADES, np.uint8)
            self._page.frame(replace(self._result, frame=frame, time=self.given / FPS))
            self.given += 1

    def end(self) -> None:
        self._ends.set()
        self._thread.join()


@pytest.fixture
def page(own_page: Callable[..., LivePage], recognizer: Recognizer) -> LivePage:
    return own_page(recognizer.spec.labels)


@pytest.fixture
def shades(page: LivePage, recognizer: Recognizer) -> Iterator[Camera]:
    camera = Camera(page, recognizer)
    yield camera
    camera.end()


def test_two_viewers_cost_one_encoding(open_tab: Callable[..., Any], page: LivePage, shades: Camera) -> None:
    time.sleep(0.3)
    assert page.info() == {"viewers": 0, "pictures": 0}
    tabs = [open_tab(page.url, script=NOTE_SHADES) for _ in range(2)]
    for tab in tabs:
        tab.wait_for_function("() => window.shades.length >= 40")
        tab.wait_for_function("() => document.getElementById('viewers').textContent === '2'")
    # A frame may be drawn before it is counted as given.
    assert page.info()["pictures"] <= shades.given + 1
    for tab in tabs:
        tab.close()
    deadline = time.monotonic() + 30
    while page.info()["viewers"] and time.monotonic() < deadline:
        time.sleep(0.01)
    after = page.info()
    assert after["viewers"] == 0
    time.sleep(0.5)
    assert page.info()["pictures"] <= after["pictures"] + 1


def test_a_slow_viewer_slows_nobody_and_then_gets_the_newest(
    open_tab: Callable[..., Any], page: LivePage, shades: Camera
) -> None:
    slow = open_tab(page.url, script=NOTE_SHADES + SLOW_DEVICE)
    slow.wait_for_function("() => window.waiting.length === 1")
    quick = open_tab(page.url, script=NOTE_SHADES)
    quick.wait_for_function("() => window.shades.length >= 60")
    assert slow.evaluate("[window.shades.length, window.waiting.length]") == [0, 1]
    given = shades.given
    # Two messages were on their way; what follows is the newest, and not what came in the meantime.
    for count in range(1, MAX_UNANSWERED + 2):
        slow.wait_for_function("() => window.waiting.length === 1")
        slow.evaluate("() => window.waiting.shift()()")
        slow.wait_for_function("count => window.shades.length === count", arg=count)
    newer = (slow.evaluate("window.shades.at(-1)") - given + JPEG_ERROR) % SHADES
    assert newer < SHADES / 2


def test_a_hidden_page_costs_nothing(open_tab: Callable[..., Any], page: LivePage, shades: Camera) -> None:
    tab = open_tab(page.url, script=NOTE_SHADES)
    tab.wait_for_function("() => window.shades.length >= 3")
    hide = """isHidden => {
      Object.defineProperty(document, "hidden", { get: () => isHidden, configurable: true });
      document.dispatchEvent(new Event("visibilitychange"));
    }"""
    tab.evaluate(hide, True)
    tab.wait_for_timeout(1000)
    pictures = page.info()["pictures"]
    tab.wait_for_timeout(1000)
    assert page.info()["pictures"] == pictures
    count = tab.evaluate("window.shades.length")
    tab.evaluate(hide, False)
    tab.wait_for_function("count => window.shades.length >= count + 3", arg=count)

"""A person watches a stream: the picture moves, the numbers change, a lost source and its return show."""

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.browser.camera import Camera

pytestmark = pytest.mark.browser

OpenTab = Callable[..., Any]
StartStream = Callable[..., "tuple[subprocess.Popen[str], str]"]

STATE_IS = "name => document.getElementById('state').dataset.state === name"
# How many pixels of the picture are of the colour of happiness.
YELLOW = """() => {
  const pixels = picture.getContext("2d").getImageData(0, 0, picture.width, picture.height).data;
  const isNear = (value, expected) => Math.abs(value - expected) < 20;
  let count = 0;
  for (let k = 0; k < pixels.length; k += 4)
    count += isNear(pixels[k], 240) && isNear(pixels[k + 1], 228) && isNear(pixels[k + 2], 66);
  return count;
}"""
IS_DRAWN = """canvas =>
  canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data.some(Boolean)"""
# Keeps the picture, and is true once ten others were seen.
PICTURE_MOVES = """() => {
  const now = document.getElementById("picture").toDataURL();
  window.seen ??= new Set();
  return window.seen.add(now).size > 10;
}"""


def test_the_picture_moves_and_the_numbers_change(open_tab: OpenTab, url: str, screenshots: Path) -> None:
    tab = open_tab(url, color_scheme="light")
    tab.wait_for_function(STATE_IS, arg="live")
    tab.wait_for_function(PICTURE_MOVES)
    assert tab.evaluate("[picture.width, picture.height]") == [640, 480]
    assert tab.locator("#source").text_content() == tab.title().removesuffix(" - fer-edge")
    # The box and the label of a happy face.
    assert tab.evaluate(YELLOW) > 500
    frames = int(tab.locator("#frames").text_content())
    tab.wait_for_function(
        "frames => Number(document.getElementById('frames').textContent) > frames", arg=frames
    )
    assert float(tab.locator("#fps").text_content()) > 0
    assert float(tab.locator("#ms").text_content()) > 0
    cards = tab.locator(".card:not(.is-gone)")
    cards.nth(1).wait_for()
    for card in cards.all():
        assert card.locator(".label").text_content().startswith("happiness ")
        assert card.locator(".bar").count() == 8
        assert float(card.get_by_role("meter", name="happiness").get_attribute("aria-valuenow")) > 50
        # The minute has begun.
        assert card.locator(".timeline").evaluate(IS_DRAWN)
    events = tab.locator("#events li").all_text_contents()
    assert any(event.endswith("Face 1 appeared") for event in events)
    assert any(event.endswith("Face 1 shows happiness") for event in events)
    tab.screenshot(path=screenshots / "light.png")


def test_a_page_that_is_opened_later_has_the_minute_before(open_tab: OpenTab, url: str) -> None:
    first = open_tab(url)
    first.wait_for_function("() => document.querySelectorAll('#events li').length >= 4")
    events = first.locator("#events li").all_text_contents()
    later = open_tab(url)
    later.wait_for_function("() => document.querySelectorAll('#events li').length >= 4")
    assert later.locator("#events li").all_text_contents()[-len(events) :] == events


def test_a_lost_source_and_its_return(
    own_camera: Camera, open_tab: OpenTab, start_stream: StartStream, screenshots: Path
) -> None:
    process, url = start_stream("--web", 0, "--reconnect", 60, source=own_camera)
    tab = open_tab(url, color_scheme="dark")
    tab.wait_for_function(STATE_IS, arg="live")
    own_camera.unplug()
    try:
        tab.wait_for_function(STATE_IS, arg="lost")
        assert tab.locator("#notice").is_visible()
        assert tab.get_by_role("alert").text_content() == "The source was lost"
        assert "The source was lost" in tab.locator("#events li").first.text_content()
        tab.wait_for_function("() => document.getElementById('fps').textContent === '0.0'")
        tab.screenshot(path=screenshots / "lost.png")
    finally:
        own_camera.plug_in()
    tab.wait_for_function(STATE_IS, arg="live")
    assert not tab.locator("#notice").is_visible()
    assert tab.get_by_role("alert").text_content() == "The source is back"
    tab.wait_for_function(PICTURE_MOVES)
    # The end, and a new start at the same address.
    port = url.rstrip("/").rpartition(":")[2]
    process.terminate()
    tab.wait_for_function(STATE_IS, arg="ended")
    assert tab.locator("#notice").text_content() == "The stream has ended."
    assert process.wait(30) == 143
    start_stream("--web", port, source=own_camera)
    tab.wait_for_function(STATE_IS, arg="live")


def test_a_pause(open_tab: OpenTab, url: str) -> None:
    tab = open_tab(url)
    tab.wait_for_function(PICTURE_MOVES)
    tab.get_by_role("button", name="Pause").click()
    assert tab.locator("#state").text_content() == "Paused"
    # What was on its way.
    tab.wait_for_timeout(500)
    still = tab.evaluate("picture.toDataURL()")
    tab.wait_for_timeout(500)
    assert tab.evaluate("picture.toDataURL()") == still
    tab.get_by_role("button", name="Resume").click()
    tab.wait_for_function(STATE_IS, arg="live")
    tab.wait_for_function("still => picture.toDataURL() !== still", arg=still)

"""The page on a desktop and on a phone, light and dark: nothing is cut off, and all text can be read."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.browser

TOUCH = {"is_mobile": True, "has_touch": True}
DEVICES: dict[str, dict[str, Any]] = {
    "desktop": {"viewport": {"width": 1280, "height": 800}},
    "wide": {"viewport": {"width": 1920, "height": 1080}},
    "phone": {"viewport": {"width": 390, "height": 844}, "device_scale_factor": 2, **TOUCH},
    "small-phone": {"viewport": {"width": 320, "height": 568}, **TOUCH},
}

# The contrast of each text with the ground behind it, as WCAG 2.2 defines it: [ratio, text], lowest first.
CONTRASTS = """() => {
  const channels = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const luminance = (colour) => {
    const [red, green, blue] = channels(colour).map((value) => {
      const share = value / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  const groundOf = (element) => {
    for (; element; element = element.parentElement) {
      const colour = getComputedStyle(element).backgroundColor;
      if ((channels(colour)[3] ?? 1) > 0) return colour;
    }
  };
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    const box = element.getBoundingClientRect();
    if (!walker.currentNode.textContent.trim() || box.width < 2 || !element.checkVisibility()) continue;
    const [dark, light] = [luminance(getComputedStyle(element).color), luminance(groundOf(element))].sort(
      (first, second) => first - second,
    );
    found.push([(light + 0.05) / (dark + 0.05), walker.currentNode.textContent.trim()]);
  }
  return found.sort((first, second) => first[0] - second[0]);
}"""
# What sticks out of the page to the right, or is cut off.
CUT_OFF = """() => [...document.querySelectorAll("main *, header *")].filter((element) => {
  const box = element.getBoundingClientRect();
  return element.checkVisibility() && box.width > 2 && box.right > document.documentElement.clientWidth + 1;
}).map((element) => element.outerHTML.slice(0, 80))"""


@pytest.mark.parametrize("device", DEVICES)
def test_everything_fits_and_can_be_read(
    device: str, open_tab: Callable[..., Any], url: str, screenshots: Path
) -> None:
    settings = DEVICES[device]
    tab = open_tab(url, **settings)
    tab.locator(".card:not(.is-gone)").nth(1).wait_for()
    tab.wait_for_function("() => document.getElementById('state').dataset.state === 'live'")
    tab.wait_for_function("() => Number(document.getElementById('fps').textContent) > 0")
    for scheme in ("light", "dark"):
        tab.emulate_media(color_scheme=scheme)
        tab.screenshot(path=screenshots / f"{device}-{scheme}.png", full_page="phone" in device)
        lowest, text = tab.evaluate(CONTRASTS)[0]
        assert lowest >= 4.5, text
    assert tab.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    assert tab.evaluate(CUT_OFF) == []
    # The picture keeps its shape, and is in sight without scrolling.
    box = tab.locator("#picture").bounding_box()
    assert box["y"] + box["height"] <= settings["viewport"]["height"]
    assert box["width"] >= min(settings["viewport"]["width"], 700)
    for control in tab.get_by_role("button").all():
        assert control.bounding_box()["height"] >= 44


def test_bars_have_the_colours_of_the_drawings_on_a_dark_ground(
    open_tab: Callable[..., Any], url: str
) -> None:
    tab = open_tab(url, color_scheme="light")
    card = tab.locator(".card:not(.is-gone)").first
    card.wait_for()
    fill = card.locator(".bar", has_text="happiness").locator(".fill")
    assert fill.evaluate("element => getComputedStyle(element).backgroundColor") == "rgb(240, 228, 66)"
    bars = card.locator(".bars").evaluate("element => getComputedStyle(element).backgroundColor")
    assert bars == "rgb(24, 24, 24)"


def test_reduced_motion_is_respected(open_tab: Callable[..., Any], url: str) -> None:
    tab = open_tab(url, reduced_motion="reduce")
    tab.locator(".card .fill").first.wait_for(state="attached")
    duration = "element => getComputedStyle(element).transitionDuration"
    assert tab.locator(".card .fill").first.evaluate(duration) in ("0s", "none")
    redraws = """() => new Promise((resolve) => {
      let count = 0;
      const clear = CanvasRenderingContext2D.prototype.clearRect;
      CanvasRenderingContext2D.prototype.clearRect = function (...values) {
        count += 1;
        clear.apply(this, values);
      };
      setTimeout(() => resolve(count), 3000);
    })"""
    cards = tab.locator(".card:not([hidden])").count()
    # Once a second each.
    assert tab.evaluate(redraws) <= 4 * (cards + 1)

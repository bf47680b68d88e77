"""The page by keyboard and with a screen reader."""

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from fer_edge import Recognizer, Stream
from fer_edge.stream.result import Event
from fer_edge.web import LivePage

pytestmark = pytest.mark.browser

OpenTab = Callable[..., Any]
# The focused element, and whether its outline can be seen.
FOCUSED = """() => {
  const style = getComputedStyle(document.activeElement);
  const { id, className } = document.activeElement;
  return [id || className, style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2];
}"""


@pytest.fixture
def tab(open_tab: OpenTab, url: str) -> Any:
    """A live page with two faces."""
    tab = open_tab(url)
    tab.locator(".card:not(.is-gone)").nth(1).wait_for()
    tab.wait_for_function("() => /face \\d/.test(document.getElementById('picture').ariaLabel)")
    return tab


def test_all_controls_are_reached_by_tab_and_the_focus_is_seen(tab: Any) -> None:
    reached = []
    for _ in range(5):
        tab.keyboard.press("Tab")
        reached.append(tab.evaluate(FOCUSED))
    assert reached == [[name, True] for name in ("skip", "pause", "enlarge", "announce", "events")]


def test_the_skip_link_and_the_buttons_work_by_keyboard(tab: Any) -> None:
    tab.keyboard.press("Tab")
    assert tab.get_by_role("link", name="Skip to the faces").bounding_box()["y"] >= 0
    tab.keyboard.press("Enter")
    assert tab.evaluate("document.activeElement.id") == "faces"
    tab.locator("#pause").focus()
    tab.keyboard.press("Space")
    assert tab.get_by_role("button", name="Resume").is_visible()
    tab.keyboard.press("Enter")
    assert tab.get_by_role("button", name="Pause").is_visible()


def test_a_screen_reader_finds_names_roles_and_values(tab: Any) -> None:
    # Both faces are there in most frames, not in each.
    both = "() => /2 faces, face \\d+: happiness .*, face \\d+: happiness/.test(picture.ariaLabel)"
    tab.wait_for_function(both)
    tree = tab.locator("body").aria_snapshot()
    for expected in (
        r'- heading "fer-edge" \[level=1\]',
        r'- region "Picture"',
        r"""- 'img "Annotated picture, 2 faces, face \d+: happiness \d+%, face \d+: happiness \d+%"'""",
        r'- button "Pause"',
        r'- button "Full screen"',
        r'- checkbox "Announce events to screen readers" \[checked\]',
        r'- region "Faces"',
        r'- list "Faces"',
        r'- listitem "Face \d+"',
        r'- heading "Face \d+" \[level=3\]',
        r'- group "Expressions of face \d+"',
        r'- meter "happiness"',
        r"""- 'img "Last minute of face \d+: happiness \d+%""",
        r'- region "Events"',
        r'- list "Events"',
        r"- status",
        r"- alert",
    ):
        assert re.search(expected, tree), expected
    assert tab.evaluate("document.documentElement.lang") == "en"
    for meter in tab.get_by_role("meter").all():
        assert 0 <= float(meter.get_attribute("aria-valuenow")) <= 100
    # Everything that can be focused has a name.
    nameless = """() => [...document.querySelectorAll("button, a, input, canvas, [tabindex]")].filter(
      (element) => !(element.textContent.trim() || element.labels?.length || element.ariaLabel ||
        element.getAttribute("aria-labelledby"))).length"""
    assert tab.evaluate(nameless) == 0


def test_announcements_do_not_chatter(
    open_tab: OpenTab, own_page: Callable[..., LivePage], recognizer: Recognizer
) -> None:
    with Stream(recognizer, [(0.0, np.zeros((256, 320, 3), np.uint8))]) as stream:
        result = next(stream)
    page = own_page(("neutral", "happiness"))

    def give(number: int) -> None:
        events = tuple(
            Event("expression_entered", id, ("neutral", "happiness")[number % 2], number / 10, number / 10)
            for id in (1, 2)
        )
        page.frame(replace(result, events=events, time=number / 10))

    give(0)
    tab = open_tab(page.url)
    tab.wait_for_function("() => document.querySelectorAll('#events li').length === 2")
    tab.evaluate("""() => {
      window.spoken = [];
      const note = (changes) => changes.forEach((change) => window.spoken.push(change.target.textContent));
      for (const id of ["announcements", "alerts"])
        new MutationObserver(note).observe(document.getElementById(id), { childList: true });
    }""")
    began = tab.evaluate("performance.now()")
    for number in range(1, 61):
        give(number)
        tab.wait_for_timeout(100)
    tab.wait_for_function("() => window.spoken.length >= 1")
    tab.wait_for_function("() => document.querySelectorAll('#events li').length === 122")
    seconds = (tab.evaluate("performance.now()") - began) / 1000
    spoken = tab.evaluate("window.spoken")
    # 120 events; every five seconds the last of each face is told.
    assert len(spoken) <= seconds / 5 + 1
    assert re.fullmatch(r"Face 1 shows (neutral|happiness)\. Face 2 shows \1", spoken[0])
    # The log itself is silent, and so are the numbers.
    assert tab.locator("[aria-live], [role=log], [role=status], [role=alert]").count() == 2
    tab.get_by_label("Announce events").uncheck()
    tab.evaluate("() => { window.spoken = []; }")
    give(61)
    tab.wait_for_timeout(5500)
    assert tab.evaluate("window.spoken") == []

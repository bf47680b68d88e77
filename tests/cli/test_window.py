"""The window of `fer-edge stream`. A test double stands in for the display."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from made_videos import cell_video

from fer_edge.cli import main
from fer_edge.cli.window import Window

PICTURE = np.zeros((480, 640, 3), np.uint8)


class FakeDisplay:
    """OpenCV's functions for windows, of a build that has them.

    Attributes:
        shown: the pictures.
        sizes: of the window.
        delays: how long it waited for a key, in milliseconds.
        stop: what the user does at the third picture: presses "q" or "escape", or "close"s the window.
    """

    def __init__(self) -> None:
        self.shown: list[np.ndarray] = []
        self.sizes: list[tuple[int, int]] = []
        self.delays: list[int] = []
        self.stop = ""

    def wait_key(self, delay: int) -> int:
        """Returns the key, or -1."""
        self.delays.append(delay)
        return {"q": ord("q"), "escape": 27}.get(self.stop, -1) if len(self.shown) == 3 else -1

    def property(self, name: str, which: int) -> float:
        """Returns whether the window is visible."""
        return 0.0 if self.stop == "close" and len(self.shown) == 3 else 1.0


@pytest.fixture
def display(monkeypatch: pytest.MonkeyPatch) -> FakeDisplay:
    """A display."""
    display = FakeDisplay()
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setattr(cv2, "destroyAllWindows", lambda: None)
    monkeypatch.setattr(cv2, "namedWindow", lambda name, flags: None)
    monkeypatch.setattr(cv2, "resizeWindow", lambda name, *size: display.sizes.append(size))
    monkeypatch.setattr(cv2, "imshow", lambda name, picture: display.shown.append(picture))
    monkeypatch.setattr(cv2, "waitKey", display.wait_key)
    monkeypatch.setattr(cv2, "getWindowProperty", display.property)
    return display


@pytest.mark.parametrize(("stop", "frames"), [("q", 3), ("escape", 3), ("close", 3), ("", 10)])
def test_it_shows_frames_until_the_user_ends_it(
    stop: str,
    frames: int,
    display: FakeDisplay,
    detector_file: Path,
    expression_file: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    display.stop = stop
    models = ("--model", str(expression_file), "--detector", str(detector_file))
    assert main(["stream", str(cell_video(tmp_path / "cell.mp4")), "--window", "--json", *models]) == 0
    assert len(display.shown) == len(capsys.readouterr().out.splitlines()) == frames
    assert display.shown[0].shape == (256, 320, 3)
    assert display.sizes == [(320, 256)]


def test_a_large_picture_begins_smaller(display: FakeDisplay) -> None:
    Window("large", paced=False).show(np.zeros((2160, 3840, 3), np.uint8), 0.0)
    assert display.sizes == [(1280, 720)]


@pytest.mark.parametrize(("paced", "delays"), [(True, [1, 50, 30, 1]), (False, [1, 1, 1, 1])])
def test_a_file_is_shown_at_its_times(paced: bool, delays: list[int], display: FakeDisplay) -> None:
    now = 100.0
    window = Window("paced", paced=paced, clock=lambda: now)
    for time, clock in ((0.5, 100.0), (0.55, 100.0), (0.6, 100.07), (0.65, 100.4)):
        now = clock
        assert window.show(PICTURE, time)
    assert display.delays == delays


def test_a_gap_of_a_file_is_not_waited_for(display: FakeDisplay) -> None:
    window = Window("paced", paced=True, clock=lambda: 100.0)
    for time in (0.0, 10.0, 3600.0, 3600.05):
        window.show(PICTURE, time)
    assert display.delays == [1, 10_000, 1, 50]
    assert len(display.sizes) == 1

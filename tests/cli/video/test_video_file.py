"""Written videos keep the times of their source."""

from pathlib import Path

import numpy as np
import pytest
from made_videos import read_video

from fer_edge.cli.video.video_file import MAX_STILL_S, VideoFile


def _greys(path: Path) -> list[int]:
    return [round(float(frame.mean())) for frame in read_video(path)[0]]


def _write(path: Path, times: list[float], fps: float = 10.0) -> list[int]:
    """Writes a picture of grey 20, 40, 60, ... at each time; returns the greys of the video."""
    with VideoFile(path, fps) as video:
        for number, time in enumerate(times, 1):
            video.show(np.full((64, 96, 3), 20 * number, np.uint8), time)
    return _greys(path)


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        ([0.0, 0.1, 0.2], [20, 40, 60]),
        # A live source starts at any time, and two frames are missing.
        ([7.3, 7.4, 7.7], [20, 40, 40, 40, 60]),
        # Twice as many frames as the video has.
        ([0.0, 0.04, 0.1, 0.14, 0.2], [20, 60, 100]),
        # The camera was away for an hour.
        ([0.0, 0.1, 3600.0, 3600.1], [20, 40, 60, 80]),
    ],
)
def test_the_duration_is_that_of_the_source(times: list[float], expected: list[int], tmp_path: Path) -> None:
    assert _write(tmp_path / "a.mp4", times) == pytest.approx(expected, abs=8)


def test_a_pause_up_to_the_limit_is_a_still_picture(tmp_path: Path) -> None:
    assert len(_write(tmp_path / "a.mp4", [0.0, MAX_STILL_S])) == MAX_STILL_S * 10 + 1


def test_without_frames_no_file_is_left(tmp_path: Path) -> None:
    with VideoFile(tmp_path / "a.mp4", 25.0):
        pass
    assert not (tmp_path / "a.mp4").exists()

"""The frames of EndToEnd."""

from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import pytest

from fer_edge.benchmark.work.clips import clip_from_video


@pytest.mark.parametrize("fps", [12.0, 60.0])
def test_a_video_is_played_at_its_own_rate(fps: float, tmp_path: Path) -> None:
    writer = cv2.VideoWriter(str(tmp_path / "a.mp4"), cv2.VideoWriter_fourcc(*"mp4v"), fps, (64, 48))
    for grey in (0, 60, 120):
        writer.write(np.full((48, 64, 3), grey, np.uint8))
    writer.release()
    played = list(islice(clip_from_video(tmp_path / "a.mp4").endless(), 6))
    assert [time for time, _ in played] == pytest.approx([number / fps for number in range(6)], rel=1e-3)
    assert [frame.mean() for _, frame in played] == pytest.approx([0, 60, 120, 60, 0, 60], abs=8)

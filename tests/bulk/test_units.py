"""What a worker answers for a unit, without Ray."""

from pathlib import Path

from fer_edge.bulk.recognize import UnitRecognizer
from fer_edge.bulk.units import VideoFile
from tests.cli.made_videos import cut_video


def test_a_video_that_breaks_off_has_a_last_row_with_error(
    detector_file: Path, expression_file: Path, tmp_path: Path
) -> None:
    cut_video(tmp_path / "cut.avi")
    settings = {"model": str(expression_file), "detector": str(detector_file), "threads": 1}
    rows = UnitRecognizer(settings, {}, str(tmp_path), {})(VideoFile("cut.avi")).to_pylist()
    frames = len(rows) - 1
    assert 5 <= frames <= 12
    assert [row["index"] for row in rows] == [*range(frames), None]
    assert [row["error"] for row in rows[:-1]] == [None] * frames
    assert rows[-1]["error"] == f"lacks its last {20 - frames} frames; is it complete?"

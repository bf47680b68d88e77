"""A written video is whole, or an error: full disks, short videos, names that look like protocols."""

from pathlib import Path

import numpy as np
import pytest
from made_videos import full_disk, noise_video, read_video

from fer_edge.cli.video import video_file
from fer_edge.cli.video.video_file import CODECS, UnwritableVideoError, VideoFile


@pytest.mark.parametrize("ending", CODECS)
def test_a_disk_that_becomes_full_is_an_error(ending: str, tmp_path: Path) -> None:
    frames = read_video(noise_video(tmp_path / "noise.mp4"))[0]
    path = tmp_path / f"a{ending}"
    with full_disk():
        video = VideoFile(path, 10.0)
        for number, frame in enumerate(frames):
            video.show(frame, number / 10)
        with pytest.raises(UnwritableVideoError, match="its 20 frames cannot be read back") as caught:
            video.close()
    assert caught.value.filename == str(path)


def test_an_interrupted_video_on_a_full_disk_stays_interrupted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    frames = read_video(noise_video(tmp_path / "noise.mp4"))[0]
    path = tmp_path / "a.mp4"
    with full_disk(), pytest.raises(KeyboardInterrupt), VideoFile(path, 10.0) as video:
        for number, frame in enumerate(frames):
            video.show(frame, number / 10)
        raise KeyboardInterrupt
    assert capsys.readouterr().err.startswith(f"fer-edge: {path} cannot be written: its 20 frames")


def test_a_video_ends_before_the_disk_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, picture = tmp_path / "a.mp4", np.full((64, 96, 3), 20, np.uint8)
    with (
        pytest.raises(UnwritableVideoError, match="the disk is full"),
        VideoFile(path, 10.0) as video,
    ):
        video.show(picture, 0.0)
        video.show(picture, 0.1)
        monkeypatch.setattr(video_file, "MIN_FREE_BYTES", 1 << 80)
        video.show(picture, 0.2)
    assert len(read_video(path)[0]) == 2


@pytest.mark.parametrize("frames", [1, 2, 3])
@pytest.mark.parametrize("fps", [1.0, 29.97, 240.0])
@pytest.mark.parametrize("ending", CODECS)
def test_the_shortest_videos_are_whole(ending: str, fps: float, frames: int, tmp_path: Path) -> None:
    with VideoFile(tmp_path / f"a{ending}", fps) as video:
        for number in range(frames):
            video.show(np.full((64, 96, 3), 20, np.uint8), number / fps)
    assert len(read_video(tmp_path / f"a{ending}")[0]) == frames


def test_a_relative_name_with_a_colon_is_no_protocol(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with VideoFile(Path("12:30.mp4"), 10.0) as video:
        video.show(np.full((64, 96, 3), 20, np.uint8), 0.0)
    assert len(read_video(tmp_path / "12:30.mp4")[0]) == 1

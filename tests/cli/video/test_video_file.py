"""Written videos keep the times of their source."""

from pathlib import Path

import numpy as np
import pytest
from made_videos import full_disk, noise_video, read_video

from fer_edge.cli.video import video_file
from fer_edge.cli.video.video_file import MAX_STILL_S, VideoFile


def _greys(path: Path) -> list[int]:
    return [round(float(frame.mean())) for frame in read_video(path.absolute())[0]]


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


@pytest.mark.parametrize("ending", video_file.CODECS)
def test_a_disk_that_becomes_full_is_an_error(ending: str, tmp_path: Path) -> None:
    frames = read_video(noise_video(tmp_path / "noise.mp4"))[0]
    path = tmp_path / f"a{ending}"
    with full_disk():
        video = VideoFile(path, 10.0)
        for number, frame in enumerate(frames):
            video.show(frame, number / 10)
        with pytest.raises(
            video_file.UnwritableVideoError, match="its 20 frames cannot be read back"
        ) as caught:
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
        pytest.raises(video_file.UnwritableVideoError, match="the disk is full"),
        VideoFile(path, 10.0) as video,
    ):
        video.show(picture, 0.0)
        video.show(picture, 0.1)
        monkeypatch.setattr(video_file, "MIN_FREE_BYTES", 1 << 80)
        video.show(picture, 0.2)
    assert _greys(path) == pytest.approx([20, 20], abs=8)


@pytest.mark.parametrize("frames", [1, 2, 3])
@pytest.mark.parametrize("fps", [1.0, 29.97, 240.0])
@pytest.mark.parametrize("ending", video_file.CODECS)
def test_the_shortest_videos_are_whole(ending: str, fps: float, frames: int, tmp_path: Path) -> None:
    with VideoFile(tmp_path / f"a{ending}", fps) as video:
        for number in range(frames):
            video.show(np.full((64, 96, 3), 20, np.uint8), number / fps)
    assert len(read_video(tmp_path / f"a{ending}")[0]) == frames


def test_a_relative_name_with_a_colon_is_no_protocol(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert _write(Path("12:30.mp4"), [0.0, 0.1]) == pytest.approx([20, 40], abs=8)


def test_without_frames_no_file_is_left(tmp_path: Path) -> None:
    with VideoFile(tmp_path / "a.mp4", 25.0):
        pass
    assert not (tmp_path / "a.mp4").exists()

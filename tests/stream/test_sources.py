"""What can be a source, the order and times of its frames, and the messages of wrong sources."""

import logging
import os
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from made_pictures import png, with_orientation
from tiny import frame_with_cells, write_picture

from fer_edge import Recognizer, Stream
from fer_edge.pictures.read_picture import read_picture


@pytest.fixture
def video(tmp_path: Path) -> Path:
    """Twelve frames at 10 frames a second, in which a face moves by a cell each frame."""
    path = tmp_path / "video.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 10.0, (320, 256))
    for number in range(12):
        writer.write(np.repeat(frame_with_cells((4 + number, 7))[..., None], 3, axis=2))
    writer.release()
    return path


def test_a_video_is_read_in_order_without_loss(recognizer: Recognizer, video: Path) -> None:
    for source in (video, str(video)):
        with Stream(recognizer, source, detect_every=1) as stream:
            results = list(stream)
            assert stream.info()["source"] == {
                "name": str(video),
                "is_live": False,
                "state": "ended",
                "frames": 12,
                "missing": 0,
                "dropped": 0,
                "reconnects": 0,
            }
        assert [result.index for result in results] == list(range(12))
        assert [result.time for result in results] == pytest.approx([n / 10 for n in range(12)])
        assert [result.faces[0].box[0] for result in results] == pytest.approx(
            [8 * (4 + n) - 12 for n in range(12)], abs=1e-3
        )


@pytest.mark.parametrize("live", [False, True])
def test_a_video_that_breaks_off_says_how_many_frames_are_missing(
    recognizer: Recognizer, video: Path, live: bool, caplog: pytest.LogCaptureFixture
) -> None:
    os.truncate(video, video.stat().st_size * 7 // 10)
    with Stream(recognizer, video, live=live) as stream:
        for _ in stream:
            pass
        source = stream.info()["source"]
    # The file is more than its frames, and OpenCV may give the one that is cut.
    assert 5 <= source["frames"] <= 8
    assert source["missing"] == 12 - source["frames"]
    assert f"{video} ended after {source['frames']} of 12 frames" in caplog.text


def test_after_the_end_iteration_ends_again(recognizer: Recognizer, video: Path) -> None:
    with Stream(recognizer, video) as stream:
        assert len(list(stream)) == 12
        assert list(stream) == []


def test_a_folder_is_read_in_natural_order(recognizer: Recognizer, tmp_path: Path) -> None:
    for number in (10, 9, 1):
        write_picture(tmp_path / f"frame{number}.png", *[(4 + 6 * n, 7) for n in range(number % 8)])
    (tmp_path / "notes.txt").write_text("not a picture")
    (tmp_path / "._frame2.png").write_text("what a Mac leaves behind")
    with Stream(recognizer, tmp_path, detect_every=1) as stream:
        results = list(stream)
    assert [len(result.faces) for result in results] == [1, 1, 2]
    assert [result.time for result in results] == [0.0, 0.04, 0.08]
    with Stream(recognizer, tmp_path, fps=10) as stream:
        assert [result.time for result in stream] == [0.0, 0.1, 0.2]


def test_frames_times_and_layouts_of_iterables(recognizer: Recognizer) -> None:
    grey = frame_with_cells((10, 7))
    bgr = np.repeat(grey[..., None], 3, axis=2)
    nv12 = np.concatenate([grey, np.full((128, 320), 128, np.uint8)])
    for frames, layout in (([grey, bgr], None), ([nv12, nv12], "nv12"), (np.stack([bgr, bgr]), None)):
        with Stream(recognizer, frames, layout=layout, fps=50) as stream:
            results = list(stream)
        assert [result.time for result in results] == [0.0, 0.02]
        assert [len(result.faces) for result in results] == [1, 1]
        assert results[0].frame is frames[0] or isinstance(frames, np.ndarray)
    with Stream(recognizer, [(3, grey), (np.float32(3.5), bgr), (3.5, bgr)]) as stream:
        assert [result.time for result in stream] == [3.0, 3.5, 3.5]


def test_frames_without_a_time_are_timed_by_the_clock(recognizer: Recognizer) -> None:
    moments = iter([10.0] * 3)  # when the stream is made
    now = [10.0]
    with Stream(recognizer, [frame_with_cells()] * 3, clock=lambda: next(moments, now[0])) as stream:
        times = []
        for result in stream:
            times.append(result.time)
            now[0] += 0.25
    assert times == pytest.approx([0.0, 0.25, 0.5])


def test_a_file_that_ends_early_is_reported(
    recognizer: Recognizer, video: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cut = tmp_path / "cut.avi"
    cut.write_bytes(video.read_bytes()[: video.stat().st_size // 2])
    with Stream(recognizer, video) as stream, caplog.at_level(logging.WARNING, "fer_edge"):
        list(stream)
    assert not caplog.records
    with Stream(recognizer, cut) as stream:
        count = len(list(stream))
    assert 0 < count < 12


def test_a_pipeline_needs_gstreamer(recognizer: Recognizer) -> None:
    if cv2.videoio_registry.hasBackend(cv2.CAP_GSTREAMER):
        pytest.skip("this OpenCV has GStreamer")
    with pytest.raises(ImportError, match="needs an OpenCV with GStreamer, and the installed one"):
        Stream(recognizer, "videotestsrc ! appsink")


def test_files_that_are_no_video_and_folders_without_pictures(recognizer: Recognizer, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(FileNotFoundError, match="folder has no pictures"):
        Stream(recognizer, tmp_path / "folder")
    (tmp_path / "text.mp4").write_text("no video")
    with pytest.raises(OSError, match=r"text\.mp4 cannot be read as a video"):
        Stream(recognizer, tmp_path / "text.mp4")
    (tmp_path / "folder" / "a.png").write_text("no picture")
    with (
        Stream(recognizer, tmp_path / "folder") as stream,
        pytest.raises(ValueError, match=r"a\.png is not a picture that OpenCV can read"),
    ):
        next(stream)


def test_frames_that_cannot_be_read_are_counted(recognizer: Recognizer, tmp_path: Path) -> None:
    for number in (0, 2, 5):
        write_picture(tmp_path / f"{number}.png", (10, 7))
    (tmp_path / "1.png").write_text("no picture")
    (tmp_path / "3.png").write_bytes(b"")
    (tmp_path / "4.png").symlink_to(tmp_path / "missing")

    class Camera:
        """Fails in its first and third frame, and goes on."""

        def __init__(self) -> None:
            self.number = -1

        def __iter__(self) -> "Camera":
            return self

        def __next__(self) -> np.ndarray:
            self.number += 1
            if self.number in (0, 2):
                raise KeyError(self.number)
            if self.number == 4:
                raise StopIteration
            return frame_with_cells((10, 7))

    def read(source: Any) -> tuple[list[tuple[int, float]], list[str], int]:
        shown, errors = [], []
        with Stream(recognizer, source, fps=10) as stream:
            while True:
                try:
                    result = next(stream, None)
                except (ValueError, OSError, KeyError) as error:
                    errors.append(str(error))
                    continue
                if result is None:
                    return shown, errors, stream.info()["source"]["frames"]
                shown.append((result.index, result.time))

    shown, errors, frames = read(tmp_path)
    assert (shown, frames) == ([(0, 0.0), (2, 0.2), (5, 0.5)], 6)
    assert errors[0].startswith(f"frame 1 of {tmp_path}: 1.png is not a picture")
    assert errors[1] == f"frame 3 of {tmp_path}: 3.png is empty (0 bytes)"
    assert "4.png" in errors[2]
    shown, errors, frames = read(Camera())
    assert (shown, errors, frames) == ([(1, 0.1), (3, pytest.approx(0.3))], ["0", "2"], 4)


def test_pictures_of_a_folder_are_upright_and_their_deep_samples_scaled(
    recognizer: Recognizer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    grey = np.arange(40 * 60, dtype=np.uint16).reshape(40, 60) % 256
    jpeg = cv2.imencode(".jpg", grey.astype(np.uint8))[1].tobytes()
    (tmp_path / "1-turned.jpg").write_bytes(with_orientation(jpeg, 6))
    (tmp_path / "2-deep.png").write_bytes(png(grey * 257))
    white = np.full((1, 1), 255, np.uint8)
    cv2.imwritemulti(str(tmp_path / "3-pages.TIF"), [white, white])
    upright = np.rot90(cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR), -1)
    deep = np.repeat(grey.astype(np.uint8)[..., None], 3, axis=2)
    with Stream(recognizer, tmp_path) as stream:
        frames = [result.frame for result in stream]
    # What `fer-edge predict` sees.
    seen = [read_picture(path).pixels for path in sorted(tmp_path.iterdir())]
    for frame, other, wanted in zip(frames, seen, [upright, deep, np.full((1, 1, 3), 255)], strict=True):
        np.testing.assert_array_equal(frame, wanted)
        np.testing.assert_array_equal(frame, other)
    assert "3-pages.TIF holds 2 frames or pages; only the first is used" in caplog.text

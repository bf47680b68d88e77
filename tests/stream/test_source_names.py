"""What a source is, by what it is called."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from fer_edge import Recognizer, Stream
from fer_edge.stream.sources import source_from


@pytest.mark.parametrize(
    ("source", "kind", "is_live"),
    [
        (0, "camera 0", True),
        ("/dev/video2", "camera /dev/video2", True),
        ("rtsp://camera/stream", "rtsp://camera/stream", True),
        ("http://host/video.mjpg", "http://host/video.mjpg", True),
        ("v4l2src ! videoconvert ! appsink", "v4l2src ! videoconvert ! appsink", True),
        ([], "list", False),
        (lambda: iter([]), "<lambda>", True),
    ],
)
def test_kinds_of_sources(source: Any, kind: str, is_live: bool) -> None:
    found = source_from(source, live=None, fps=None)
    assert (found.name, found.is_live) == (kind, is_live)
    assert source_from(source, live=not is_live, fps=None).is_live != is_live


def test_every_name_of_a_device_is_a_camera(
    recognizer: Recognizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = tmp_path / "front_camera"
    link.symlink_to("/dev/null")  # as udev links to /dev/video2
    with pytest.raises(ConnectionError, match=f"camera {link} cannot be opened; is it plugged in"):
        Stream(recognizer, link)
    with pytest.raises(ConnectionError, match="camera /dev/v4l/by-id/usb-none-index0 cannot be opened"):
        Stream(recognizer, "/dev/v4l/by-id/usb-none-index0")
    found = source_from(link, live=None, fps=None)
    assert (found.is_live, found.reopens) == (True, True)
    # A camera that is plugged in again may have another number.
    opened: list[str] = []
    monkeypatch.setattr(cv2, "VideoCapture", lambda name: opened.append(name) or _NoDevice())
    for device in ("/dev/zero", "/dev/null"):
        link.unlink()
        link.symlink_to(device)
        with pytest.raises(ConnectionError):
            found.open()
    assert opened == ["/dev/zero", "/dev/null"]


class _NoDevice:
    """Stands in for cv2.VideoCapture of a camera that is not there."""

    def isOpened(self) -> bool:  # noqa: N802 (OpenCV's name)
        return False

    def release(self) -> None:
        pass


@pytest.mark.parametrize("name", ["Bravo ! Noel.mp4", "2024-05-01T12:30:45.mp4", "file:a.mp4"])
def test_names_of_videos_that_look_like_something_else(
    recognizer: Recognizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    writer = cv2.VideoWriter("a.mp4", cv2.VideoWriter_fourcc(*"mp4v"), 10.0, (64, 48))
    for _ in range(3):
        writer.write(np.zeros((48, 64, 3), np.uint8))
    writer.release()
    Path("a.mp4").rename(name)
    with Stream(recognizer, name) as stream:
        assert [result.index for result in stream] == [0, 1, 2]
        assert not stream.info()["source"]["is_live"]


def test_a_long_text_is_a_pipeline_or_a_missing_file() -> None:
    pipeline = "videotestsrc ! " + "identity ! " * 30 + "appsink"
    assert source_from(pipeline, live=None, fps=None).is_live
    with pytest.raises(FileNotFoundError, match=r"a{300}\.mp4 does not exist; source must be"):
        source_from("a" * 300 + ".mp4", live=None, fps=None)


@pytest.mark.parametrize(
    ("source", "error", "message"),
    [
        (None, TypeError, "source must be the index of a camera, .* got None"),
        ("", ValueError, "source must be the index of a camera, .* got ''"),
        (True, TypeError, "got True"),
        (1.5, TypeError, "got float"),
        (
            np.zeros((4, 4, 3), np.uint8),
            TypeError,
            r"got one array \[4, 4, 3\]; wrap a single frame in a list",
        ),
        ("missing.mp4", FileNotFoundError, "missing.mp4 does not exist; source must be"),
        (7, ConnectionError, "camera 7 cannot be opened; is it plugged in"),
        ("/dev/video77", ConnectionError, "camera /dev/video77 cannot be opened"),
        ("rtsp://127.0.0.1:9/none", ConnectionError, "url rtsp://127.0.0.1:9/none cannot be opened"),
    ],
)
def test_wrong_sources(recognizer: Recognizer, source: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        Stream(recognizer, source)

"""Videos that the command line writes, and what is known of those that it reads."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from fer_edge.arrays import U8
from fer_edge.installation.import_opencv import opencv

# Codecs that every OpenCV wheel can write.
CODECS = {".mp4": "mp4v", ".m4v": "mp4v", ".mov": "mp4v", ".mkv": "mp4v", ".avi": "MJPG"}
# Frames a second where nothing is stated.
DEFAULT_FPS = 25.0
# What a file may state; some state the clock rate of their container.
MIN_FPS, MAX_FPS = 1.0, 240.0
# After a longer pause the video goes on at once, instead of a still picture.
MAX_STILL_S = 10.0


class VideoFacts(NamedTuple):
    """What a video file states."""

    fps: float
    frames: int  # 0: unknown


def facts_of_video(path: Path) -> VideoFacts:
    """Returns what a video states; the default frame rate and no number of frames if that is nothing sane."""
    cv2 = opencv()
    # Of a relative name FFmpeg takes what stands before a colon for a protocol.
    capture = cv2.VideoCapture(str(path.absolute()))
    fps, frames = capture.get(cv2.CAP_PROP_FPS), capture.get(cv2.CAP_PROP_FRAME_COUNT)
    capture.release()
    return VideoFacts(fps if MIN_FPS <= fps <= MAX_FPS else DEFAULT_FPS, max(0, int(frames)))


class VideoFile:
    """A video that is written frame by frame and can be played after `close`.

    Its frame rate is constant. A frame is shown until the next one, so that the video has the duration of its
    source also where frames are missing.

    Args:
        path: is replaced if it exists; the ending selects the container.
        fps: frames a second.

    Raises:
        ValueError: the ending is none that can be written.
        OSError: the file cannot be written.
    """

    def __init__(self, path: Path, fps: float) -> None:
        if path.suffix.lower() not in CODECS:
            raise ValueError(f"a video is written as {', '.join(CODECS)}, got {path.name}; change its ending")
        # OpenCV gives no reason for a failure.
        with path.open("wb"):
            pass
        self._path, self._fps = path, fps
        self._writer: Any = None
        self._last: U8 | None = None
        self._start = 0.0
        self._written = 0  # frames

    def show(self, picture: U8, time: float) -> bool:
        """Adds a picture uint8 [H, W, 3] of a time in seconds, not before the last one; returns True.

        The first one decides the size; others are fitted into it.
        """
        if self._last is None:
            self._writer = self._open(picture)
            self._start, self._last = time, picture
        picture = fitted(picture, self._last.shape[1], self._last.shape[0])
        missing = round((time - self._start) * self._fps) - self._written
        if missing > MAX_STILL_S * self._fps:
            self._start, missing = time - self._written / self._fps, 0
        for _ in range(missing):
            self._writer.write(self._last)
        # A picture that comes too early replaces nothing; the next one is in time again.
        if missing >= 0:
            self._writer.write(picture)
            self._written += missing + 1
        self._last = picture
        return True

    def _open(self, picture: U8) -> Any:
        cv2 = opencv()
        code = cv2.VideoWriter_fourcc(*CODECS[self._path.suffix.lower()])
        writer = cv2.VideoWriter(str(self._path), code, self._fps, (picture.shape[1], picture.shape[0]))
        if not writer.isOpened():
            height, width = picture.shape[:2]
            raise OSError(f"OpenCV {cv2.__version__} cannot write {self._path.name}, {width} x {height}")
        return writer

    def close(self) -> None:
        """Finishes the file; removes it if it has no frame."""
        if self._writer is None:
            self._path.unlink(missing_ok=True)
        else:
            self._writer.release()

    def __enter__(self) -> "VideoFile":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def fitted(picture: U8, width: int, height: int) -> U8:
    """Returns a picture in this size, with black margins where the shape differs."""
    rows, columns = picture.shape[:2]
    if (columns, rows) == (width, height):
        return picture
    scale = min(width / columns, height / rows)
    size = (max(1, round(columns * scale)), max(1, round(rows * scale)))
    canvas = np.zeros((height, width, 3), np.uint8)
    left, top = (width - size[0]) // 2, (height - size[1]) // 2
    inner = opencv().resize(picture, size, interpolation=opencv().INTER_AREA)
    canvas[top : top + size[1], left : left + size[0]] = inner
    return canvas

"""Videos that the command line writes, and what is known of those that it reads."""

import errno
import shutil
import sys
from collections.abc import Mapping
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
# Writing ends with less space than this, so that the index at the end of the file still fits.
MIN_FREE_BYTES = 16 << 20
# Of the frames that were written, the share that a finished video must state; containers round.
MIN_STATED = 0.9


class UnwritableVideoError(OSError):
    """A video that cannot be written. Has `filename` and `strerror`, also where OpenCV gives no reason."""


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


def reason_of_bad_end(source: Mapping[str, Any]) -> str | None:
    """Returns what a source that has ended lacks, by Stream.info()["source"]; None: nothing."""
    if not source["frames"]:
        return "has no frame that can be read; is it complete?"
    if source["missing"]:
        return f"lacks its last {source['missing']} frames; is it complete?"
    return None


def _is_whole(path: Path, frames: int) -> bool:
    """Whether a video states so many frames and gives the last; either alone is true of some cut files."""
    cv2 = opencv()
    capture = cv2.VideoCapture(str(path.absolute()))
    stated = capture.get(cv2.CAP_PROP_FRAME_COUNT)
    capture.set(cv2.CAP_PROP_POS_FRAMES, frames - 1)
    is_read, _ = capture.read()
    capture.release()
    return bool(is_read and stated >= MIN_STATED * frames)


class VideoFile:
    """A video that is written frame by frame and can be played after `close`.

    Its frame rate is constant. A frame is shown until the next one, so that the video has the duration of its
    source also where frames are missing.

    Args:
        path: is replaced if it exists; the ending selects the container.
        fps: frames a second.

    Raises:
        ValueError: the ending is none that can be written.
        UnwritableVideoError: the file cannot be written.
    """

    def __init__(self, path: Path, fps: float) -> None:
        if path.suffix.lower() not in CODECS:
            raise ValueError(f"a video is written as {', '.join(CODECS)}, got {path.name}; change its ending")
        # OpenCV gives no reason for a failure.
        try:
            with path.open("wb"):
                pass
        except OSError as error:
            raise UnwritableVideoError(error.errno, error.strerror, str(path)) from error
        self._path, self._fps = path, fps
        self._writer: Any = None
        self._last: U8 | None = None
        self._start = 0.0
        self._written = 0  # frames
        self._is_closed = False

    def show(self, picture: U8, time: float) -> bool:
        """Adds a picture uint8 [H, W, 3] of a time in seconds, not before the last one; returns True.

        The first one decides the size; others are fitted into it.

        Raises:
            UnwritableVideoError: OpenCV cannot write this size, or the disk is almost full.
        """
        if (free := shutil.disk_usage(self._path.parent).free) < MIN_FREE_BYTES:
            raise self._error(f"the disk is full ({free >> 20} MB are free)", errno.ENOSPC)
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
        writer = cv2.VideoWriter(
            str(self._path.absolute()), code, self._fps, (picture.shape[1], picture.shape[0])
        )
        if not writer.isOpened():
            height, width = picture.shape[:2]
            raise self._error(f"OpenCV {cv2.__version__} does not write {width} x {height} in this format")
        return writer

    def _error(self, reason: str, number: int = errno.EIO) -> UnwritableVideoError:
        return UnwritableVideoError(number, reason, str(self._path))

    def close(self) -> None:
        """Finishes the file; removes it if it has no frame. Closing again does nothing.

        Raises:
            UnwritableVideoError: the file lacks frames, of which OpenCV says nothing when it writes.
        """
        if self._is_closed:
            return
        self._is_closed = True
        if self._writer is None:
            self._path.unlink(missing_ok=True)
            return
        self._writer.release()
        if not _is_whole(self._path, self._written):
            raise self._error(f"its {self._written} frames cannot be read back; is the disk full?")

    def __enter__(self) -> "VideoFile":
        return self

    def __exit__(self, kind: type[BaseException] | None, *exception: object) -> None:
        try:
            self.close()
        except UnwritableVideoError as error:
            if kind is None:
                raise
            # Ctrl-C stays Ctrl-C.
            print(f"fer-edge: {self._path} cannot be written: {error.strerror}", file=sys.stderr)


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

"""Cameras, video files, URLs and GStreamer pipelines, by OpenCV."""

import logging
from pathlib import Path
from typing import Any, Literal

from fer_edge.installation.import_opencv import opencv
from fer_edge.stream.sources.capture import Frame

# Milliseconds until OpenCV gives up a URL that does not answer.
URL_TIMEOUT_MS = 5000
# A file that ends before this share of its stated frames and duration is reported.
COMPLETE = 0.9

Kind = Literal["camera", "file", "url", "pipeline"]

_logger = logging.getLogger("fer_edge")


class VideoCapture:
    """A source that OpenCV reads.

    Args:
        address: index or device of a camera, path, URL or pipeline.
        kind: what the address is.

    Raises:
        ConnectionError: a camera, URL or pipeline cannot be opened.
        OSError: a file is not a video.
        ImportError: OpenCV is missing, or was built without GStreamer.
    """

    def __init__(self, address: int | str, kind: Kind) -> None:
        self._cv2 = opencv()
        self._address, self._kind = address, kind
        self._capture = self._open()
        if not self._capture.isOpened():
            self._capture.release()
            raise self._cannot_open()
        self.missing = 0
        self._count = 0
        self._last_time = -1.0
        self._fps: float = self._capture.get(self._cv2.CAP_PROP_FPS)
        if kind == "camera":
            # Frames that wait in the driver are old; not every driver can do this.
            self._capture.set(self._cv2.CAP_PROP_BUFFERSIZE, 1)

    def _open(self) -> Any:
        cv2 = self._cv2
        if self._kind == "pipeline":
            if not cv2.videoio_registry.hasBackend(cv2.CAP_GSTREAMER):
                raise ImportError(
                    f"the pipeline {self._address!r} needs an OpenCV with GStreamer, and the installed one "
                    f"({cv2.__version__}) has none; use the system's OpenCV, or an iterable of frames"
                )
            return cv2.VideoCapture(self._address, cv2.CAP_GSTREAMER)
        if self._kind == "url":
            limits = (cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, cv2.CAP_PROP_READ_TIMEOUT_MSEC)
            settings = [number for limit in limits for number in (limit, URL_TIMEOUT_MS)]
            return cv2.VideoCapture(self._address, cv2.CAP_FFMPEG, settings)
        return cv2.VideoCapture(self._device_or_file())

    def _device_or_file(self) -> int | str:
        if isinstance(self._address, int):
            return self._address
        if self._kind == "file":
            # Of a relative name FFmpeg takes what stands before a colon for a protocol.
            return str(Path(self._address).absolute())
        # Not every backend knows a device by another name than /dev/video0. The link is followed at each
        # opening, because a camera that was plugged in again may have another number.
        return str(Path(self._address).resolve())

    def _cannot_open(self) -> OSError:
        if self._kind == "file":
            return OSError(f"{self._address} cannot be read as a video; is it complete, and its codec known?")
        hint = {
            "camera": "is it plugged in, may this user read /dev/video*, and is no other program using it?",
            "url": "does it answer, and are user and password right?",
            "pipeline": "it must end in appsink",
        }[self._kind]
        return ConnectionError(f"{self._kind} {self._address} cannot be opened; {hint}")

    def read(self) -> Frame | None:
        """Returns the next frame, or None at the end of a file; ConnectionError: the source is lost."""
        is_read, pixels = self._capture.read()
        if not is_read:
            if self._kind != "file":
                raise ConnectionError(f"{self._kind} {self._address} gives no more frames")
            self._report_missing_frames()
            return None
        self._count += 1
        return Frame(pixels, self._time() if self._kind == "file" else None)

    def _time(self) -> float:
        """The time of the frame in the file; by the frame rate where the file does not say it in order."""
        time: float = self._capture.get(self._cv2.CAP_PROP_POS_MSEC) / 1e3
        if not time > self._last_time:
            time = max(self._last_time, 0.0) + 1 / (self._fps if self._fps > 0 else 25.0) * (self._count > 1)
        self._last_time = time
        return time

    def _report_missing_frames(self) -> None:
        stated = self._capture.get(self._cv2.CAP_PROP_FRAME_COUNT)
        # Where frames have no constant rate, some files state a wrong number, but the right duration.
        is_early = self._fps <= 0 or self._last_time < COMPLETE * stated / self._fps
        if self._count < COMPLETE * stated and is_early:
            self.missing = round(stated) - self._count
            _logger.warning(
                "%s ended after %d of %d frames; it may be damaged", self._address, self._count, stated
            )

    def close(self) -> None:
        """Releases the source."""
        self._capture.release()

"""A camera for code that opens one by its number. It stands in for hardware that is not there."""

from typing import Any

import cv2
import pytest

from benchmarks.streaming.made_video import Actor, sway, video

_OPEN = cv2.VideoCapture


class CameraUnpluggedError(BaseException):
    """The made camera has shown all its frames. After an Exception, a stream would open it again."""


class MadeCamera:
    """Behaves as cv2.VideoCapture of a camera that shows one moving face for two seconds."""

    def __init__(self) -> None:
        self._frames = video([Actor(sway(320, 240, 140))], 2.0, 10.0)

    def isOpened(self) -> bool:  # noqa: N802 (OpenCV's name)
        """Returns True."""
        return True

    def get(self, setting: int) -> float:
        """Returns 0: the driver does not know."""
        return 0.0

    def set(self, setting: int, value: float) -> bool:
        """Returns False: the driver cannot do this."""
        return False

    def read(self) -> tuple[bool, Any]:
        """Returns the next frame.

        Raises:
            CameraUnpluggedError: there are no more.
        """
        for _, frame, _ in self._frames:
            return True, frame
        raise CameraUnpluggedError

    def release(self) -> None:
        """Ends the video."""
        self._frames.close()


def plug_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes every number open a made camera; files are opened as ever."""

    def open_any(address: int | str, *more: Any) -> Any:
        return MadeCamera() if isinstance(address, int) else _OPEN(address, *more)

    monkeypatch.setattr(cv2, "VideoCapture", open_any)

"""Formats that only some builds of OpenCV read, and what a user is told where the build does not."""

from pathlib import Path

import cv2
import pytest

from fer_edge.pictures.read_picture import read_picture


def can_read(name: str | None) -> bool:
    """Whether this build reads AVIF, GIF or animated WebP; every build reads what has no name here."""
    if name == "animated WebP":
        return hasattr(cv2, "imreadanimation")
    return name is None or cv2.haveImageWriter(f"a.{name.lower()}")


def assert_refused(path: Path, name: str | None) -> None:
    """Asserts that a picture is refused with its format, the version of OpenCV and what to do."""
    expected = (
        rf"^is (an )?{name}, which OpenCV {cv2.__version__} cannot read; convert it to PNG, or install a"
    )
    with pytest.raises(ValueError, match=expected):
        read_picture(path)

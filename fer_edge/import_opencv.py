"""Imports OpenCV on first use, with a message that names the package if it is missing."""

import importlib
import os
from typing import Any


def opencv() -> Any:
    """Returns the module cv2; raises ImportError with the pip command."""
    # A damaged file is reported by us; without this, OpenCV would report it too. OpenCV reads the variable
    # when it is loaded. The equivalent function has a different name in each major version.
    os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")
    # The same of FFmpeg, which reads videos; -8 is its AV_LOG_QUIET.
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    try:
        cv2: Any = importlib.import_module("cv2")
    except ImportError as error:
        raise ImportError(
            f"reading and drawing pictures needs OpenCV ({error}); pip install opencv-python-headless"
        ) from error
    return cv2

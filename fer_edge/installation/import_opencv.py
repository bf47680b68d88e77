"""OpenCV for cameras, files and drawing, imported on first use."""

import os
from typing import Any

from fer_edge.installation import libraries


def opencv() -> Any:
    """Returns the module cv2; raises ImportError with the pip command."""
    # A damaged file is reported by us; without this, OpenCV would report it too. OpenCV reads the variable
    # when it is loaded. The equivalent function has a different name in each major version.
    os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")
    # The same of FFmpeg, which reads videos; -8 is its AV_LOG_QUIET.
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    try:
        return libraries.load("cv2")
    except ImportError as error:
        raise ImportError(f"reading and drawing pictures and videos needs OpenCV: {error}") from error

"""Where frames come from: cameras, files, URLs, folders, and the user's own iterables."""

import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from fer_edge.stream.sources.capture import Source
from fer_edge.stream.sources.iterables import IterableCapture
from fer_edge.stream.sources.pictures import PictureFolder
from fer_edge.stream.sources.video import VideoCapture

__all__ = ["Source", "source_from"]

# Frames a second of a folder of pictures, if the user does not say.
FOLDER_FPS = 25.0
_URL = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)
# Names that mean a camera also while none is plugged in.
_CAMERA = re.compile(r"/dev/(video\d+|v4l/.+)")

_EXPECTED = (
    "source must be the index of a camera, a path, URL or GStreamer pipeline, an iterable of frames or of "
    "(time, frame), or a function that returns one"
)


def source_from(source: Any, *, live: bool | None, fps: float | None) -> Source:
    """Returns the source that the user's argument means; opens nothing.

    Args:
        source: see fer_edge.Stream.
        live: whether frames that are not read in time are lost; None: by the kind of the source.
        fps: frames a second of frames without a time; None: by the kind of the source.

    Raises:
        TypeError: the argument is none of the known kinds.
        ValueError: it is an empty text.
        FileNotFoundError: a path does not exist.
    """
    if isinstance(source, bool) or source is None:
        raise TypeError(f"{_EXPECTED}, got {source!r}")
    if isinstance(source, (int, np.integer)):
        return _camera(int(source), live)
    if isinstance(source, (str, os.PathLike)):
        return _source_from_text(os.fspath(source), live, fps)
    if isinstance(source, np.ndarray) and source.ndim < 4:
        raise TypeError(f"{_EXPECTED}, got one array {list(source.shape)}; wrap a single frame in a list")
    return _source_from_code(source, live, fps)


def _source_from_text(text: str | bytes, live: bool | None, fps: float | None) -> Source:
    text = os.fsdecode(text)
    if not text:
        # It would be the current folder.
        raise ValueError(f"{_EXPECTED}, got ''")
    path = Path(text)
    exists = os.path.exists(text)  # noqa: PTH110 (Path.exists raises where a pipeline is too long for a name)
    if _CAMERA.fullmatch(text) or (exists and path.is_char_device()):
        return _camera(text, live)
    if _URL.match(text):
        return Source(text, lambda: VideoCapture(text, "url"), live is not False, live is not False, fps)
    if " ! " in text and not exists:
        return Source(text, lambda: VideoCapture(text, "pipeline"), live is not False, live is not False, fps)
    if not exists:
        raise FileNotFoundError(f"{text} does not exist; {_EXPECTED}")
    if path.is_dir():
        return Source(text, lambda: PictureFolder(path), bool(live), False, fps or FOLDER_FPS)
    return Source(text, lambda: VideoCapture(text, "file"), bool(live), False, fps)


def _camera(address: int | str, live: bool | None) -> Source:
    return Source(
        f"camera {address}",
        lambda: VideoCapture(address, "camera"),
        live is not False,
        live is not False,
        None,
    )


def _source_from_code(source: Any, live: bool | None, fps: float | None) -> Source:
    name = getattr(source, "__qualname__", type(source).__name__)
    if isinstance(source, Iterable):
        return Source(name, lambda: IterableCapture(source, name, ends=True), bool(live), False, fps)
    if callable(source):
        is_live = live is not False

        def open_again() -> IterableCapture:
            return IterableCapture(source(), name, ends=not is_live)

        return Source(name, open_again, is_live, is_live, fps)
    raise TypeError(f"{_EXPECTED}, got {type(source).__name__}")

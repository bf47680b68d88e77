"""Input pictures of the command line: finds the files and reads their pixels."""

import importlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fer_edge.arrays import U8

PICTURES = (
    ".jpg",
    ".jpeg",
    ".png",
    ".bmp",
    ".webp",
    ".tif",
    ".tiff",
    ".gif",
    ".avif",
    ".jp2",
    ".ppm",
    ".pgm",
)
VIDEOS = (".mp4", ".mov", ".avi", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg", ".wmv", ".flv", ".3gp")


def opencv() -> Any:
    """Returns the module cv2; raises ImportError with the pip command."""
    # A damaged file is reported by us; without this, OpenCV would report it too. OpenCV reads the variable
    # when it is loaded. The equivalent function has a different name in each major version.
    os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")
    try:
        cv2: Any = importlib.import_module("cv2")
    except ImportError as error:
        raise ImportError(
            f"reading and drawing pictures needs OpenCV ({error}); pip install opencv-python-headless"
        ) from error
    return cv2


def shown(path: Path) -> str:
    """Returns a path as printable text, also if its bytes are not valid UTF-8."""
    return os.fsencode(path).decode("utf-8", "replace")


def pictures_from_arguments(arguments: Sequence[str]) -> tuple[list[Path], list[tuple[str, str]]]:
    """Returns the files without duplicates, and (argument, message) for each argument without files.

    A folder gives the pictures and videos directly in it, a glob (`**` for any depth) the files that it
    matches. A file that does not exist is returned too; reading it fails later.
    """
    files: dict[Path, None] = {}
    failures: list[tuple[str, str]] = []
    for argument in arguments:
        try:
            found = _files_from_argument(argument)
        except (OSError, ValueError) as error:
            failures.append((argument, message_of(error)))
            continue
        files.update(dict.fromkeys(found))
    return list(files), failures


def _files_from_argument(argument: str) -> list[Path]:
    path = Path(argument)
    if path.is_dir():
        found = sorted(p for p in path.iterdir() if p.suffix.lower() in PICTURES + VIDEOS and p.is_file())
        if not found:
            raise ValueError("no pictures in this folder (for its subfolders: FOLDER/'**/*.jpg')")
        return found
    if any(sign in argument for sign in "*?[") and not path.exists():
        pattern = path.relative_to(path.anchor) if path.anchor else path
        found = sorted(p for p in Path(path.anchor).glob(str(pattern)) if p.is_file())
        if not found:
            raise ValueError("no file matches")
        return found
    return [path]


def read_picture(path: Path) -> U8:
    """Returns a picture as uint8 [H, W, 3] BGR, turned upright by its EXIF orientation.

    16-bit pictures are reduced to 8 bits, an alpha channel is dropped.

    Raises:
        OSError: the file is missing or not readable.
        ValueError: the file is a video, empty, damaged, or not a picture.
    """
    if path.suffix.lower() in VIDEOS:
        raise ValueError(
            "is a video, and videos are not supported yet; take pictures out of it first: "
            f"ffmpeg -i '{shown(path)}' -vf fps=2 frame-%05d.jpg"
        )
    # Not cv2.imread: it cannot open names outside the system's code page and gives no reason for a failure.
    data = np.fromfile(path, np.uint8)
    if not len(data):
        raise ValueError("is empty (0 bytes)")
    cv2 = opencv()
    try:
        picture: U8 | None = cv2.imdecode(data, cv2.IMREAD_COLOR)
    except cv2.error as error:
        raise ValueError(f"cannot be decoded: {error.err}") from error
    if picture is None or _is_jpeg_without_end(data.tobytes()):
        raise ValueError(_why_undecodable(data[:12].tobytes()))
    return picture


def message_of(error: Exception) -> str:
    """Returns the message without the name of the file, which the caller adds."""
    return (error.strerror or str(error)) if isinstance(error, OSError) else str(error)


def _is_jpeg_without_end(data: bytes) -> bool:
    """Whether a JPEG is truncated. OpenCV 4 reports no error and fills the missing part with grey."""
    at = 2
    # Skip the header segments up to the scan of the picture, because a thumbnail in the header also has an
    # end marker.
    while data.startswith(b"\xff\xd8") and data[at : at + 1] == b"\xff":
        if data[at + 1 : at + 2] == b"\xda":
            return data.find(b"\xff\xd9", at) < 0
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return False


def _why_undecodable(head: bytes) -> str:
    starts = (b"\xff\xd8\xff", b"\x89PNG", b"BM", b"GIF8", b"II*\0", b"MM\0*", b"\0\0\0\x0cjP")
    if head.startswith(starts) or head[8:12] == b"WEBP":
        return "is damaged or cut short; copy or download it again"
    return "is not a picture that OpenCV can read (JPEG, PNG, WebP, BMP, TIFF, ...)"

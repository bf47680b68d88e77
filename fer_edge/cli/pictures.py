"""Pictures from the command line: which files are meant, and their pixels."""

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
    """Returns the module cv2; raises ImportError with the pip line."""
    # A damaged file is reported once, by us, and not by OpenCV as well. The variable is read when OpenCV is
    # loaded; the function that does the same has another name in each of its major versions.
    os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")
    try:
        cv2: Any = importlib.import_module("cv2")
    except ImportError as error:
        raise ImportError(
            f"reading and drawing pictures needs OpenCV ({error}); pip install opencv-python-headless"
        ) from error
    return cv2


def shown(path: Path) -> str:
    """Returns a path as text that every stream can print, also when its bytes are no valid UTF-8."""
    return os.fsencode(path).decode("utf-8", "replace")


def pictures_from_arguments(arguments: Sequence[str]) -> tuple[list[Path], list[tuple[str, str]]]:
    """Returns the files that are meant, each once, and (argument, message) for arguments that stand for none.

    A folder stands for the pictures and videos that lie in it directly, a glob (`**` for any depth) for the
    files it matches. A name that does not exist is returned, and fails when it is read.
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
        OSError: the file is missing or may not be read.
        ValueError: it is a video, empty, damaged, or no picture.
    """
    if path.suffix.lower() in VIDEOS:
        raise ValueError(
            "is a video, and videos are not supported yet; take pictures out of it first: "
            f"ffmpeg -i '{shown(path)}' -vf fps=2 frame-%05d.jpg"
        )
    # Not cv2.imread: it cannot open names beyond the system's code page, and does not say why it failed.
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
    """Returns what went wrong without the file's name, which the caller puts in front."""
    return (error.strerror or str(error)) if isinstance(error, OSError) else str(error)


def _is_jpeg_without_end(data: bytes) -> bool:
    """Whether a JPEG was cut short, which OpenCV 4 does not tell: it paints the missing part grey."""
    at = 2
    # Segment by segment up to the picture's own scan, because a thumbnail in the header has an end as well.
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

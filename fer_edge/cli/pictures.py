"""Input pictures of the command line: finds the files and reads their pixels."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from fer_edge.arrays import U8
from fer_edge.import_opencv import opencv

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
# First bytes of JPEG (also .jfif, .jpe, .mpo), PNG, BMP, GIF, TIFF, JPEG 2000, and of PBM, PGM and PPM.
SIGNATURES = (
    *(b"\xff\xd8\xff", b"\x89PNG", b"BM", b"GIF8", b"II*\0", b"MM\0*", b"\0\0\0\x0cjP"),
    *(b"P%d%c" % (kind, blank) for kind in range(1, 7) for blank in b" \n\r\t"),
)
AVIF = (b"ftypavif", b"ftypavis")  # at byte 4
STDIN = Path("-")
VIDEOS = (".mp4", ".mov", ".avi", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg", ".wmv", ".flv", ".3gp")


def is_video(path: Path) -> bool:
    """Whether the name is that of a video."""
    return path.suffix.lower() in VIDEOS


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
        found = sorted(p for p in path.iterdir() if _is_input(p))
        if not found:
            raise ValueError("no pictures in this folder (for its subfolders: FOLDER/'**/*.jpg')")
        return found
    if any(sign in argument for sign in "*?[") and not path.exists():
        folder, pattern = _split_glob(path)
        found = sorted(p for p in folder.glob(str(pattern)) if p.is_file())
        if not found:
            raise ValueError("no file matches")
        return found
    return [path]


def _split_glob(path: Path) -> tuple[Path, Path]:
    """The longest start of a glob that is a folder as it stands, and the rest; its name may have brackets."""
    parts = path.parts
    for count in range(len(parts) - 1, 0, -1):
        folder = Path(*parts[:count])
        if folder.is_dir():
            return folder, Path(*parts[count:])
    return Path(path.anchor), path.relative_to(path.anchor) if path.anchor else path


def _is_input(path: Path) -> bool:
    """Whether a file of a folder is a picture or a video, by its ending or its first bytes."""
    # macOS writes ._NAME files with attributes beside the pictures on foreign disks.
    if not path.is_file() or path.name.startswith("._"):
        return False
    if path.suffix.lower() in PICTURES + VIDEOS:
        return True
    with path.open("rb") as file:
        head = file.read(12)
    return head.startswith(SIGNATURES) or head[8:12] == b"WEBP" or head[4:12] in AVIF


def read_picture(path: Path) -> U8:
    """Returns a picture as uint8 [H, W, 3] BGR, turned upright by its EXIF orientation. `-` is stdin.

    16-bit pictures are reduced to 8 bits, an alpha channel is dropped.

    Raises:
        OSError: the file is missing or not readable.
        ValueError: the file is empty, damaged, or not a picture.
    """
    # Not cv2.imread: it cannot open names outside the system's code page and gives no reason for a failure.
    # Not numpy.fromfile: it cannot read a pipe.
    data = np.frombuffer(sys.stdin.buffer.read() if path == STDIN else path.read_bytes(), np.uint8)
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
    if head.startswith(SIGNATURES) or head[8:12] == b"WEBP":
        return "is damaged or cut short; copy or download it again"
    return "is not a picture that OpenCV can read (JPEG, PNG, WebP, BMP, TIFF, ...)"

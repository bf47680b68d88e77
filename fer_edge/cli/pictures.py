"""The files that the arguments of the command line select."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from fer_edge.pictures.headers.signatures import HEAD_BYTES, format_from_head, unreadable_format
from fer_edge.pictures.read_picture import ENDINGS, Picture, picture_from_bytes, read_picture

# Stands for stdin. A file of this name is always given with its folder.
STDIN = Path("-")
# Names in one message.
MAX_NAMES = 20
VIDEOS = (".mp4", ".mov", ".avi", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg", ".wmv", ".flv", ".3gp")


def is_video(path: Path) -> bool:
    """Whether the name is that of a video."""
    return path.suffix.lower() in VIDEOS


def is_of_macos(path: Path) -> bool:
    """Whether it is a ._NAME file, which macOS writes with attributes beside each file on foreign disks."""
    return path.name.startswith("._")


def shown(path: Path) -> str:
    """Returns a path as printable text, also if its bytes are not valid UTF-8."""
    return os.fsencode(path).decode("utf-8", "replace")


def picture_of(path: Path) -> Picture:
    """Reads a file that an argument selects, or stdin; raises as `read_picture`."""
    if path != STDIN:
        return read_picture(path)
    if sys.stdin is None:
        raise ValueError("stdin is closed; write a picture into it, as in: fer-edge predict - < a.jpg")
    return picture_from_bytes(sys.stdin.buffer.read())


def pictures_from_arguments(arguments: Sequence[str]) -> tuple[list[Path], list[tuple[str, str]]]:
    """Returns the files without duplicates, and (argument, message) for each argument without files.

    `-` is stdin. A folder gives the pictures and videos directly in it, a glob (`**` for any depth) the files
    that it matches, both without those of macOS. A file that does not exist is returned too; reading it fails
    later. A folder with pictures that OpenCV cannot read has a message that names them.
    """
    files: dict[Path, None] = {}
    failures: list[tuple[str, str]] = []
    for argument in arguments:
        try:
            found, left_out = _files_from_argument(argument)
        except (OSError, ValueError) as error:
            failures.append((argument, message_of(error)))
            continue
        files.update(dict.fromkeys(found))
        if left_out:
            failures.append((argument, _left_out(left_out)))
    return list(files), failures


def _files_from_argument(argument: str) -> tuple[list[Path], dict[Path, str]]:
    """The files of an argument, and the format of each picture of a folder that OpenCV cannot read."""
    if argument == str(STDIN):
        return [STDIN], {}
    found, left_out = _files_on_disk(argument)
    return [path.absolute() if path == STDIN else path for path in found], left_out


def _files_on_disk(argument: str) -> tuple[list[Path], dict[Path, str]]:
    path = Path(argument)
    if path.is_dir():
        found, left_out = _files_from_folder(path)
        if not found and not left_out:
            raise ValueError("no pictures in this folder (for its subfolders: FOLDER/'**/*.jpg')")
        return found, left_out
    if any(sign in argument for sign in "*?[") and not path.exists():
        folder, pattern = split_glob(path)
        found = sorted(p for p in folder.glob(str(pattern)) if p.is_file() and not is_of_macos(p))
        if not found:
            raise ValueError("no file matches")
        return found, {}
    return [path], {}


def _files_from_folder(folder: Path) -> tuple[list[Path], dict[Path, str]]:
    """The pictures and videos of a folder by ending or first bytes, and the unreadable pictures."""
    found: list[Path] = []
    left_out: dict[Path, str] = {}
    for path in sorted(folder.iterdir()):
        if not path.is_file() or is_of_macos(path):
            continue
        if path.suffix.lower() in ENDINGS + VIDEOS:
            found.append(path)
            continue
        # Others are read if their content is a picture.
        try:
            with path.open("rb") as file:
                head = file.read(HEAD_BYTES)
        except OSError:
            # It may be a picture. Reading it fails later, with the reason.
            found.append(path)
            continue
        if kind := unreadable_format(head, path.suffix):
            left_out[path] = kind
        elif format_from_head(head):
            found.append(path)
    return found, left_out


def _left_out(pictures: dict[Path, str]) -> str:
    names = [shown(Path(path.name)) for path in pictures]
    more = f" and {len(names) - MAX_NAMES} more" if len(names) > MAX_NAMES else ""
    kinds = ", ".join(dict.fromkeys(pictures.values()))
    return f"OpenCV cannot read {', '.join(names[:MAX_NAMES])}{more} ({kinds}); convert them to JPEG or PNG"


def split_glob(path: Path) -> tuple[Path, Path]:
    """The longest start of a glob that is a folder as it stands, and the rest; its name may have brackets."""
    parts = path.parts
    for count in range(len(parts) - 1, 0, -1):
        folder = Path(*parts[:count])
        if folder.is_dir():
            return folder, Path(*parts[count:])
    return Path(path.anchor), path.relative_to(path.anchor) if path.anchor else path


def message_of(error: Exception) -> str:
    """Returns the message without the name of the file, which the caller adds."""
    return (error.strerror or str(error)) if isinstance(error, OSError) else str(error)

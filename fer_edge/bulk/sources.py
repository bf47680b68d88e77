"""The files that the arguments of a bulk job select, in a stable order."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from fer_edge.cli.pictures import VIDEOS, is_of_macos, message_of, split_glob
from fer_edge.pictures.headers.signatures import HEAD_BYTES, format_from_head, unreadable_format
from fer_edge.pictures.read_picture import ENDINGS

TABLES = (".parquet", ".pq")


def files_from_arguments(arguments: Sequence[str], *, without: Sequence[Path] = ()) -> list[str]:
    """Returns the files without duplicates.

    A folder gives the pictures, videos and Parquet files in it and in its subfolders; links to folders are
    not followed, and names that start with a dot are left out. A glob gives the files that it matches,
    without those of macOS (._NAME).

    Args:
        arguments: files, folders and globs (`**` for any depth).
        without: files and folders that are no inputs: the output.

    Raises:
        ValueError: an argument selects no file, or a folder cannot be read.
    """
    files: dict[str, None] = {}
    outputs = {path.resolve() for path in without}
    for argument in arguments:
        try:
            found = list(_files_from_argument(argument, outputs))
        except OSError as error:
            raise ValueError(f"{argument}: {error.filename or ''} {message_of(error)}") from error
        if not found:
            raise ValueError(f"{argument}: {_why_nothing(argument)}")
        files.update(dict.fromkeys(found))
    return list(files)


def parts_folder(out: Path) -> Path:
    """Returns the folder of the parts of an output."""
    return out.with_name(f"{out.name}.parts")


def _files_from_argument(argument: str, outputs: set[Path]) -> Iterator[str]:
    if Path(argument).is_dir():
        yield from _files_from_folder(argument, outputs)
    elif Path(argument).exists():
        yield argument
    elif _is_glob(argument):
        folder, pattern = split_glob(Path(argument))
        for path in sorted(folder.glob(str(pattern))):
            if path.is_file() and not is_of_macos(path) and not _is_within(path, outputs):
                yield str(path)


def _files_from_folder(folder: str, outputs: set[Path]) -> Iterator[str]:
    def fail(error: OSError) -> None:
        raise error

    for parent, folders, names in os.walk(folder, onerror=fail):
        # In place: os.walk goes on with what is left.
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            path = Path(parent, name)
            if not name.startswith(".") and not _is_within(path, outputs) and _is_input(path):
                yield str(path)


def _is_within(path: Path, outputs: set[Path]) -> bool:
    real = path.resolve()
    return real in outputs or real.parent in outputs


def _is_input(path: Path) -> bool:
    """By the ending, else by the first bytes; also a picture that OpenCV cannot read, which is an error."""
    ending = path.suffix.lower()
    if ending in ENDINGS + VIDEOS + TABLES:
        return True
    if not path.is_file():
        return False
    try:
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
    except OSError:
        # It may be a picture. Reading it fails later, with the reason.
        return True
    return bool(format_from_head(head) or unreadable_format(head, ending))


def _is_glob(argument: str) -> bool:
    return any(sign in argument for sign in "*?[")


def _why_nothing(argument: str) -> str:
    if Path(argument).is_dir():
        return "no pictures, videos or Parquet files in this folder and its subfolders"
    return "no file matches" if _is_glob(argument) else "no such file or folder"

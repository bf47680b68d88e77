"""The folder of a cache: private, locked while something is built, and never half-written.

A plan is native code, so whoever can write into its folder can run code as the user. A folder that others
can write into is refused, as OpenSSH refuses such a key.
"""

import errno
import fcntl
import logging
import os
import stat
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import CancelledError
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from fer_edge.atomic_file import atomic_write
from fer_edge.models import ModelError

LOCK, PROBE = ".lock", ".probe-"
# How often a process that waits for the lock looks again.
LOOK_EVERY_S = 0.05
OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH
_logger = logging.getLogger("fer_edge")


def default_root() -> Path:
    """The folder with one cache for each kind of machine: $XDG_CACHE_HOME/fer_edge/engines."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "fer_edge" / "engines"


def require_private(path: Path) -> None:
    """Raises ModelError if a user other than this one and root may write to a folder or file."""
    status = path.stat()
    if status.st_uid not in (os.geteuid(), 0):
        raise ModelError(
            f"{path} must belong to this user (uid {os.geteuid()}) or root, it belongs to uid "
            f"{status.st_uid}; its plans are native code. Copy the folder, or run as its owner"
        )
    if status.st_mode & OTHERS_WRITE:
        raise ModelError(
            f"{path} must be writable by its owner only, its mode is {stat.S_IMODE(status.st_mode):o}; its "
            f"plans are native code. If you trust what is in it: chmod go-w {path}"
        )


def prepare(folder: Path, names: Sequence[str] = ()) -> None:
    """Makes the folder, and checks before a long build that files of these names can be stored there.

    Raises:
        ModelError: they cannot.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        require_private(folder)
        probe = folder / f"{PROBE}{os.getpid()}"
        probe.touch()
        # Another process may have taken it for one that was left behind.
        probe.unlink(missing_ok=True)
    except OSError as error:
        raise _cannot_write(folder, error) from error
    for path in (folder / name for name in names):
        if path.is_dir():
            raise ModelError(f"{path} must be a file, it is a folder; move it away, or choose another folder")


def read_private(path: Path) -> bytes:
    """Reads a file that only its owner may write; raises ModelError if others may."""
    require_private(path)
    return path.read_bytes()


def write(path: Path, data: bytes) -> None:
    """Writes a file completely or not at all; raises ModelError if the disk is full or read-only."""
    try:
        with atomic_write(path) as partial, partial.open("wb") as file:
            os.fchmod(file.fileno(), 0o644)
            file.write(data)
            file.flush()
            # The name must not survive a power cut that the content does not.
            os.fsync(file.fileno())
    except OSError as error:
        raise _cannot_write(path, error) from error


def delete(path: Path) -> None:
    """Deletes a file if it is there; raises ModelError if it cannot be deleted."""
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise ModelError(f"cannot delete {path}: {error.strerror}") from error


@contextmanager
def locked(folder: Path, cancelled: threading.Event | None = None) -> Iterator[None]:
    """Holds the folder's lock; one process builds at a time, so that two do not share the memory and the GPU.

    The system releases the lock of a process that is killed.

    Args:
        folder: that is written.
        cancelled: set it to stop waiting.

    Raises:
        ModelError: the folder cannot be locked.
        CancelledError: ``cancelled`` was set.
    """
    cancelled = cancelled or threading.Event()
    with _lock_file(folder) as file:
        if not _take(file, folder, fcntl.LOCK_EX):
            _logger.warning("waiting for another process that builds into %s", folder)
            while not _take(file, folder, fcntl.LOCK_EX):
                if cancelled.wait(LOOK_EVERY_S):
                    raise CancelledError("the build was cancelled")
        yield


@contextmanager
def locked_at_once(folder: Path) -> Iterator[None]:
    """Holds the folder's lock; raises ModelError if another process has it, or it cannot be taken."""
    with _lock_file(folder) as file:
        if not _take(file, folder, fcntl.LOCK_EX):
            raise ModelError(in_use(folder))
        yield


@contextmanager
def undisturbed(folder: Path) -> Iterator[bool]:
    """Keeps builds out of a folder that is only read; gives False if another process has its lock."""
    if not (folder / LOCK).exists():
        yield True
        return
    with (folder / LOCK).open("rb") as file:
        yield _take(file, folder, fcntl.LOCK_SH)


def in_use(folder: Path) -> str:
    """Says that another process has the folder's lock."""
    return f"another process is building into {folder}; try again when it has ended"


def _lock_file(folder: Path) -> IO[bytes]:
    try:
        return (folder / LOCK).open("ab")
    except OSError as error:
        raise _cannot_write(folder, error) from error


def _take(file: IO[bytes], folder: Path, kind: int) -> bool:
    """Takes the lock if it is free; returns whether it was."""
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        raise ModelError(f"cannot lock {folder / LOCK}: {error.strerror}; choose a local folder") from error
    return True


def _cannot_write(path: Path, error: OSError) -> ModelError:
    reason = "the file system is read-only" if error.errno == errno.EROFS else error.strerror
    return ModelError(
        f"cannot write {path}: {reason}; choose another folder, with `fer-edge build --out` or XDG_CACHE_HOME"
    )

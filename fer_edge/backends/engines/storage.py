"""The folder of a cache: private, locked while something is built, and never half-written.

A plan is native code, so whoever can write into its folder can run code as the user. A folder that others
can write into is refused, as OpenSSH refuses such a key.
"""

import errno
import fcntl
import logging
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fer_edge.atomic_file import atomic_write
from fer_edge.models import ModelError

LOCK, PROBE = ".lock", ".probe-"
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


def prepare(folder: Path) -> None:
    """Makes the folder, and checks before a long build that its result can be stored; raises ModelError."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        require_private(folder)
        probe = folder / f"{PROBE}{os.getpid()}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise _cannot_write(folder, error) from error


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


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Holds the folder's lock; one process builds at a time, so that two do not share the memory and the GPU.

    The system releases the lock of a process that is killed.
    """
    try:
        file = (folder / LOCK).open("ab")
    except OSError as error:
        raise _cannot_write(folder, error) from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _logger.warning("waiting for another process that builds into %s", folder)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _cannot_write(path: Path, error: OSError) -> ModelError:
    reason = "the file system is read-only" if error.errno == errno.EROFS else error.strerror
    return ModelError(
        f"cannot write {path}: {reason}; choose another folder, with `fer-edge build --out` or XDG_CACHE_HOME"
    )

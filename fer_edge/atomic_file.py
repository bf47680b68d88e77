"""Atomic file writes: a file is written completely or not at all."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Yields a temporary path in the same folder; at the end of the block it is renamed to `path`.

    If the block raises, the temporary file is removed and `path` is unchanged.
    """
    partial = path.with_name(f"{path.name}.partial")
    try:
        yield partial
        partial.replace(path)
    finally:
        # Nothing is left to remove after the rename.
        partial.unlink(missing_ok=True)

"""The output of a job: a part for each unit while it runs, one file at the end.

`results.parquet.parts/` holds a manifest, a lock and the parts. A part is written completely or not at all,
and only by the process that holds the lock, so that a job that died at any moment goes on where it was.
"""

import fcntl
import json
import shutil
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import parquet

from fer_edge.atomic_file import atomic_write
from fer_edge.bulk.sources import parts_folder

METADATA_KEY = b"fer_edge.bulk"
# Rows of a row group of the results; parts are small.
ROWS_OF_GROUP = 1 << 16

Manifest = dict[str, Any]


class Parts:
    """The parts of one output.

    Args:
        out: the results.
        manifest: what the results depend on; parts and results of another one are never mixed.
        count: number of units.

    Raises:
        ValueError: `out` or its parts belong to another job, or another process writes them.
        OSError: the folder cannot be written.
    """

    def __init__(self, out: Path, manifest: Manifest, count: int) -> None:
        self._out, self._manifest, self._count = out, manifest, count
        self._folder = parts_folder(out)

    def is_complete(self) -> bool:
        """Whether the results exist; raises ValueError if they belong to another job."""
        if not self._out.exists():
            return False
        if self._out.is_dir():
            raise ValueError(f"--out must be a file, {self._out} is a folder")
        try:
            found = (parquet.read_schema(self._out).metadata or {}).get(METADATA_KEY)
        except (OSError, pa.ArrowException):
            found = None
        if found is None:
            raise ValueError(f"{self._out} exists and was not written by this command; choose another --out")
        if difference := _difference(json.loads(found), self._manifest):
            raise ValueError(
                f"{self._out} exists with other results: {difference}; choose another --out or delete it"
            )
        return True

    @contextmanager
    def locked(self) -> Iterator[None]:
        """A context in which no other process may write the parts."""
        self._folder.mkdir(parents=True, exist_ok=True)
        with (self._folder / "lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise ValueError(f"{self._out} is being written by another process") from None
            self._check_manifest()
            yield

    def _check_manifest(self) -> None:
        path = self._folder / "manifest.json"
        if path.exists():
            found = json.loads(path.read_text(encoding="utf-8"))
            if difference := _difference(found, self._manifest):
                raise ValueError(
                    f"{self._folder} holds parts of another job: {difference}; "
                    "run that one again, choose another --out, or delete the folder"
                )
            return
        with atomic_write(path) as partial:
            partial.write_text(json.dumps(self._manifest, indent=2), encoding="utf-8")

    def missing(self) -> list[int]:
        """Returns the numbers of the units without a part, or with one that cannot be read."""
        return [number for number in range(self._count) if not self._is_done(number)]

    def _is_done(self, number: int) -> bool:
        path = self._path(number)
        if not path.exists():
            return False
        try:
            metadata = parquet.read_schema(path).metadata or {}
        except (OSError, pa.ArrowException):
            # After a power failure a file may have its name, but not its content.
            return False
        return metadata.get(METADATA_KEY) == self._metadata()[METADATA_KEY]

    def write(self, number: int, table: pa.Table) -> None:
        """Writes the part of a unit."""
        with atomic_write(self._path(number)) as partial:
            parquet.write_table(table.replace_schema_metadata(self._metadata()), partial, compression="zstd")

    def merge(self, schema: pa.Schema) -> None:
        """Writes the results from all parts, in the order of the units."""
        with (
            atomic_write(self._out) as partial,
            parquet.ParquetWriter(
                partial, schema.with_metadata(self._metadata()), compression="zstd"
            ) as writer,
        ):
            kept: list[pa.Table] = []
            for number in range(self._count):
                kept.append(parquet.read_table(self._path(number), partitioning=None))
                if sum(map(len, kept)) >= ROWS_OF_GROUP:
                    writer.write_table(pa.concat_tables(kept))
                    kept.clear()
            writer.write_table(
                pa.concat_tables([schema.with_metadata(self._metadata()).empty_table(), *kept])
            )

    def remove(self) -> None:
        """Removes the parts, once the results are written."""
        if self._folder.exists():
            shutil.rmtree(self._folder)

    def counts(self) -> Counter[str]:
        """Returns how many faces, pictures or frames without faces, and errors the results have."""
        total: Counter[str] = Counter()
        with parquet.ParquetFile(self._out) as results:
            for batch in results.iter_batches(columns=["face", "error"]):
                face, error = batch.column("face").is_valid(), batch.column("error").is_valid()
                total["faces"] += pc.sum(face).as_py()
                total["errors"] += pc.sum(error).as_py()
                total["without faces"] += pc.sum(pc.and_(pc.invert(face), pc.invert(error))).as_py()
        return total

    def _metadata(self) -> dict[bytes, bytes]:
        return {METADATA_KEY: json.dumps(self._manifest, sort_keys=True).encode()}

    def _path(self, number: int) -> Path:
        return self._folder / f"part-{number:08d}.parquet"


def _difference(found: Manifest, wanted: Manifest) -> str:
    """The first entry that differs, as text; empty if all are equal."""
    for name in sorted(found.keys() | wanted.keys()):
        if found.get(name) != wanted.get(name):
            return f"{name} was {_shown(found.get(name))}, now {_shown(wanted.get(name))}"
    return ""


def _shown(value: object) -> str:
    return (
        json.dumps(value) if not isinstance(value, dict) else ", ".join(f"{k} {v}" for k, v in value.items())
    )

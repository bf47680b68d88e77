"""Units of work: inputs that one worker does together, and that are done again together if it dies.

The inputs and the size of a block decide the units and their order, so that an interrupted job can go on.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from fer_edge.bulk.sources import TABLES
from fer_edge.cli.pictures import is_video, shown

# A Parquet file is often one row group. Each of its units reads over the rows before it: there are not many.
MAX_UNITS_OF_GROUP = 32


@dataclass(frozen=True, slots=True)
class PictureFiles:
    """Picture files."""

    paths: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.paths)

    def split(self) -> list["PictureFiles"]:
        """Returns one unit for each picture."""
        return [PictureFiles((path,)) for path in self.paths]

    def first(self) -> dict[str, object]:
        """Returns the columns that name the first input."""
        return {"source": shown(Path(self.paths[0]))}


@dataclass(frozen=True, slots=True)
class ParquetRows:
    """Encoded pictures in rows of one row group of a Parquet file.

    Attributes:
        path: of the file.
        column: of the pictures; for the struct of Hugging Face datasets, its field.
        group: the row group.
        group_start: number of its first row in the file.
        start: number of the first row of the unit in the file.
        count: number of rows.
    """

    path: str
    column: str
    group: int
    group_start: int
    start: int
    count: int

    def __len__(self) -> int:
        return self.count

    def split(self) -> list["ParquetRows"]:
        """Returns one unit for each row."""
        return [replace(self, start=self.start + n, count=1) for n in range(self.count)]

    def first(self) -> dict[str, object]:
        """Returns the columns that name the first input."""
        return {"source": shown(Path(self.path)), "index": self.start}


@dataclass(frozen=True, slots=True)
class VideoFile:
    """A video; it is not divided, because faces are followed through it."""

    path: str

    def __len__(self) -> int:
        return 1

    def split(self) -> list["VideoFile"]:
        """Returns the unit itself."""
        return [self]

    def first(self) -> dict[str, object]:
        """Returns the columns that name the video."""
        return {"source": shown(Path(self.path))}


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A Parquet file that cannot be read, with the reason."""

    path: str
    message: str

    def __len__(self) -> int:
        return 1

    def split(self) -> list["Unreadable"]:
        """Returns the unit itself."""
        return [self]

    def first(self) -> dict[str, object]:
        """Returns the columns that name the file."""
        return {"source": shown(Path(self.path))}


Unit = PictureFiles | ParquetRows | VideoFile | Unreadable


def units_from_files(files: Sequence[str], column: str, block: int) -> list[Unit]:
    """Returns the units of files, in their order.

    Args:
        files: pictures, videos and Parquet files.
        column: of the pictures in Parquet files.
        block: number of pictures in a unit.

    Raises:
        ValueError: a Parquet file has no such column of pictures.
    """
    units: list[Unit] = []
    pictures: list[str] = []

    def close_block() -> None:
        if pictures:
            units.append(PictureFiles(tuple(pictures)))
            pictures.clear()

    for file in files:
        is_table = Path(file).suffix.lower() in TABLES
        if is_table or is_video(Path(file)):
            close_block()
            units += _units_from_table(file, column, block) if is_table else [VideoFile(file)]
        else:
            pictures.append(file)
            if len(pictures) == block:
                close_block()
    close_block()
    return units


def digest(units: Iterable[Unit], files: Iterable[str]) -> str:
    """Returns a hash of the units, and of the size and time of the files."""
    total = hashlib.sha256()
    for text in (*map(repr, units), *map(_state_of, files)):
        total.update(text.encode("utf-8", "surrogatepass") + b"\n")
    return total.hexdigest()


def _state_of(file: str) -> str:
    try:
        state = Path(file).stat()
    except OSError as error:
        return f"{error.errno}"
    # The time of a pipe is that of its last use.
    return f"{state.st_size} {state.st_mtime_ns}" if Path(file).is_file() else "pipe"


def _units_from_table(file: str, column: str, block: int) -> Iterator[Unit]:
    import pyarrow as pa
    from pyarrow import parquet

    try:
        with parquet.ParquetFile(file) as table:
            schema, metadata = table.schema_arrow, table.metadata
    except (OSError, pa.ArrowException) as error:
        message = str(error).splitlines()[0]
        yield Unreadable(file, f"cannot be read as Parquet: {message}")
        return
    path = _column_of_pictures(file, schema, column)
    start = 0
    for group in range(metadata.num_row_groups):
        rows = metadata.row_group(group).num_rows
        size = max(block, -(-rows // MAX_UNITS_OF_GROUP))
        for offset in range(0, rows, size):
            yield ParquetRows(file, path, group, start, start + offset, min(size, rows - offset))
        start += rows


def _column_of_pictures(file: str, schema: Any, column: str) -> str:
    """The path of a column of encoded pictures: the column itself, or its field `bytes`."""
    import pyarrow.types as kinds

    index = schema.get_field_index(column)
    if index >= 0:
        kind = schema.field(index).type
        if kinds.is_binary(kind) or kinds.is_large_binary(kind):
            return column
        if kinds.is_struct(kind) and kind.get_field_index("bytes") >= 0:
            return f"{column}.bytes"
    names = ", ".join(f"{field.name} ({field.type})" for field in schema)
    raise ValueError(
        f"{shown(Path(file))}: --column must name a column of encoded pictures (binary, or a struct with a "
        f"field bytes), got {column!r}; the columns are {names}"
    )

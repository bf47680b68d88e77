"""From a unit of work to its results; runs in the workers and knows nothing of Ray."""

import os
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import parquet

from fer_edge.bulk.schema import rows_of_faces, schema_of, table_from_rows
from fer_edge.bulk.units import ParquetRows, PictureFiles, Unit, VideoFile
from fer_edge.cli.pictures import message_of, shown
from fer_edge.cli.video.video_file import reason_of_bad_end
from fer_edge.installation.import_opencv import opencv
from fer_edge.models import ModelError
from fer_edge.pictures.read_picture import Picture, picture_from_bytes, read_picture
from fer_edge.recognizer import Recognizer
from fer_edge.stream import Stream

# Encoded pictures of a Parquet file in memory at a time.
ROWS_AT_ONCE = 16
# What a bad input raises.
BAD_INPUT = (OSError, ValueError, ModelError, MemoryError)

Rows = Iterator[dict[str, Any]]


class UnitRecognizer:
    """Recognises units. Opens its networks once.

    Args:
        settings: of the Recognizer.
        for_pictures: further settings for pictures, which are searched more finely than videos.
        folder: relative paths of the inputs start here.
        expected: "model" and "detector" of Recognizer.info(), as the job saw them.

    Raises:
        ModelError: a model cannot be used, or is another file than that of the job.
        ImportError: OpenCV or the engine is missing.
    """

    def __init__(
        self,
        settings: Mapping[str, Any],
        for_pictures: Mapping[str, Any],
        folder: str,
        expected: Mapping[str, Any],
    ) -> None:
        opencv().setNumThreads(settings["threads"] or 1)
        self._settings, self._folder = settings, folder
        self._recognizer = Recognizer(**settings, **for_pictures)
        info = self._recognizer.info()
        for name, model in expected.items():
            if info[name] != model:
                raise ModelError(
                    f"all machines must have the same {name}, expected {model}, got {info[name]} on "
                    f"{os.uname().nodename}; copy the file, or install the same fer_edge"
                )

    @cached_property
    def _for_videos(self) -> Recognizer:
        return Recognizer(**self._settings)

    @property
    def schema(self) -> pa.Schema:
        """The schema of the tables."""
        return schema_of(self._recognizer.labels)

    def __call__(self, unit: Unit) -> pa.Table:
        """Returns the results of a unit, in the order of its inputs. A bad input is a row with `error`."""
        return table_from_rows(self._rows(unit), self.schema)

    def _rows(self, unit: Unit) -> Rows:
        if isinstance(unit, PictureFiles):
            return self._rows_of_pictures(unit)
        if isinstance(unit, ParquetRows):
            return self._rows_of_parquet(unit)
        if isinstance(unit, VideoFile):
            return self._rows_of_video(unit)
        return iter([{**unit.first(), "error": unit.message}])

    def _rows_of_pictures(self, unit: PictureFiles) -> Rows:
        for path in unit.paths:
            name: dict[str, object] = {"source": shown(Path(path))}
            try:
                yield from self._rows_of_picture(name, read_picture(Path(self._folder, path)))
            except BAD_INPUT as error:
                yield name | {"error": _message(error)}

    def _rows_of_parquet(self, unit: ParquetRows) -> Rows:
        rows = _encoded_pictures(Path(self._folder, unit.path), unit)
        for index in range(unit.start, unit.start + unit.count):
            name: dict[str, object] = unit.first() | {"index": index}
            try:
                data = next(rows, b"")
            except (OSError, pa.ArrowException) as error:
                # The generator has ended: the rest of the unit cannot be read either.
                message = f"cannot be read as Parquet: {str(error).splitlines()[0]}"
                for left in range(index, unit.start + unit.count):
                    yield name | {"index": left, "error": message}
                return
            try:
                if data is None:
                    raise ValueError("is null")
                yield from self._rows_of_picture(name, picture_from_bytes(data))
            except BAD_INPUT as error:
                yield name | {"error": _message(error)}

    def _rows_of_picture(self, name: dict[str, object], picture: Picture) -> list[dict[str, Any]]:
        height, width = picture.pixels.shape[:2]
        common = name | {"width": width, "height": height, "note": "; ".join(picture.notes) or None}
        return rows_of_faces(common, self._recognizer(picture.pixels))

    def _rows_of_video(self, unit: VideoFile) -> Rows:
        name = unit.first()
        path = Path(self._folder, unit.path)
        try:
            if not path.stat().st_size:
                raise ValueError("is empty (0 bytes)")
            with Stream(self._for_videos, str(path)) as stream:
                for result in stream:
                    assert result.frame is not None
                    height, width = result.frame.shape[:2]
                    place = {"index": result.index, "time_s": result.time, "width": width, "height": height}
                    yield from rows_of_faces(name | place, result.faces)
            if reason := reason_of_bad_end(stream.info()["source"]):
                raise ValueError(reason)
        except BAD_INPUT as error:
            yield name | {"error": _message(error).removeprefix(f"{path} ")}


def _message(error: Exception) -> str:
    return message_of(error) or "is too large for the memory"


def failed(unit: Unit, message: str, schema: pa.Schema) -> pa.Table:
    """Returns the results of a unit of one input that cannot be done."""
    return table_from_rows([{**unit.first(), "error": message}], schema)


def _encoded_pictures(path: Path, unit: ParquetRows) -> Iterator[bytes | None]:
    """The column of the rows of a unit. What lies before them in the row group is read over."""
    skip = unit.start - unit.group_start
    with parquet.ParquetFile(path, pre_buffer=False, buffer_size=1 << 20) as table:
        for batch in table.iter_batches(ROWS_AT_ONCE, row_groups=[unit.group], columns=[unit.column]):
            if skip >= len(batch):
                skip -= len(batch)
                continue
            column = batch.column(0)
            pictures = column if unit.column == batch.schema.field(0).name else column.field("bytes")
            yield from pictures.slice(skip).to_pylist()
            skip = 0

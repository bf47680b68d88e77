"""A bulk job: which results are missing, and how they are made."""

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import fer_edge
from fer_edge.bulk import schema
from fer_edge.bulk.parts import Manifest, Parts
from fer_edge.bulk.progress import Progress
from fer_edge.bulk.ray_workers import ray_session, tables_of_units
from fer_edge.bulk.recognize import UnitRecognizer
from fer_edge.bulk.units import digest, units_from_files
from fer_edge.cli.predict import MAX_FACES, MIN_FACE_SHARE
from fer_edge.recognizer import Recognizer

# As in `fer-edge predict`.
FOR_PICTURES: dict[str, Any] = {"min_face_share": MIN_FACE_SHARE, "max_faces": MAX_FACES}


class Job:
    """The recognition of files into one Parquet file.

    Args:
        files: pictures, videos and Parquet files, in the order of the results.
        out: the results.
        settings: of the Recognizer; model and detector are names or absolute paths.
        column: of the encoded pictures in Parquet files.
        block: number of pictures that are done together.

    Raises:
        ModelError: a model is missing, corrupt or has the wrong role.
        ImportError: the engine is missing.
        ValueError: a setting is outside its range, or a Parquet file has no such column of pictures.
    """

    def __init__(
        self, files: Sequence[str], out: Path, settings: Mapping[str, Any], *, column: str, block: int
    ) -> None:
        self._settings = settings
        with Recognizer(**settings, **FOR_PICTURES) as recognizer:
            self._models = {name: recognizer.info()[name] for name in ("model", "detector")}
            self._schema = schema.schema_of(recognizer.labels)
        self._units = units_from_files(files, column, block)
        self.inputs = sum(map(len, self._units))
        manifest: Manifest = {
            "schema": schema.VERSION,
            "fer_edge": fer_edge.__version__,
            **self._models,
            **{name: settings[name] for name in ("backend", "min_face", "threshold")},
            "column": column,
            "block": block,
            "inputs": {"count": self.inputs, "sha256": digest(self._units, files)},
        }
        self._parts = Parts(out, manifest, len(self._units))

    def run(self, address: str | None, workers: int | None) -> None:
        """Makes what is missing of the results.

        Args:
            address: of a Ray cluster; None: this machine.
            workers: number of processes; None: as many as there are CPUs for.

        Raises:
            ValueError: the output belongs to another job, or another process writes it.
            ConnectionError: there is no cluster at the address.
            ModelError: the workers cannot recognise.
            OSError: the output cannot be written.
        """
        if not self._parts.is_complete():
            with self._parts.locked():
                if missing := self._parts.missing():
                    self._make(missing, address, workers)
                self._parts.merge(self._schema)
        self._parts.remove()

    def _make(self, missing: Sequence[int], address: str | None, workers: int | None) -> None:
        threads = self._settings["threads"] or 1
        units = {number: self._units[number] for number in missing}
        make_recognizer = partial(UnitRecognizer, self._settings, FOR_PICTURES, str(Path.cwd()), self._models)
        wanted = workers or max(1, len(os.sched_getaffinity(0)) // threads)
        done = self.inputs - sum(map(len, units.values()))
        with Progress(self.inputs, done) as progress, ray_session(address, wanted * threads) as cpus:
            for number, table in tables_of_units(
                units,
                make_recognizer,
                self._schema,
                workers=workers or max(1, cpus // threads),
                threads=threads,
            ):
                self._parts.write(number, table)
                progress.step(len(units[number]))

    def counts(self) -> Counter[str]:
        """Returns what the results hold; see Parts.counts."""
        return self._parts.counts()

"""Output of `fer-edge predict`: a table for people, JSON lines or CSV for programs."""

import csv
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from fer_edge.cli.pictures import shown
from fer_edge.result import Face

MAX_NAME_WIDTH = 48


class Report(Protocol):
    """Prints each result as soon as it is available, in the order of the inputs."""

    def picture(self, path: Path, faces: Sequence[Face], drawn: Path | None, min_face_px: float) -> None:
        """Prints the faces of a picture, of this size and larger, and the path of its annotated copy."""

    def failure(self, path: str, message: str) -> None:
        """Prints that an input failed. The caller also writes the message to stderr."""


class TableReport:
    """Aligned columns, one line per face."""

    def __init__(self, paths: Sequence[Path], labels: Sequence[str]) -> None:
        self._name_width = max([4, *(min(len(shown(path)), MAX_NAME_WIDTH) for path in paths)])
        self._label_width = max(10, *map(len, labels))
        self._line("file", "face", "expression", "conf.", "box (x0 y0 x1 y1)", "note")

    def picture(self, path: Path, faces: Sequence[Face], drawn: Path | None, min_face_px: float) -> None:
        if not faces:
            self._line(shown(path), "-", "no face", "", "", f"of {min_face_px:.0f} px and more")
        for number, face in enumerate(faces, 1):
            box = " ".join(f"{value:4.0f}" for value in face.box)
            self._line(
                shown(path), str(number), face.label, f"{face.confidence:.0%}", box, face.abstain_reason or ""
            )
        if drawn is not None:
            print(f"  drawn: {shown(drawn)}")

    def failure(self, path: str, message: str) -> None:
        pass

    def _line(self, name: str, face: str, label: str, confidence: str, box: str, note: str) -> None:
        name = name if len(name) <= MAX_NAME_WIDTH else "..." + name[3 - MAX_NAME_WIDTH :]
        who = f"{name:{self._name_width}}  {face:>4}"
        print(f"{who}  {label:{self._label_width}}  {confidence:>5}  {box:19}  {note}".rstrip())


class JsonReport:
    """One JSON object per picture and line: `file`, and `min_face_px` and `faces`, or `error`.

    With --draw also `drawn`.
    """

    def picture(self, path: Path, faces: Sequence[Face], drawn: Path | None, min_face_px: float) -> None:
        record: dict[str, object] = {
            "file": str(path),
            "min_face_px": round(min_face_px, 1),
            "faces": [face.to_dict() for face in faces],
        }
        if drawn is not None:
            record["drawn"] = str(drawn)
        print(json.dumps(record))

    def failure(self, path: str, message: str) -> None:
        print(json.dumps({"file": path, "error": message}))


class CsvReport:
    """One row per face; one row with empty fields for a picture without faces, so that none is missing."""

    def __init__(self, labels: Sequence[str]) -> None:
        self._labels = labels
        self._writer = csv.writer(sys.stdout, lineterminator="\n")
        head = ["file", "face", "label", "confidence", "abstain_reason", "score", "x0", "y0", "x1", "y1"]
        self._writer.writerow([*head, *labels])

    def picture(self, path: Path, faces: Sequence[Face], drawn: Path | None, min_face_px: float) -> None:
        if not faces:
            self._writer.writerow([shown(path)] + [""] * (9 + len(self._labels)))
        for number, face in enumerate(faces, 1):
            numbers = [face.score, *face.box, *face.probabilities.values()]
            self._writer.writerow(
                [shown(path), number, face.label, f"{face.confidence:.4f}", face.abstain_reason or ""]
                + [f"{value:.4f}" for value in numbers]
            )

    def failure(self, path: str, message: str) -> None:
        pass

"""The results of `fer-edge predict` as a table for people, and as JSON lines or CSV for programs."""

import csv
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from fer_edge.cli.pictures import shown
from fer_edge.result import Face

WIDEST_NAME = 48


class Report(Protocol):
    """Takes one picture after the other, in the order they were given, and prints each at once."""

    def picture(self, path: Path, faces: Sequence[Face], drawn: Path | None) -> None:
        """Tells what was found in a picture, and where the annotated copy went."""

    def failure(self, path: str, message: str) -> None:
        """Tells that an input failed; stderr is told by the caller."""


class TableReport:
    """Aligned columns, one line a face."""

    def __init__(self, paths: Sequence[Path], labels: Sequence[str]) -> None:
        self._name_width = max([4, *(min(len(shown(path)), WIDEST_NAME) for path in paths)])
        self._label_width = max(10, *map(len, labels))
        self._line("file", "face", "expression", "conf.", "box (x0 y0 x1 y1)", "note")

    def picture(self, path: Path, faces: Sequence[Face], drawn: Path | None) -> None:
        if not faces:
            self._line(shown(path), "-", "no face", "", "", "")
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
        name = name if len(name) <= WIDEST_NAME else "..." + name[3 - WIDEST_NAME :]
        who = f"{name:{self._name_width}}  {face:>4}"
        print(f"{who}  {label:{self._label_width}}  {confidence:>5}  {box:19}  {note}".rstrip())


class JsonReport:
    """One JSON object a line and picture: `file`, and `faces` or `error`; `drawn` with --draw."""

    def picture(self, path: Path, faces: Sequence[Face], drawn: Path | None) -> None:
        record: dict[str, object] = {"file": str(path), "faces": [face.to_dict() for face in faces]}
        if drawn is not None:
            record["drawn"] = str(drawn)
        print(json.dumps(record))

    def failure(self, path: str, message: str) -> None:
        print(json.dumps({"file": path, "error": message}))


class CsvReport:
    """One row a face; a picture without one has a row with empty fields, so that it is seen to be done."""

    def __init__(self, labels: Sequence[str]) -> None:
        self._labels = labels
        self._writer = csv.writer(sys.stdout, lineterminator="\n")
        head = ["file", "face", "label", "confidence", "abstain_reason", "score", "x0", "y0", "x1", "y1"]
        self._writer.writerow([*head, *labels])

    def picture(self, path: Path, faces: Sequence[Face], drawn: Path | None) -> None:
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

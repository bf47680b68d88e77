"""Labelled pictures of a user for a comparison: a folder for each label, or a CSV file.

Unlike the readers of data sets there are no splits, because nothing is trained.
"""

import csv
from dataclasses import dataclass
from pathlib import Path

from training.data.labels import LABEL_OF_ALIAS
from training.data.pictures import picture_files

COLUMNS = ("path", "label")


@dataclass(frozen=True, slots=True)
class LabelledPicture:
    """A picture file with an expression, an index of LABELS."""

    path: Path
    label: int


def read_labelled(source: Path) -> list[LabelledPicture]:
    """Reads DATA/<label>/*.jpg, or a CSV file with the columns path and label.

    Labels are those of LABELS or their aliases, in upper or lower case; paths of a CSV file are relative to
    it.

    Raises:
        OSError: the source is missing.
        ValueError: a label is unknown, a column is missing, or there is no picture.
    """
    found = _from_csv(source) if source.is_file() else _from_folder(source)
    if not found:
        raise ValueError(f"{source} must hold labelled pictures, found none; give a folder for each label")
    return found


def label_index(name: str, where: str) -> int:
    """The index of a label; raises ValueError that lists the names."""
    index = LABEL_OF_ALIAS.get(name.strip().lower())
    if index is None:
        raise ValueError(f"{where} must be one of {', '.join(LABEL_OF_ALIAS)}, got {name!r}")
    return index


def _from_folder(root: Path) -> list[LabelledPicture]:
    if not root.is_dir():
        raise FileNotFoundError(f"{root} is no folder and no CSV file; check the path")
    return [
        LabelledPicture(path, label_index(folder.name, f"the name of the folder {folder}"))
        for folder in sorted(p for p in root.iterdir() if p.is_dir() and not p.name.startswith("."))
        for path in picture_files(folder, root, {})
    ]


def _from_csv(path: Path) -> list[LabelledPicture]:
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file)
        if missing := [name for name in COLUMNS if name not in (reader.fieldnames or ())]:
            raise ValueError(f"{path} must have the columns path and label, got none named {missing[0]}")
        return [
            LabelledPicture(
                path.parent / row["path"], label_index(row["label"] or "", f"{path}: label in line {number}")
            )
            for number, row in enumerate(reader, 2)
        ]

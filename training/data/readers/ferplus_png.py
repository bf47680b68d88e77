"""FER+ as Microsoft's generate_training_data.py writes it: three folders of PNG files with a label.csv each.

A line of label.csv is a file name and ten votes. In the files that Microsoft ships, a box stands between
them, which is always the whole picture. That program does not keep FER2013's own label.
"""

import csv
import re
from functools import partial
from pathlib import Path

import numpy as np

from training.data.pictures import (
    Dataset,
    Picture,
    Source,
    UnreadablePicture,
    luma_from_file,
    source_from_arrays,
)
from training.data.readers.ferplus import CATEGORIES, SIDE, shares_from_votes

FOLDERS = {"train": "FER2013Train", "valid": "FER2013Valid", "test": "FER2013Test"}
LABEL_FILE = "label.csv"
EXPECTS = f"{', '.join(FOLDERS.values())}, each with PNG files and {LABEL_FILE}"
NAME = re.compile(r"fer(\d+)\.png")


def fits(root: Path) -> bool:
    """Whether the three folders are there."""
    return all((root / folder).is_dir() for folder in FOLDERS.values())


def read(root: Path) -> Dataset:
    """Reads the three label files; a broken line is reported and left out.

    Raises:
        FileNotFoundError: a folder has no label.csv.
    """
    broken: dict[str, str] = {}
    return Dataset({split: _source(root, name, broken) for split, name in FOLDERS.items()}, broken, SIDE)


def _source(root: Path, folder: str, broken: dict[str, str]) -> Source:
    path = root / folder / LABEL_FILE
    if not path.is_file():
        raise FileNotFoundError(
            f"{path} does not exist; expected one line a picture with its votes; make it with Microsoft's "
            "generate_training_data.py"
        )
    names, votes = [], []
    with path.open(newline="", encoding="utf-8-sig") as file:
        for number, line in enumerate(csv.reader(file), start=1):
            texts = [text.strip() for text in line]
            # The last ten columns, whether or not there is a box.
            counts = texts[-CATEGORIES:]
            if (
                len(texts) not in (1 + CATEGORIES, 2 + CATEGORIES)
                or not NAME.fullmatch(texts[0])
                or not all(map(str.isdecimal, counts))
            ):
                broken[f"{folder}/{LABEL_FILE} line {number}"] = (
                    f"must be a name like fer0000123.png and {CATEGORIES} votes, got {','.join(texts)!r}"
                )
                continue
            names.append(texts[0])
            votes.append([int(count) for count in counts])
    shares, labelled = shares_from_votes(np.array(votes, np.float32).reshape(-1, CATEGORIES))
    return source_from_arrays(
        [f"{folder}/{name}" for name in names],
        partial(_luma_at, [root / folder / name for name in names]),
        shares,
        np.array([int(name[3:-4]) for name in names], np.int64),
        labelled=labelled,
    )


def _luma_at(paths: list[Path], index: int) -> Picture:
    luma = luma_from_file(paths[index])
    if not isinstance(luma, UnreadablePicture) and luma.shape != (SIDE, SIDE):
        return UnreadablePicture(f"must be {SIDE} x {SIDE} px, got {luma.shape[1]} x {luma.shape[0]}")
    return luma

"""FER+ as Microsoft publishes it: fer2013.csv of the ICML 2013 contest and fer2013new.csv with the votes.

Line n of one file belongs to line n of the other. Pictures that all ten annotators called no face have no
name in fer2013new.csv; like Microsoft's generate_training_data.py, this reader leaves them out.
"""

import csv
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
from tqdm import tqdm

from training.data.pictures import Dataset, Picture, Source, source_from_arrays
from training.data.readers.ferplus import CATEGORIES, FER2013_ORDER, SIDE, shares_from_votes
from training.data.split import SPLITS

PICTURES, VOTES = "fer2013.csv", "fer2013new.csv"
EXPECTS = f"{PICTURES} (emotion, pixels, Usage) and {VOTES} (Usage, Image name, ten columns of votes)"
SPLIT_OF_USAGE = {"Training": "train", "PublicTest": "valid", "PrivateTest": "test"}
EMOTIONS = tuple(str(number) for number in range(len(FER2013_ORDER)))
NAME = re.compile(r"fer(\d+)\.png")


class _Rows:
    """Columns of one split while the files are read."""

    def __init__(self) -> None:
        self.images: list[np.ndarray] = []
        self.names: list[str] = []
        self.votes: list[list[int]] = []
        self.single: list[int] = []
        self.rows: list[int] = []

    def source(self) -> Source:
        shares, labelled = shares_from_votes(np.array(self.votes, np.float32).reshape(-1, CATEGORIES))
        return source_from_arrays(
            self.names,
            partial(_image_at, self.images),
            shares,
            np.array(self.rows, np.int64),
            single=np.array(self.single, np.int64),
            labelled=labelled,
        )


def fits(root: Path) -> bool:
    """Whether both files are there."""
    return (root / PICTURES).is_file() and (root / VOTES).is_file()


def read(root: Path) -> Dataset:
    """Reads both files; a broken line is reported and left out.

    Raises:
        ValueError: a column is missing, or the files differ in their number of lines.
    """
    pictures = _lines(root / PICTURES, ("emotion", "pixels", "Usage"))
    votes = _lines(root / VOTES, ("Usage", "Image name"))
    splits = {split: _Rows() for split in SPLITS}
    broken: dict[str, str] = {}
    bar = tqdm(_pairs(root, pictures, votes), desc=PICTURES, mininterval=5, disable=None)
    # The first line holds the names of the columns.
    for number, (picture, vote) in enumerate(bar, start=2):
        if reason := _add(splits, picture, vote):
            broken[f"{PICTURES} line {number}"] = reason
    return Dataset({split: rows.source() for split, rows in splits.items()}, broken, SIDE)


def _add(splits: dict[str, _Rows], picture: dict[str, str], vote: dict[str, str]) -> str | None:
    """Adds a line to its split; returns what is wrong with the line, if anything."""
    name = vote["Image name"]
    if not name:
        return None
    if not (match := NAME.fullmatch(name)):
        return f"{VOTES} must name it like fer0000123.png, got {name!r}"
    if picture["Usage"] != vote["Usage"] or picture["Usage"] not in SPLIT_OF_USAGE:
        return (
            f"Usage must be one of {', '.join(SPLIT_OF_USAGE)} in both files, got {picture['Usage']!r} and "
            f"{vote['Usage']!r}"
        )
    try:
        image = np.array(picture["pixels"].split(), np.uint8)
    except (ValueError, OverflowError) as error:
        return f"pixels must be whole numbers from 0 to 255: {error}"
    counts = [text for column, text in vote.items() if column not in ("Usage", "Image name")]
    if image.size != SIDE * SIDE or len(counts) != CATEGORIES or not all(map(str.isdecimal, counts)):
        return (
            f"must have {SIDE * SIDE} pixels and {CATEGORIES} votes, got {image.size} pixels and the votes "
            f"{' '.join(counts)}"
        )
    if picture["emotion"] not in EMOTIONS:
        return f"emotion must be 0 to {len(EMOTIONS) - 1}, got {picture['emotion']!r}"
    rows = splits[SPLIT_OF_USAGE[picture["Usage"]]]
    rows.images.append(image.reshape(SIDE, SIDE))
    rows.names.append(name)
    rows.votes.append([int(text) for text in counts])
    rows.single.append(FER2013_ORDER[EMOTIONS.index(picture["emotion"])])
    rows.rows.append(int(match[1]))
    return None


def _lines(path: Path, columns: tuple[str, ...]) -> Iterator[dict[str, str]]:
    """The lines of a CSV file by column; a line that is too short is completed with empty texts."""
    # Some copies begin with a byte-order mark.
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.reader(file)
        names = [name.strip() for name in next(reader, [])]
        if missing := [column for column in columns if column not in names]:
            raise ValueError(
                f"{path} must begin with a line of columns that holds {', '.join(columns)}; it lacks "
                f"{', '.join(missing)}; fetch it again"
            )
        for line in reader:
            yield {name: text.strip() for name, text in zip(names, line + [""] * len(names), strict=False)}


def _pairs(
    root: Path, pictures: Iterator[dict[str, str]], votes: Iterator[dict[str, str]]
) -> Iterator[tuple[dict[str, str], dict[str, str]]]:
    count = 0
    for picture in pictures:
        vote = next(votes, None)
        if vote is None:
            raise ValueError(
                f"{root / VOTES} must have a line for each of {PICTURES}, got only {count}; fetch both again"
            )
        count += 1
        yield picture, vote
    if next(votes, None) is not None:
        raise ValueError(
            f"{root / PICTURES} must have a line for each of {VOTES}, got only {count}; fetch both again"
        )


def _image_at(images: list[np.ndarray], index: int) -> Picture:
    return images[index]

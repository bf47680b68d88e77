"""Karolinska Directed Emotional Faces (Lundqvist, Flykt and Öhman, 1998): 70 people, two sessions, seven
expressions, five angles.

A file is named by session (A, B), sex (F, M), number, expression and angle: AF01ANS.JPG, BM12HAHL.JPG. Both
sessions show the same people. The split is by person: numbers that end in 0 or 5 are the test split, those
that end in 4 the valid split: 14 and 8 of 70 people, half of them women.
"""

import re
from pathlib import Path

from training.data.labels import INDEX, KDEF
from training.data.pictures import Dataset, PictureRow, dataset_from_rows, name_of, picture_files

EXPECTS = "KDEF_and_AKDEF/KDEF (or KDEF, or the top) with a folder a person and session, AF01 to BM35"
PERSON = re.compile(r"[AB][FM]\d\d", re.IGNORECASE)
FILE = re.compile(rf"[AB]([FM])(\d\d)({'|'.join(KDEF)})(?:FL|HL|S|HR|FR)\.JPE?G", re.IGNORECASE)
# Added to the numbers of men, so that no two people have the same number.
MEN_FROM = 100


def fits(root: Path) -> bool:
    """Whether folders with KDEF's names of people are there."""
    return bool(_person_folders(root))


def read(root: Path) -> Dataset:
    """Reads all sessions and angles; a file with another kind of name is reported and left out."""
    broken: dict[str, str] = {}
    rows = []
    for folder in _person_folders(root):
        for path in picture_files(folder, root, broken):
            match = FILE.fullmatch(path.name)
            if match is None:
                broken[name_of(path, root)] = (
                    "must be named by session, sex, number, expression and angle, like AF01ANS.JPG"
                )
                continue
            sex, number, expression = match[1].upper(), int(match[2]), match[3].upper()
            person = number + (MEN_FROM if sex == "M" else 0)
            rows.append(PictureRow(split_from_number(number), path, INDEX[KDEF[expression]], person))
    return dataset_from_rows(root, rows, broken)


def split_from_number(number: int) -> str:
    """The split of the man and the woman with this number."""
    if number % 5 == 0:
        return "test"
    return "valid" if number % 10 == 4 else "train"


def _person_folders(root: Path) -> list[Path]:
    for base in (root / "KDEF_and_AKDEF" / "KDEF", root / "KDEF", root):
        if base.is_dir():
            found = sorted(p for p in base.iterdir() if p.is_dir() and PERSON.fullmatch(p.name))
            if found:
                return found
    return []

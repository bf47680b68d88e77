"""KDEF in its real layout, split by person."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from training.audit import people_across_splits
from training.data.readers import layout_from_folder, read
from training.data.split import LABELS

WritePicture = Callable[[Path, np.ndarray], Path]
EXPRESSIONS = {
    "AF": "fear",
    "AN": "anger",
    "DI": "disgust",
    "HA": "happiness",
    "NE": "neutral",
    "SA": "sadness",
    "SU": "surprise",
}
NUMBERS = (1, 3, 4, 5, 9, 10, 14, 35)


@pytest.fixture(params=["KDEF_and_AKDEF/KDEF", "KDEF", ""])
def root(request: pytest.FixtureRequest, tmp_path: Path, write_picture: WritePicture) -> Path:
    for session in "AB":
        for sex in "FM":
            for number in NUMBERS:
                person = f"{session}{sex}{number:02d}"
                for k, expression in enumerate(EXPRESSIONS):
                    angle = ("S", "FL", "HR")[k % 3]
                    path = tmp_path / request.param / person / f"{person}{expression}{angle}.JPG"
                    write_picture(path, np.full((8, 6, 3), k, np.uint8))
    return tmp_path


def test_expressions_and_people(root: Path):
    assert layout_from_folder(root) == "kdef"
    dataset = read(root)
    assert sum(map(len, dataset.splits.values())) == 2 * 2 * len(NUMBERS) * 7
    for source in dataset.splits.values():
        for name, votes, person in zip(source.names, source.votes, source.people, strict=True):
            stem = Path(name).stem
            assert LABELS[votes.argmax()] == EXPRESSIONS[stem[4:6]]
            assert person == int(stem[2:4]) + (100 if stem[1] == "M" else 0)


def test_split_by_person(root: Path):
    dataset = read(root)
    people = {name: set(source.people.tolist()) for name, source in dataset.splits.items()}
    assert people == {
        "train": {1, 3, 9, 101, 103, 109},
        "valid": {4, 14, 104, 114},
        "test": {5, 10, 35, 105, 110, 135},
    }
    assert people_across_splits(dataset) == {}


def test_nobody_moves_when_others_are_missing(root: Path):
    before = {name: set(source.names) for name, source in read(root).splits.items()}
    gone = next(root.rglob("AF01"))
    for path in gone.iterdir():
        path.unlink()
    gone.rmdir()
    for name, source in read(root).splits.items():
        assert set(source.names) == {n for n in before[name] if "/AF01" not in f"/{n}"}


def test_a_file_with_another_name_is_named(root: Path, write_picture: WritePicture):
    folder = next(root.rglob("AF01"))
    write_picture(folder / "AF31V.JPG", np.zeros((8, 6), np.uint8))
    dataset = read(root)
    [(name, reason)] = dataset.broken.items()
    assert name.endswith("AF01/AF31V.JPG")
    assert "AF01ANS.JPG" in reason

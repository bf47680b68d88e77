"""AffectNet in its real layout, with an annotation file for each picture."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from training.data.readers import layout_from_folder, read
from training.data.split import LABELS

WritePicture = Callable[[Path, np.ndarray], Path]
IN_AFFECT_NET_ORDER = ["neutral", "happiness", "sadness", "surprise", "fear", "disgust", "anger", "contempt"]


@pytest.fixture
def root(tmp_path: Path, write_picture: WritePicture) -> Path:
    for folder, count in (("train_set", 160), ("val_set", 16)):
        (tmp_path / folder / "annotations").mkdir(parents=True)
        for k in range(count):
            write_picture(tmp_path / folder / "images" / f"{k}.jpg", np.full((9, 9, 3), k, np.uint8))
            # The data set stores the number as text.
            np.save(tmp_path / folder / "annotations" / f"{k}_exp.npy", np.array(str(k % 8)))
            np.save(tmp_path / folder / "annotations" / f"{k}_aro.npy", np.array("0.1"))
    return tmp_path


def test_labels_and_splits(root: Path):
    assert layout_from_folder(root) == "affectnet"
    dataset = read(root)
    assert dataset.broken == {}
    assert {name: len(source) for name, source in dataset.splits.items()} == {
        "train": 144,
        "valid": 16,
        "test": 16,
    }
    for source in dataset.splits.values():
        for name, votes in zip(source.names, source.votes, strict=True):
            assert LABELS[votes.argmax()] == IN_AFFECT_NET_ORDER[int(Path(name).stem) % 8]
    assert all(name.startswith("val_set/") for name in dataset.splits["test"].names)
    assert np.bincount(dataset.splits["valid"].votes.argmax(1)).tolist() == [2] * 8


def test_the_split_is_the_same_when_pictures_join(root: Path, write_picture: WritePicture):
    before = set(read(root).splits["valid"].names)
    for k in range(1000, 1003):
        write_picture(root / "train_set/images" / f"{k}.jpg", np.zeros((9, 9, 3), np.uint8))
        np.save(root / "train_set/annotations" / f"{k}_exp.npy", np.array("0"))
    after = read(root).splits["valid"]
    # A class of 23 keeps two valid pictures, of which at most both are new.
    kept = set(after.names) & before
    assert len(after) == 16
    assert {n for n in before if int(Path(n).stem) % 8} <= kept


def test_pictures_of_none_of_the_eight_are_not_used(root: Path):
    np.save(root / "val_set/annotations/3_exp.npy", np.array("9"))
    dataset = read(root)
    test = dataset.splits["test"]
    unlabelled = [test.names[k] for k in np.flatnonzero(~test.labelled)]
    assert unlabelled == ["val_set/images/3.jpg"]
    assert len(test.usable) == 15
    assert test.votes[~test.labelled].sum() == 0
    assert dataset.broken == {}


def test_faults_are_named_and_the_rest_is_kept(root: Path):
    (root / "val_set/annotations/0_exp.npy").unlink()
    (root / "val_set/images/1.jpg").unlink()
    (root / "val_set/annotations/2_exp.npy").write_bytes(b"")
    (root / "val_set/annotations/4_exp.npy").write_bytes(b"text")
    np.save(root / "val_set/annotations/5_exp.npy", np.array("11"))
    np.save(root / "val_set/annotations/6_exp.npy", np.array([1, 2]))
    dataset = read(root)
    assert set(dataset.broken) == {
        "val_set/images/0.jpg",
        *(f"val_set/annotations/{k}_exp.npy" for k in (1, 2, 4, 5, 6)),
    }
    assert "got 11" in dataset.broken["val_set/annotations/5_exp.npy"]
    assert len(dataset.splits["test"]) == 10

"""RAF-DB's basic set in its real layout."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from training.data.pictures import UnreadablePicture
from training.data.readers import layout_from_folder, read
from training.data.split import LABELS

WritePicture = Callable[[Path, np.ndarray], Path]
TRAIN, TEST = 140, 14
IN_FER_ORDER = ["surprise", "fear", "disgust", "happiness", "sadness", "anger", "neutral"]


@pytest.fixture(params=["", "basic"])
def root(request: pytest.FixtureRequest, tmp_path: Path, write_picture: WritePicture) -> Path:
    base = tmp_path / request.param
    lines = []
    for split, count in (("train", TRAIN), ("test", TEST)):
        for k in range(count):
            name = f"{split}_{k + 1:05d}"
            lines.append(f"{name}.jpg {k % 7 + 1}")
            write_picture(base / "Image/aligned" / f"{name}_aligned.jpg", np.full((10, 10, 3), k, np.uint8))
    (base / "EmoLabel").mkdir()
    (base / "EmoLabel/list_patition_label.txt").write_text("\n".join(lines) + "\n")
    return tmp_path


def label_file(root: Path) -> Path:
    return next(root.rglob("list_patition_label.txt"))


def test_labels_and_splits(root: Path):
    assert layout_from_folder(root) == "raf-db"
    dataset = read(root)
    test = dataset.splits["test"]
    assert [LABELS[k] for k in test.votes.argmax(1)] == IN_FER_ORDER * 2
    assert (test.votes.max(1) == 1).all()
    assert (test.votes.sum(1) == 1).all()
    assert (test.single == -1).all()
    assert {len(dataset.splits["train"]), len(dataset.splits["valid"])} == {126, 14}
    assert all("/test_" in name for name in test.names)
    np.testing.assert_array_equal(test.luma(9), np.full((10, 10), 9, np.uint8))


def test_valid_is_a_tenth_of_each_class_of_train(root: Path):
    dataset = read(root)
    valid, train = dataset.splits["valid"], dataset.splits["train"]
    assert np.bincount(valid.votes.argmax(1), minlength=8).tolist() == [2] * 7 + [0]
    assert not set(valid.names) & set(train.names)
    assert all("/train_" in name for name in [*valid.names, *train.names])


def test_the_split_does_not_depend_on_the_order_of_lines(root: Path):
    before = set(read(root).splits["valid"].names)
    lines = label_file(root).read_text().splitlines()
    label_file(root).write_text("\n".join(reversed(lines)) + "\n")
    assert set(read(root).splits["valid"].names) == before


def test_a_missing_picture_shows_when_it_is_read(root: Path):
    next(root.rglob("test_00003_aligned.jpg")).unlink()
    test = read(root).splits["test"]
    assert [k for k in range(TEST) if isinstance(test.luma(k), UnreadablePicture)] == [2]


@pytest.mark.parametrize("line", ["train_00001.jpg 8", "train_00001.jpg", "train_00001 5", "valid_1.jpg 5"])
def test_a_wrong_line_is_named(root: Path, line: str):
    text = label_file(root).read_text()
    label_file(root).write_text(f"{line}\n{text}")
    with pytest.raises(ValueError, match=f"line 1 must be like .* got '{line}'"):
        read(root)

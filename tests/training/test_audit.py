"""The audit: what it counts, what it prints, and its exit codes."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from training.audit import Pair, counts_from_pairs, main, people_across_splits
from training.data.readers import read
from training.data.split import SPLITS

WritePicture = Callable[[Path, np.ndarray], Path]
Pictures = Callable[[int, int], np.ndarray]
CLASSES = ("happy", "sad")


@pytest.fixture
def clean(tmp_path: Path, pictures: Pictures, write_picture: WritePicture) -> Path:
    """Folders of splits with eight different pictures each, even ones happy and odd ones sad."""
    root = tmp_path / "data"
    for seed, split in enumerate(SPLITS):
        for k, image in enumerate(pictures(seed, 8)):
            write_picture(root / split / CLASSES[k % 2] / f"{k}.png", image)
    return root


def audited(root: Path, tmp_path: Path, code: int) -> dict:
    report = tmp_path / "report.json"
    assert main([str(root), "--json", str(report)]) == code
    return json.loads(report.read_text())


def test_clean_data(clean: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    found = audited(clean, tmp_path, 0)
    assert found["pictures"]["train"]["happiness"] == found["pictures"]["train"]["sadness"] == 4
    assert found["pictures"]["train"]["anger"] == 0
    assert found["pairs"] == []
    text = capsys.readouterr().out
    assert "broken files: none" in text
    assert "near copies across splits: none" in text


def test_copies_across_splits(
    clean: Path, tmp_path: Path, write_picture: WritePicture, capsys: pytest.CaptureFixture[str]
):
    tested = cv2.imread(str(clean / "test/sad/1.png"), cv2.IMREAD_GRAYSCALE)
    brighter = np.clip(tested * 0.8 + 30, 0, 255).astype(np.uint8)
    # The same pixels in another file format are an exact copy.
    write_picture(clean / "train/sad/again.bmp", tested)
    write_picture(clean / "train/sad/bright.png", brighter)
    write_picture(clean / "valid/happy/mirror.png", np.ascontiguousarray(tested[:, ::-1]))
    found = audited(clean, tmp_path, 1)
    counts = {name: kinds["all pictures"] for name, kinds in found["across"].items()}
    assert counts["train in test"] == {"exact": 1, "near": 1, "matched": 1, "exact_pairs": 1, "near_pairs": 1}
    assert counts["train in valid"]["near"] == 2
    assert counts["valid in test"]["near"] == 1
    # Both have copies in both held-out splits, but each counts once.
    assert counts["train in valid or test"] == {
        "exact": 1,
        "near": 1,
        "matched": 2,
        "exact_pairs": 1,
        "near_pairs": 3,
    }
    assert {tuple(pair["pictures"]) for pair in found["pairs"] if pair["exact"]} == {
        ("train: train/sad/again.bmp", "test: test/sad/1.png")
    }
    assert found["within"]["train"]["near"] == 1
    assert "train: train/sad/bright.png  =  test: test/sad/1.png" in capsys.readouterr().out


def test_repeats_within_a_split_are_no_leak(clean: Path, tmp_path: Path, write_picture: WritePicture):
    image = cv2.imread(str(clean / "train/sad/1.png"))
    for k in range(2):
        write_picture(clean / f"train/sad/repeat{k}.png", image)
    found = audited(clean, tmp_path, 0)
    # Of three equal pictures, two repeat another one.
    assert found["within"]["train"]["exact"] == 2
    assert found["within"]["test"]["exact"] == 0


def test_broken_files(clean: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (clean / "valid/sad/3.png").write_bytes(b"\x89PNG")
    (clean / "valid/sad/notes.txt").touch()
    found = audited(clean, tmp_path, 1)
    assert set(found["broken"]) == {"valid/sad/3.png", "valid/sad/notes.txt"}
    assert "broken files: 2" in capsys.readouterr().out


def test_rows_without_a_label_are_counted_apart(
    tmp_path: Path, pictures: Pictures, capsys: pytest.CaptureFixture[str]
):
    root = tmp_path / "data"
    root.mkdir()
    images = {split: pictures(seed, 6) for seed, split in enumerate(SPLITS)}
    # The first is a copy of an unlabelled test picture, the second of a labelled one.
    images["train"][:2] = images["test"][:2]
    votes = np.zeros((6, 10), np.uint8)
    votes[:, 3] = 10
    votes[0] = np.eye(10, dtype=np.uint8)[8] * 10
    for split in SPLITS:
        np.savez(
            root / f"{split}.npz",
            images=images[split],
            votes=votes if split == "test" else np.roll(votes, -1, axis=0),
            fer2013_label=np.zeros(6, np.int8),
            row=np.arange(6),
            copy_of_heldout=np.arange(6) < (2 if split == "train" else 0),
        )
    found = audited(root, tmp_path, 1)
    assert found["across"]["train in test"]["all pictures"]["exact"] == 2
    assert found["across"]["train in test"]["labelled pictures"]["exact"] == 1
    assert found["pictures"]["train"]["flagged"] == 2
    assert found["pictures"]["test"]["no label"] == 1
    assert "  in all" + " " * 40 + "        6" * 3 in capsys.readouterr().out


def test_people_in_several_splits(clean: Path):
    dataset = read(clean)
    assert people_across_splits(dataset) == {}
    people = {"train": [1, 1, 2, 3, -1, -1, 5, 5], "valid": [4, 5] * 4, "test": [2, 6, -1, 7] * 2}
    splits = {name: replace(s, people=np.array(people[name])) for name, s in dataset.splits.items()}
    assert people_across_splits(replace(dataset, splits=splits)) == {
        2: ["train", "test"],
        5: ["train", "valid"],
    }


def test_a_picture_with_exact_and_near_copies_counts_as_exact():
    pairs = [
        Pair(("train", 0), ("test", 0), True, 1.0),
        Pair(("train", 0), ("test", 1), False, 0.9),
        Pair(("train", 1), ("test", 1), False, 0.9),
    ]
    counts = counts_from_pairs(pairs)
    assert (counts.exact, counts.near, counts.matched, counts.exact_pairs, counts.near_pairs) == (
        1,
        1,
        2,
        1,
        2,
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere"], "no such folder"),
        (["{}", "--layout", "kdef"], "for the layout kdef"),
        (["{}", "--layout", "fer"], "must be one of auto"),
        (["{}", "--min-correlation", "0.7"], "min_correlation must be from 0.87 to 1, got 0.7"),
        (["{}", "--json", "{}/none/report.json"], "none/report.json"),
        ([], "required: data"),
    ],
)
def test_wrong_use_ends_with_exit_code_2(
    clean: Path, arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
):
    with pytest.raises(SystemExit) as caught:
        main([argument.format(clean) for argument in arguments])
    assert caught.value.code == 2
    assert said in capsys.readouterr().err

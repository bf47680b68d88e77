"""A folder per class, with and without folders of splits."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from training.data.readers import layout_from_folder, read
from training.data.split import LABELS, SPLITS

WritePicture = Callable[[Path, np.ndarray], Path]
Pictures = Callable[[int, int], np.ndarray]
CLASSES = ("Happy", "sad", "ANGRY", "neutral")


def fill(folder: Path, seed: int, count: int, pictures: Pictures, write_picture: WritePicture) -> None:
    for k, image in enumerate(pictures(seed, count)):
        write_picture(folder / CLASSES[k % len(CLASSES)] / f"{k:03d}.png", image)


def places(root: Path) -> dict[str, str]:
    """Split by file name."""
    return {name: split for split, source in read(root).splits.items() for name in source.names}


def test_folders_of_splits(tmp_path: Path, pictures: Pictures, write_picture: WritePicture):
    for seed, folder in enumerate(("train", "val", "test")):
        fill(tmp_path / folder, seed, 8, pictures, write_picture)
    assert layout_from_folder(tmp_path) == "folders"
    dataset = read(tmp_path)
    for split, folder in zip(SPLITS, ("train", "val", "test"), strict=True):
        source = dataset.splits[split]
        assert all(name.startswith(f"{folder}/") for name in source.names)
        named = {
            LABELS[v.argmax()] for n, v in zip(source.names, source.votes, strict=True) if "/ANGRY/" in n
        }
        assert named == {"anger"}
        assert len(source) == 8


def test_without_splits_every_picture_is_in_one_and_copies_stay_together(
    tmp_path: Path, pictures: Pictures, write_picture: WritePicture
):
    fill(tmp_path, 0, 200, pictures, write_picture)
    for path in list((tmp_path / "sad").iterdir()):
        shutil.copy(path, tmp_path / "Happy" / f"copy-{path.name}")
    place = places(tmp_path)
    assert len(place) == 250
    counts = [list(place.values()).count(split) for split in SPLITS]
    assert counts[0] > 150
    assert min(counts[1:]) >= 10
    copies = [(place[f"Happy/copy-{p.name}"], place[f"sad/{p.name}"]) for p in (tmp_path / "sad").iterdir()]
    assert all(one == two for one, two in copies)
    assert len({one for one, _ in copies}) > 1


def test_the_split_is_of_the_content_alone(tmp_path: Path, pictures: Pictures, write_picture: WritePicture):
    fill(tmp_path / "one", 0, 120, pictures, write_picture)
    fill(tmp_path / "two", 0, 120, pictures, write_picture)
    for path in list((tmp_path / "two" / "sad").iterdir()):
        path.rename(path.with_name(f"renamed-{path.name}"))
    before = places(tmp_path / "one")
    after = {name.replace("renamed-", ""): split for name, split in places(tmp_path / "two").items()}
    assert before == after


def test_only_missing_splits_are_made(tmp_path: Path, pictures: Pictures, write_picture: WritePicture):
    fill(tmp_path / "Training", 0, 120, pictures, write_picture)
    fill(tmp_path / "test", 1, 8, pictures, write_picture)
    place = places(tmp_path)
    assert {s for n, s in place.items() if n.startswith("test/")} == {"test"}
    assert {s for n, s in place.items() if n.startswith("Training/")} == {"train", "valid"}


def test_an_unknown_class_is_named(tmp_path: Path, pictures: Pictures, write_picture: WritePicture):
    fill(tmp_path, 0, 8, pictures, write_picture)
    (tmp_path / "bored").mkdir()
    with pytest.raises(ValueError, match="got 'bored'; rename it to one of neutral, "):
        read(tmp_path)


@pytest.mark.parametrize(
    ("folders", "said"),
    [
        (("test", "valid"), "must hold a folder train, got valid, test"),
        (("train", "val", "valid", "test"), "one folder a split, got val and valid"),
        (("train", "valid", "test", "happy"), "only split folders .* got happy"),
    ],
)
def test_split_folders_are_checked(tmp_path: Path, folders: tuple[str, ...], said: str):
    for folder in folders:
        (tmp_path / folder).mkdir()
    with pytest.raises(ValueError, match=said):
        read(tmp_path, "folders")


def test_other_files_are_named(tmp_path: Path, pictures: Pictures, write_picture: WritePicture):
    fill(tmp_path, 0, 120, pictures, write_picture)
    (tmp_path / "sad" / "notes.txt").touch()
    (tmp_path / "loose.png").touch()
    (tmp_path / ".DS_Store").touch()
    assert set(read(tmp_path).broken) == {"sad/notes.txt", "loose.png"}

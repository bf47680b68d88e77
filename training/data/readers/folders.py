"""One folder per class: DATA/<class>/*.jpg, or DATA/{train,valid,test}/<class>/*.jpg.

Classes are named as in LABELS or by an alias of training.data.labels, in upper or lower case. A missing valid
or test folder is replaced by a tenth of the train pictures, chosen by the hash of the file's bytes, so that
exact copies stay in one split.
"""

from pathlib import Path

from training.data.auto_split import split_by_file_hash
from training.data.labels import LABEL_OF_ALIAS
from training.data.pictures import CLUTTER, Dataset, PictureRow, dataset_from_rows, name_of, picture_files
from training.data.split import SPLITS

SPLIT_OF_FOLDER = {
    "train": "train",
    "training": "train",
    "valid": "valid",
    "val": "valid",
    "validation": "valid",
    "test": "test",
    "testing": "test",
}
EXPECTS = "a folder per class (happiness, happy, angry, ...), or train, valid and test with such folders"


def fits(root: Path) -> bool:
    """Whether a class folder or a train folder is there."""
    return bool(_split_folders(root)) or any(p.name.lower() in LABEL_OF_ALIAS for p in _folders(root))


def read(root: Path) -> Dataset:
    """Reads all class folders, and the pictures in folders below them.

    Raises:
        ValueError: a folder is named like no class or split, two folders are the same split, or the folder
            train is missing.
    """
    broken: dict[str, str] = {}
    given = _split_folders(root)
    if not given:
        return dataset_from_rows(
            root, _with_missing_splits(_rows(root, root, "train", broken), SPLITS[1:]), broken
        )
    if extra := [p.name for p in _folders(root) if p not in given.values()]:
        raise ValueError(
            f"{root} must hold only split folders besides {', '.join(p.name for p in given.values())}, got "
            f"{', '.join(extra)}; move them elsewhere"
        )
    if "train" not in given:
        raise ValueError(
            f"{root} must hold a folder train, got {', '.join(p.name for p in given.values())}; rename "
            "the one to train on"
        )
    rows = [row for split, folder in given.items() for row in _rows(root, folder, split, broken)]
    return dataset_from_rows(
        root, _with_missing_splits(rows, [split for split in SPLITS if split not in given]), broken
    )


def _with_missing_splits(rows: list[PictureRow], missing: list[str] | tuple[str, ...]) -> list[PictureRow]:
    """Moves train rows to the missing splits."""
    if not missing:
        return rows
    train = [row for row in rows if row.split == "train"]
    splits = split_by_file_hash([row.path for row in train], missing)
    moved = [PictureRow(split, row.path, row.label) for split, row in zip(splits, train, strict=True)]
    return moved + [row for row in rows if row.split != "train"]


def _rows(root: Path, folder: Path, split: str, broken: dict[str, str]) -> list[PictureRow]:
    rows = []
    for path in sorted(folder.iterdir()):
        if path.is_dir() and not path.name.startswith("."):
            label = LABEL_OF_ALIAS.get(path.name.lower())
            if label is None:
                raise ValueError(
                    f"{path} must be named like an expression, got {path.name!r}; rename it to one of "
                    f"{', '.join(LABEL_OF_ALIAS)}, or move it elsewhere"
                )
            rows += [PictureRow(split, picture, label) for picture in picture_files(path, root, broken)]
        elif not path.name.startswith(".") and path.name.lower() not in CLUTTER:
            broken[name_of(path, root)] = "not in a class folder"
    return rows


def _folders(root: Path) -> list[Path]:
    return sorted(p for p in root.iterdir() if p.is_dir() and not p.name.startswith("."))


def _split_folders(root: Path) -> dict[str, Path]:
    given: dict[str, Path] = {}
    for path in _folders(root):
        split = SPLIT_OF_FOLDER.get(path.name.lower())
        if split in given:
            raise ValueError(
                f"{root} must hold one folder a split, got {given[split].name} and {path.name}; merge "
                "them or move one"
            )
        if split is not None:
            given[split] = path
    return {split: given[split] for split in SPLITS if split in given}

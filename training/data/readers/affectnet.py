"""AffectNet (Mollahosseini, Hasani and Mahoor, "AffectNet: A Database for Facial Expression, Valence, and
Arousal Computing in the Wild", 2017), in the form with a file of annotation a picture.

The test set was never published; the official validation set is the test split here, as in most papers. Valid
is a tenth of each class of the train set, those whose names have the smallest SHA-256.
"""

from pathlib import Path

import numpy as np
from tqdm import tqdm

from training.data.auto_split import carved_by_name
from training.data.labels import AFFECT_NET, AFFECT_NET_OTHER, INDEX
from training.data.pictures import Dataset, Row, dataset_from_rows, name_of, picture_files
from training.data.split import UNKNOWN

FOLDERS = {"train": "train_set", "test": "val_set"}
EXPECTS = "train_set and val_set, each with images/*.jpg and annotations/*_exp.npy"
ENDING = "_exp.npy"


def fits(root: Path) -> bool:
    """Whether both sets have their two folders."""
    return all(
        (root / name / kind).is_dir() for name in FOLDERS.values() for kind in ("images", "annotations")
    )


def read(root: Path) -> Dataset:
    """Reads every picture's annotation; pictures and annotations without the other are named and left out."""
    broken: dict[str, str] = {}
    train = _rows(root, "train", broken)
    carved = carved_by_name([row.path.stem for row in train], [row.label for row in train])
    rows = [Row("valid" if k in carved else "train", row.path, row.label) for k, row in enumerate(train)]
    return dataset_from_rows(root, rows + _rows(root, "test", broken), broken)


def _rows(root: Path, split: str, broken: dict[str, str]) -> list[Row]:
    folder = root / FOLDERS[split]
    # One listing a folder: to ask for hundreds of thousands of files one by one takes minutes on a network
    # disk.
    unused = {p.name for p in (folder / "annotations").iterdir() if p.name.endswith(ENDING)}
    rows = []
    paths = picture_files(folder / "images", root, broken)
    for path in tqdm(paths, desc=f"{FOLDERS[split]} annotations", mininterval=5, disable=None):
        name = path.stem + ENDING
        if name not in unused:
            broken[name_of(path, root)] = f"annotations/{name} is missing"
            continue
        unused.discard(name)
        label = _label(folder / "annotations" / name)
        if isinstance(label, str):
            broken[name_of(folder / "annotations" / name, root)] = label
        else:
            rows.append(Row(split, path, label))
    for name in sorted(unused):
        broken[name_of(folder / "annotations" / name, root)] = "its picture in images is missing"
    return rows


def _label(path: Path) -> int | str:
    """The label, UNKNOWN for a picture that shows none of the eight, or what is wrong with the file."""
    try:
        value = int(np.load(path).item())
    # What NumPy raises for a file that is empty, cut off or holds something else.
    except (OSError, ValueError, EOFError) as error:
        return f"must hold one whole number: {error}"
    if value in AFFECT_NET_OTHER:
        return UNKNOWN
    if value not in AFFECT_NET:
        return f"must be 0 to {max(AFFECT_NET_OTHER)}, got {value}"
    return INDEX[AFFECT_NET[value]]

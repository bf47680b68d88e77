"""AffectNet (Mollahosseini, Hasani and Mahoor, "AffectNet: A Database for Facial Expression, Valence, and
Arousal Computing in the Wild", 2017), in the form with an annotation file for each picture.

The test set was never published; as in most papers, the official validation set is the test split. The valid
split is a tenth of each class of the train set: the names with the smallest SHA-256.
"""

from pathlib import Path

import numpy as np
from tqdm import tqdm

from training.data.auto_split import split_by_name_hash
from training.data.labels import AFFECT_NET, AFFECT_NET_OTHER, INDEX
from training.data.pictures import Dataset, PictureRow, dataset_from_rows, name_of, picture_files
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
    """Reads every picture's annotation; a picture or annotation without its partner is reported and left
    out.
    """
    broken: dict[str, str] = {}
    train = _rows(root, "train", broken)
    held_out = split_by_name_hash([row.path.stem for row in train], [row.label for row in train])
    rows = [
        PictureRow("valid" if k in held_out else "train", row.path, row.label) for k, row in enumerate(train)
    ]
    return dataset_from_rows(root, rows + _rows(root, "test", broken), broken)


def _rows(root: Path, split: str, broken: dict[str, str]) -> list[PictureRow]:
    folder = root / FOLDERS[split]
    # One listing for each folder: hundreds of thousands of separate checks take minutes on a network disk.
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
            rows.append(PictureRow(split, path, label))
    for name in sorted(unused):
        broken[name_of(folder / "annotations" / name, root)] = "its picture in images is missing"
    return rows


def _label(path: Path) -> int | str:
    """The label, UNKNOWN for a picture with none of the eight, or what is wrong with the file."""
    try:
        value = int(np.load(path).item())
    # What NumPy raises for a file that is empty, truncated or of another kind.
    except (OSError, ValueError, EOFError) as error:
        return f"must hold one whole number: {error}"
    if value in AFFECT_NET_OTHER:
        return UNKNOWN
    if value not in AFFECT_NET:
        return f"must be 0 to {max(AFFECT_NET_OTHER)}, got {value}"
    return INDEX[AFFECT_NET[value]]

"""RAF-DB's basic expressions (Li et al., "Reliable Crowdsourcing and Deep Locality-Preserving Learning for
Expression Recognition in the Wild", 2017), as 100 x 100 px aligned faces.

There is no official valid split: it is a tenth of each class of the train split, the names with the smallest
SHA-256.
"""

import re
from pathlib import Path

from training.data.auto_split import split_by_name_hash
from training.data.labels import INDEX, RAF_DB
from training.data.pictures import Dataset, PictureRow, dataset_from_rows

LABEL_FILE = "EmoLabel/list_patition_label.txt"  # the data set spells it so
FOLDER = "Image/aligned"
EXPECTS = f"{LABEL_FILE} and {FOLDER}/*_aligned.jpg, at the top or in a folder basic"
LINE = re.compile(r"((train|test)_\d+)\.jpg\s+(\d+)")


def fits(root: Path) -> bool:
    """Whether the label file and the folder of aligned faces are there."""
    base = _base(root)
    return (base / LABEL_FILE).is_file() and (base / FOLDER).is_dir()


def read(root: Path) -> Dataset:
    """Reads the label file; a missing picture is reported later, when it is read.

    Raises:
        ValueError: a line of the label file is not a name and a label from 1 to 7.
    """
    base = _base(root)
    names, splits, labels = [], [], []
    for number, line in enumerate((base / LABEL_FILE).read_text().splitlines(), start=1):
        if not line.strip():
            continue
        match = LINE.fullmatch(line.strip())
        if match is None or int(match[3]) not in RAF_DB:
            raise ValueError(
                f"{base / LABEL_FILE} line {number} must be like 'train_00001.jpg 5' with a label from 1 to "
                f"{len(RAF_DB)}, got {line!r}; take the file of RAF-DB's basic set"
            )
        names.append(match[1])
        splits.append(match[2])
        labels.append(INDEX[RAF_DB[int(match[3])]])
    train = [k for k, split in enumerate(splits) if split == "train"]
    for k in split_by_name_hash([names[k] for k in train], [labels[k] for k in train]):
        splits[train[k]] = "valid"
    rows = [
        PictureRow(split, base / FOLDER / f"{name}_aligned.jpg", label)
        for name, split, label in zip(names, splits, labels, strict=True)
    ]
    return dataset_from_rows(root, rows, {})


def _base(root: Path) -> Path:
    inner = root / "basic"
    return inner if inner.is_dir() else root

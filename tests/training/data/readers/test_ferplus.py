"""FER+ in its three layouts: packed, Microsoft's two CSV files, and Microsoft's folders of PNG files."""

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from training.data.pictures import Dataset, UnreadablePicture
from training.data.readers import layout_from_folder, read
from training.data.split import LABELS, SPLITS

USAGES = {"train": "Training", "valid": "PublicTest", "test": "PrivateTest"}
FOLDERS = {"train": "FER2013Train", "valid": "FER2013Valid", "test": "FER2013Test"}
HEADER = "Usage,Image name,neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF"

VOTES = np.zeros((5, 10), np.uint8)
VOTES[0, 1] = 10  # happiness
VOTES[1, [0, 8]] = 4, 6  # majority "unknown"
VOTES[2, [4, 5, 9]] = 6, 2, 2  # anger; "not a face" does not count
VOTES[3, 3] = 10  # sadness
VOTES[4, [2, 6]] = 5, 5  # a tie: the first in FER+ order
OWN = np.array([3, 6, 0, 4, 2], np.int8)  # FER2013's: happy, neutral, angry, sad, fear

Pictures = Callable[[int, int], np.ndarray]
WritePicture = Callable[[Path, np.ndarray], Path]


def rows_of(split: str) -> np.ndarray:
    return np.array([10, 11, 12, 13, 15]) + 100 * SPLITS.index(split)


@pytest.fixture
def packed(tmp_path: Path, pictures: Pictures) -> Path:
    for seed, split in enumerate(SPLITS):
        columns = {
            "images": pictures(seed, 5),
            "votes": VOTES,
            "fer2013_label": OWN,
            "row": rows_of(split),
            "copy_of_heldout": np.arange(5) == (3 if split == "train" else 9),
        }
        if split == "train":
            np.savez(tmp_path / "train-0.npz", **{k: v[:2] for k, v in columns.items()})
            np.savez(tmp_path / "train-1.npz", **{k: v[2:] for k, v in columns.items()})
        else:
            np.savez(tmp_path / f"{split}.npz", **columns)
    return tmp_path


def csv_lines(pictures: Pictures) -> tuple[list[list[object]], list[list[object]]]:
    """The lines of fer2013.csv and fer2013new.csv; as in the real file, a picture that is no face has no
    name.
    """
    own: list[list[object]] = [["emotion", "pixels", "Usage"]]
    votes: list[list[object]] = [HEADER.split(",")]
    for seed, split in enumerate(SPLITS):
        for image, counts, emotion, row in zip(pictures(seed, 5), VOTES, OWN, rows_of(split), strict=True):
            own.append([emotion, " ".join(map(str, image.ravel())), USAGES[split]])
            votes.append([USAGES[split], f"fer{row:07d}.png", *counts])
        own.append([0, " ".join(["0"] * 2304), USAGES[split]])
        votes.append([USAGES[split], "", *[0] * 9, 10])
    return own, votes


def write_csv(path: Path, lines: list[list[object]]) -> None:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(lines)


@pytest.fixture
def two_csv(tmp_path: Path, pictures: Pictures) -> Path:
    own, votes = csv_lines(pictures)
    write_csv(tmp_path / "fer2013.csv", own)
    write_csv(tmp_path / "fer2013new.csv", votes)
    return tmp_path


@pytest.fixture(params=[False, True], ids=["generated", "shipped with the box"])
def png(
    request: pytest.FixtureRequest, tmp_path: Path, pictures: Pictures, write_picture: WritePicture
) -> Path:
    for seed, (split, folder) in enumerate(FOLDERS.items()):
        lines = []
        for image, counts, row in zip(pictures(seed, 5), VOTES, rows_of(split), strict=True):
            write_picture(tmp_path / folder / f"fer{row:07d}.png", image)
            lines.append(
                [f"fer{row:07d}.png", *(["(0, 0, 48, 48)"] if request.param else []), *counts.tolist()]
            )
        write_csv(tmp_path / folder / "label.csv", lines)
    return tmp_path


def check(dataset: Dataset, pictures: Pictures) -> None:
    """What all layouts must return for the five rows of each split."""
    assert dataset.side == 48
    assert dataset.broken == {}
    for seed, split in enumerate(SPLITS):
        source = dataset.splits[split]
        assert source.rows.tolist() == rows_of(split).tolist()
        assert source.labelled.tolist() == [True, False, True, True, True]
        shares = source.votes[source.labelled]
        assert [LABELS[k] for k in shares.argmax(1)] == ["happiness", "anger", "sadness", "surprise"]
        np.testing.assert_allclose(shares.sum(1), 1)
        assert shares[1, LABELS.index("anger")] == pytest.approx(0.75)
        for k, image in enumerate(pictures(seed, 5)):
            np.testing.assert_array_equal(source.luma(k), image)


def test_packed(packed: Path, pictures: Pictures):
    assert layout_from_folder(packed) == "ferplus-packed"
    dataset = read(packed)
    check(dataset, pictures)
    train = dataset.splits["train"]
    assert [LABELS[k] for k in train.single] == ["happiness", "neutral", "anger", "sadness", "fear"]
    assert train.usable.tolist() == [0, 2, 4]
    assert dataset.splits["test"].usable.tolist() == [0, 2, 3, 4]
    assert train.names[2] == "train-1.npz row 0"


def test_two_csv_files(two_csv: Path, pictures: Pictures):
    assert layout_from_folder(two_csv) == "ferplus-csv"
    dataset = read(two_csv)
    check(dataset, pictures)
    single = dataset.splits["valid"].single
    assert [LABELS[k] for k in single] == ["happiness", "neutral", "anger", "sadness", "fear"]


def test_folders_of_png(png: Path, pictures: Pictures):
    assert layout_from_folder(png) == "ferplus-png"
    dataset = read(png)
    check(dataset, pictures)
    # This layout lacks FER2013's own label.
    assert (dataset.splits["test"].single == -1).all()


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [
        ("votes", VOTES[:, :8], r"votes must be \[5, 10\], got \[5, 8\]"),
        ("images", np.zeros((5, 48, 40), np.uint8), r"images must be \[5, 48, 48\]"),
        ("images", np.zeros((5, 48, 48), np.float32), "uint8, got float32"),
        ("fer2013_label", np.full(5, 7), "0 to 6"),
        ("copy_of_heldout", None, "lacks copy_of_heldout"),
    ],
)
def test_packed_columns_are_checked(packed: Path, column: str, value: np.ndarray | None, said: str):
    with np.load(packed / "test.npz") as file:
        columns = dict(file) | {column: value}
    np.savez(packed / "test.npz", **{k: v for k, v in columns.items() if v is not None})
    with pytest.raises(ValueError, match=f"test.npz.*{said}"):
        read(packed)


def test_a_cut_off_packed_file_is_named(packed: Path):
    path = packed / "valid.npz"
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(ValueError, match=r"valid\.npz cannot be read"):
        read(packed)


@pytest.mark.parametrize(
    ("column", "text", "said"),
    [
        (1, "1 2 3", "2304 pixels"),
        (1, " ".join(["256"] * 2304), "0 to 255"),
        (1, " ".join(["x"] * 2304), "0 to 255"),
        (0, "7", "emotion must be 0 to 6"),
        (2, "PublicTest", "Usage"),
    ],
)
def test_a_broken_csv_line_is_named_and_the_rest_is_kept(
    tmp_path: Path, pictures: Pictures, column: int, text: str, said: str
):
    own, votes = csv_lines(pictures)
    own[3][column] = text
    write_csv(tmp_path / "fer2013.csv", own)
    write_csv(tmp_path / "fer2013new.csv", votes)
    dataset = read(tmp_path)
    assert list(dataset.broken) == ["fer2013.csv line 4"]
    assert said in dataset.broken["fer2013.csv line 4"]
    assert dataset.splits["train"].rows.tolist() == [10, 11, 13, 15]


def test_csv_votes_that_are_no_numbers_are_named(tmp_path: Path, pictures: Pictures):
    own, votes = csv_lines(pictures)
    votes[1][4], votes[2][1] = "-1", "face.jpg"
    write_csv(tmp_path / "fer2013.csv", own)
    write_csv(tmp_path / "fer2013new.csv", votes)
    broken = read(tmp_path).broken
    assert "votes" in broken["fer2013.csv line 2"]
    assert "face.jpg" in broken["fer2013.csv line 3"]


@pytest.mark.parametrize("shorter", ["fer2013.csv", "fer2013new.csv"])
def test_csv_files_of_different_length(two_csv: Path, shorter: str):
    path = two_csv / shorter
    path.write_text("\n".join(path.read_text().splitlines()[:-1]) + "\n")
    with pytest.raises(ValueError, match=f"{shorter} must have a line for each .* got only 17"):
        read(two_csv)


def test_a_csv_file_without_a_column(two_csv: Path):
    path = two_csv / "fer2013.csv"
    path.write_text(path.read_text().replace("emotion,pixels,Usage", "emotion,pixel,Usage", 1))
    with pytest.raises(ValueError, match="lacks pixels"):
        read(two_csv)


def test_png_faults_are_named(png: Path, pictures: Pictures, write_picture: WritePicture):
    folder = png / "FER2013Train"
    (folder / "fer0000010.png").unlink()
    write_picture(folder / "fer0000011.png", np.zeros((50, 48), np.uint8))
    with (folder / "label.csv").open("a") as file:
        file.write("fer0000099.png,1,2,3\n")
    dataset = read(png)
    assert list(dataset.broken) == ["FER2013Train/label.csv line 6"]
    train = dataset.splits["train"]
    missing, large = train.luma(0), train.luma(1)
    assert isinstance(missing, UnreadablePicture)
    assert isinstance(large, UnreadablePicture)
    assert "48 x 50" in large.reason
    np.testing.assert_array_equal(train.luma(2), pictures(0, 5)[2])


def test_a_png_folder_without_labels(png: Path):
    (png / "FER2013Valid" / "label.csv").unlink()
    with pytest.raises(FileNotFoundError, match=r"FER2013Valid.label\.csv"):
        read(png)

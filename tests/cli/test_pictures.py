"""Which files are meant, and what becomes of the strange ones among them."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from fer_edge.cli.pictures import message_of, pictures_from_arguments, read_picture

PICTURE = cv2.GaussianBlur(np.random.default_rng(5).integers(0, 256, (40, 60, 3), np.uint8), (0, 0), 3)
FORMATS = (".jpg", ".png", ".webp", ".bmp", ".tiff")


def _encoded(suffix: str, picture: np.ndarray = PICTURE) -> bytes:
    done, data = cv2.imencode(suffix, picture)
    assert done
    return data.tobytes()


def _with_orientation(jpeg: bytes, orientation: int) -> bytes:
    """Puts an EXIF block with one entry, the orientation, behind the JPEG's first marker."""
    entry = b"\x01\x12\x00\x03\x00\x00\x00\x01" + orientation.to_bytes(2, "big") + b"\x00\x00"
    exif = b"Exif\x00\x00MM\x00\x2a\x00\x00\x00\x08\x00\x01" + entry + b"\x00\x00\x00\x00"
    return jpeg[:2] + b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif + jpeg[2:]


@pytest.mark.parametrize("suffix", FORMATS)
def test_formats_and_names_beyond_ascii(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"Gesicht-\u00e4\u732b\U0001f642{suffix}"
    path.write_bytes(_encoded(suffix))
    picture = read_picture(path)
    assert picture.shape == (40, 60, 3)
    assert np.abs(picture.astype(int) - PICTURE).mean() < 6


def test_16_bit_alpha_and_grey(tmp_path: Path) -> None:
    alpha = np.dstack([PICTURE, np.full((40, 60), 9, np.uint8)])
    for name, stored in (
        ("deep", PICTURE.astype(np.uint16) * 257),
        ("deep-alpha", alpha.astype(np.uint16) * 257),
        ("alpha", alpha),
    ):
        path = tmp_path / f"{name}.png"
        path.write_bytes(_encoded(".png", stored))
        np.testing.assert_array_equal(read_picture(path), PICTURE)
    path.write_bytes(_encoded(".png", PICTURE[..., 0]))
    np.testing.assert_array_equal(read_picture(path), np.repeat(PICTURE[..., :1], 3, axis=2))


def test_exif_orientation_is_honoured(tmp_path: Path) -> None:
    path = tmp_path / "turned.jpg"
    upright = cv2.imdecode(np.frombuffer(_encoded(".jpg"), np.uint8), cv2.IMREAD_COLOR)
    path.write_bytes(_with_orientation(_encoded(".jpg"), 6))
    np.testing.assert_array_equal(read_picture(path), np.rot90(upright, -1))
    path.write_bytes(_with_orientation(_encoded(".jpg"), 1))
    np.testing.assert_array_equal(read_picture(path), upright)


def test_a_jpeg_with_a_thumbnail_and_bytes_after_its_end_is_whole(tmp_path: Path) -> None:
    # Phones put a small JPEG into the header and films behind the end.
    thumbnail = b"Exif\x00\x00" + _encoded(".jpg", PICTURE[:8, :8])
    header = b"\xff\xe1" + (len(thumbnail) + 2).to_bytes(2, "big") + thumbnail
    jpeg = _encoded(".jpg")
    path = tmp_path / "phone.jpg"
    path.write_bytes(jpeg[:2] + header + jpeg[2:] + b"film \xff\xda film")
    assert read_picture(path).shape == PICTURE.shape
    path.write_bytes((jpeg[:2] + header + jpeg[2:])[:-20])
    with pytest.raises(ValueError, match="is damaged or cut short"):
        read_picture(path)


@pytest.mark.parametrize("share", [0.02, 0.5, 0.98])
@pytest.mark.parametrize("suffix", FORMATS)
def test_a_picture_cut_short_is_refused(suffix: str, share: float, tmp_path: Path) -> None:
    data = _encoded(suffix)
    path = tmp_path / f"cut{suffix}"
    path.write_bytes(data[: max(12, int(len(data) * share))])
    with pytest.raises(ValueError, match="is damaged or cut short; copy or download it again"):
        read_picture(path)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("empty.jpg", b"", "is empty"),
        ("notes.jpg", b"dear diary, today", "is not a picture that OpenCV can read"),
        ("film.MP4", b"\0\0\0\x18ftyp", "videos are not supported yet; .*ffmpeg -i '.*film.MP4' -vf fps=2"),
    ],
)
def test_what_is_no_picture(name: str, content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message):
        read_picture(path)


def test_missing_file_and_folder(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        read_picture(tmp_path / "none.jpg")
    assert message_of(caught.value) == "No such file or directory"
    with pytest.raises(IsADirectoryError):
        read_picture(tmp_path)


def test_an_unreadable_file_and_folder(locked: Path) -> None:
    with pytest.raises(PermissionError) as caught:
        read_picture(locked / "a.jpg")
    assert message_of(caught.value) == "Permission denied"
    assert pictures_from_arguments([str(locked)]) == ([], [(str(locked), "Permission denied")])


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder, the current one, with some files."""
    for name in ("b.PNG", "a.jpg", "notes.txt", "film.mp4", "sub/c.jpg", "sub/deep/d.jpg", "odd[1].jpg"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (tmp_path / "bare").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["a.jpg"], ["a.jpg"]),
        (["none.jpg"], ["none.jpg"]),
        (["notes.txt"], ["notes.txt"]),
        (["."], ["a.jpg", "b.PNG", "film.mp4", "odd[1].jpg"]),
        (["*.jpg"], ["a.jpg", "odd[1].jpg"]),
        (["**/*.jpg"], ["a.jpg", "odd[1].jpg", "sub/c.jpg", "sub/deep/d.jpg"]),
        (["odd[1].jpg"], ["odd[1].jpg"]),
        (["sub", "a.jpg", "sub/c.jpg"], ["sub/c.jpg", "a.jpg"]),
    ],
)
def test_what_arguments_stand_for(arguments: list[str], expected: list[str], folder: Path) -> None:
    files, failures = pictures_from_arguments(arguments)
    assert [str(path) for path in files] == expected
    assert failures == []


def test_an_absolute_glob(folder: Path) -> None:
    files, _ = pictures_from_arguments([f"{folder}/s*/*.jpg"])
    assert files == [folder / "sub" / "c.jpg"]


def test_arguments_that_stand_for_nothing(folder: Path) -> None:
    files, failures = pictures_from_arguments(["bare", "*.gif", "a.jpg"])
    assert files == [Path("a.jpg")]
    assert [name for name, _ in failures] == ["bare", "*.gif"]
    assert "no pictures in this folder" in failures[0][1]
    assert "no file matches" in failures[1][1]

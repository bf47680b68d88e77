"""Reading pictures: formats, names, EXIF orientation, and damaged or unusual files."""

import os
import subprocess
import sys
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from made_pictures import with_orientation

from fer_edge.cli.pictures import message_of, pictures_from_arguments, shown
from fer_edge.installation.import_opencv import opencv
from fer_edge.pictures.read_picture import read_picture

PICTURE = cv2.GaussianBlur(np.random.default_rng(5).integers(0, 256, (40, 60, 3), np.uint8), (0, 0), 3)
FORMATS = (".jpg", ".png", ".webp", ".bmp", ".tiff")


def _encoded(suffix: str, picture: np.ndarray = PICTURE) -> bytes:
    done, data = cv2.imencode(suffix, picture)
    assert done
    return data.tobytes()


@pytest.mark.parametrize("suffix", FORMATS)
def test_formats_and_names_beyond_ascii(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"Gesicht-\u00e4\u732b\U0001f642{suffix}"
    path.write_bytes(_encoded(suffix))
    picture = read_picture(path).pixels
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
        np.testing.assert_array_equal(read_picture(path).pixels, PICTURE)
    path.write_bytes(_encoded(".png", PICTURE[..., 0]))
    np.testing.assert_array_equal(read_picture(path).pixels, np.repeat(PICTURE[..., :1], 3, axis=2))


def test_exif_orientation_is_honoured(tmp_path: Path) -> None:
    path = tmp_path / "turned.jpg"
    upright = cv2.imdecode(np.frombuffer(_encoded(".jpg"), np.uint8), cv2.IMREAD_COLOR)
    path.write_bytes(with_orientation(_encoded(".jpg"), 6))
    np.testing.assert_array_equal(read_picture(path).pixels, np.rot90(upright, -1))
    path.write_bytes(with_orientation(_encoded(".jpg"), 1))
    np.testing.assert_array_equal(read_picture(path).pixels, upright)


def test_a_jpeg_with_a_thumbnail_and_bytes_after_its_end_is_whole(tmp_path: Path) -> None:
    # Phones put a small JPEG into the header and a video after the end.
    thumbnail = b"Exif\x00\x00" + _encoded(".jpg", PICTURE[:8, :8])
    header = b"\xff\xe1" + (len(thumbnail) + 2).to_bytes(2, "big") + thumbnail
    jpeg = _encoded(".jpg")
    path = tmp_path / "phone.jpg"
    path.write_bytes(jpeg[:2] + header + jpeg[2:] + b"film \xff\xda film")
    assert read_picture(path).pixels.shape == PICTURE.shape
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
def opencv_4(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test double of OpenCV 4, which fills the missing part of a JPEG with grey."""
    monkeypatch.setattr(cv2, "imdecode", lambda data, flags: PICTURE)


@pytest.mark.usefixtures("opencv_4")
@pytest.mark.parametrize("thumbnail", [0, 8, 60])
def test_a_jpeg_without_its_end_is_detected_by_its_segments(thumbnail: int, tmp_path: Path) -> None:
    jpeg, header = _encoded(".jpg"), b""
    if thumbnail:
        # The largest segment: its length uses both bytes. It contains a start and an end marker.
        small = b"Exif\x00\x00" + _encoded(".jpg", np.tile(PICTURE, (3, 3, 1))[:thumbnail, :thumbnail])
        header = b"\xff\xe1" + (len(small) + 2).to_bytes(2, "big") + small
    whole = jpeg[:2] + header + jpeg[2:]
    path = tmp_path / "a.jpg"
    path.write_bytes(whole)
    assert read_picture(path).pixels.shape == PICTURE.shape
    scan = len(header) + jpeg.index(b"\xff\xda")
    for length in (len(whole) - 1, len(whole) - 2, scan + 20, scan + 2):
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError, match="is damaged or cut short"):
            read_picture(path)
    # OpenCV reports a file that ends before the scan or has bytes between its segments.
    for data in (whole[:scan], whole[:2] + b"\x00" + whole[2:-2]):
        path.write_bytes(data)
        assert read_picture(path).pixels.shape == PICTURE.shape


@pytest.mark.usefixtures("opencv_4")
def test_no_other_format_is_taken_for_a_jpeg(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    # A segment at the same offset as in a JPEG, in a file that is not a JPEG.
    path.write_bytes(b"\x89P\xff\xda\x00\x08 and no end")
    assert read_picture(path).pixels.shape == PICTURE.shape


@pytest.mark.parametrize(
    ("head", "damaged"),
    [
        (b"\xff\xd8\xff\xe0", True),
        (b"\xff\xd8\xfe\xe0", False),
        (b"\x89PNG", True),
        (b"\x89PNX", False),
        (b"BM", True),
        (b"BMW prices", False),
        (b"GIF89a", True),
        (b"GIF7", False),
        (b"II*\0", True),
        (b"MM\0*", True),
        (b"MM*\0", False),
        (b"\0\0\0\x0cjP  ", True),
        (b"RIFF\0\0\0\0WEBP", True),
        (b"RIFF\0\0\0WEBP", False),
        (b"RIFF\0\0\0\0WAVE", False),
    ],
)
def test_what_cannot_be_decoded_is_damaged_or_no_picture(head: bytes, damaged: bool, tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(head + bytes(40))
    with pytest.raises(
        ValueError,
        match="is damaged or cut|is GIF, which OpenCV" if damaged else "is not a picture that OpenCV",
    ):
        read_picture(path)


def test_a_picture_beyond_opencvs_limits_is_one_line(tmp_path: Path) -> None:
    header = b"IHDR" + (100_000).to_bytes(4, "big") * 2 + bytes([8, 2, 0, 0, 0])
    path = tmp_path / "huge.png"
    chunk = (13).to_bytes(4, "big") + header + zlib.crc32(header).to_bytes(4, "big")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk)
    with pytest.raises(ValueError, match=r"cannot be decoded: .+|damaged or cut short"):
        read_picture(path)


def test_an_error_of_opencv_is_reported_without_its_source_location(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A test double, because the limits differ between versions.
    error = cv2.error("OpenCV(4.8.0) loadsave.cpp:71: error: (-215) too large in function 'f'")
    error.err = "too large"

    def fail(data: np.ndarray, flags: int) -> None:
        raise error

    monkeypatch.setattr(cv2, "imdecode", fail)
    path = tmp_path / "a.png"
    path.write_bytes(b"x")
    with pytest.raises(ValueError, match=r"^cannot be decoded: too large$"):
        read_picture(path)


def test_messages_and_names_that_every_stream_can_print() -> None:
    assert message_of(OSError(2, "No such file", "name")) == "No such file"
    assert message_of(OSError("only a text")) == "only a text"
    assert message_of(ValueError("a text")) == "a text"
    assert shown(Path("a\u00e4.jpg")) == "a\u00e4.jpg"
    assert shown(Path(os.fsdecode(b"a\xff.jpg"))) == "a\ufffd.jpg"


def test_opencv_prints_nothing_unless_the_user_sets_its_log_level() -> None:
    code = (
        "import os; from fer_edge.installation.import_opencv import opencv; "
        "opencv(); print(os.environ['OPENCV_LOG_LEVEL'])"
    )
    for level, expected in ((None, "SILENT"), ("ERROR", "ERROR")):
        environment = {k: v for k, v in os.environ.items() if k != "OPENCV_LOG_LEVEL"}
        environment |= {"OPENCV_LOG_LEVEL": level} if level else {}
        done = subprocess.run(
            [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
        )
        assert done.stdout.strip() == expected


def test_without_opencv_the_pip_line_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(
        ImportError, match=r"needs OpenCV: cv2 cannot be imported .*; pip install .*opencv-python"
    ):
        opencv()

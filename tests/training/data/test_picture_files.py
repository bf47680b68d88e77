"""Reading picture files as luma: formats, colours and broken files."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.data.pictures import UnreadablePicture, luma_from_file, picture_files

WritePicture = Callable[[Path, np.ndarray], Path]


def colours(seed: int, shape: tuple[int, ...]) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def test_colour_becomes_the_luma_of_the_runtime(tmp_path: Path, write_picture: WritePicture):
    from fer_edge.stages.image import luma_from_frame

    image = colours(0, (37, 53, 3))
    path = write_picture(tmp_path / "a.png", image)
    np.testing.assert_array_equal(luma_from_file(path), cv2.cvtColor(image, cv2.COLOR_BGR2GRAY))
    np.testing.assert_array_equal(luma_from_file(path), luma_from_frame(image, "bgr"))


def test_a_jpeg_gives_the_luma_of_its_colours(tmp_path: Path, write_picture: WritePicture):
    path = write_picture(tmp_path / "a.jpg", cv2.resize(colours(1, (6, 6, 3)), (64, 48)))
    decoded = cv2.imread(str(path))
    np.testing.assert_array_equal(luma_from_file(path), cv2.cvtColor(decoded, cv2.COLOR_BGR2GRAY))


@pytest.mark.parametrize("shape", [(20, 31), (20, 31, 4)])
def test_grey_and_transparent_pictures(tmp_path: Path, write_picture: WritePicture, shape: tuple[int, ...]):
    image = colours(2, shape)
    luma = luma_from_file(write_picture(tmp_path / "a.png", image))
    expected = image if image.ndim == 2 else cv2.cvtColor(image[..., :3], cv2.COLOR_BGR2GRAY)
    np.testing.assert_array_equal(luma, expected)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".bmp", ".webp"])
@pytest.mark.parametrize("share", [0.0, 0.02, 0.6])
def test_a_cut_off_file_is_unreadable(tmp_path: Path, write_picture: WritePicture, suffix: str, share: float):
    path = write_picture(tmp_path / f"a{suffix}", cv2.resize(colours(3, (20, 20, 3)), (120, 90)))
    assert not isinstance(luma_from_file(path), UnreadablePicture)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    assert isinstance(luma_from_file(path), UnreadablePicture)


def test_a_cut_off_jpeg_is_not_saved_by_its_thumbnail(tmp_path: Path, write_picture: WritePicture):
    path = write_picture(tmp_path / "a.jpg", cv2.resize(colours(4, (20, 20, 3)), (120, 90)))
    data = path.read_bytes()
    thumbnail = cv2.imencode(".jpg", colours(5, (8, 8, 3)))[1].tobytes()
    block = b"\xff\xe1" + (len(thumbnail) + 2).to_bytes(2, "big") + thumbnail
    whole = data[:2] + block + data[2:]
    path.write_bytes(whole)
    assert not isinstance(luma_from_file(path), UnreadablePicture)
    path.write_bytes(whole[:-300])
    assert luma_from_file(path) == UnreadablePicture("the JPEG is cut off")


def test_a_missing_file(tmp_path: Path):
    assert luma_from_file(tmp_path / "a.jpg") == UnreadablePicture("No such file or directory")


@given(st.binary(max_size=200))
def test_bytes_that_are_no_picture(tmp_path_factory: pytest.TempPathFactory, data: bytes):
    path = tmp_path_factory.getbasetemp() / "bytes.jpg"
    path.write_bytes(b"no picture" + data)
    assert isinstance(luma_from_file(path), UnreadablePicture)


def test_files_are_listed_in_order_and_others_named(tmp_path: Path):
    for name in ("b.JPG", "a.png", "deep/c.jpeg", ".hidden.png", "Thumbs.db", "d.heic"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    broken: dict[str, str] = {}
    names = [path.name for path in picture_files(tmp_path, tmp_path, broken)]
    assert names == ["a.png", "b.JPG", "c.jpeg"]
    assert list(broken) == ["d.heic"]

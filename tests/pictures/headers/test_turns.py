"""AVIF and WebP pictures that are stored turned are read upright, whatever OpenCV does."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from made_pictures import AVIF_TURNED, tiff, webp

from fer_edge.pictures.headers import header_from_file
from fer_edge.pictures.headers.header import EXIF_TURNS, Turn
from fer_edge.pictures.read_picture import read_picture

PICTURE = np.random.default_rng(3).integers(0, 256, (40, 60, 3), np.uint8)
WEBP = cv2.imencode(".webp", PICTURE, [cv2.IMWRITE_WEBP_QUALITY, 101])[1].tobytes()
# Orientation of EXIF -> what it asks a viewer to do.
UPRIGHT: dict[int, Callable[[np.ndarray], np.ndarray]] = {
    1: lambda m: m,
    2: lambda m: m[:, ::-1],
    3: lambda m: m[::-1, ::-1],
    4: lambda m: m[::-1],
    5: lambda m: m.transpose(1, 0, 2),
    6: lambda m: m.transpose(1, 0, 2)[:, ::-1],
    7: lambda m: m[::-1, ::-1].transpose(1, 0, 2),
    8: lambda m: m.transpose(1, 0, 2)[::-1],
}


@pytest.mark.parametrize("orientation", UPRIGHT)
@pytest.mark.parametrize("prefix", [b"", b"Exif\0\0"])
def test_webp(orientation: int, prefix: bytes, tmp_path: Path) -> None:
    exif = tiff(np.zeros((1, 1), np.uint8), {274: ("H", orientation)}, order=">")
    (tmp_path / "a.webp").write_bytes(webp(WEBP, prefix + exif))
    np.testing.assert_array_equal(read_picture(tmp_path / "a.webp").pixels, UPRIGHT[orientation](PICTURE))


@pytest.mark.parametrize("exif", [b"", b"II*\0", b"no TIFF", b"II*\0\x08\0\0\0\xff\xff"])
def test_webp_with_damaged_exif_is_read_as_stored(exif: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.webp").write_bytes(webp(WEBP, exif))
    np.testing.assert_array_equal(read_picture(tmp_path / "a.webp").pixels, PICTURE)


# (quarter turns counterclockwise, axis of the mirror image) as in ISO/IEC 23008-12 -> orientation of EXIF
AVIF_TURNS = {(0, 1): 2, (0, 0): 4, (1, 0): 5, (3, 0): 7, (2, 1): 4, (2, 0): 2, (1, 1): 7, (3, 1): 5}


def _avif(rotation: int, axis: int | None) -> bytes:
    """The same pixels; without an axis the box of the mirror image becomes one of an unknown kind."""
    content = bytearray(AVIF_TURNED)
    content[content.index(b"irot") + 4] = rotation
    at = content.index(b"imir")
    if axis is None:
        content[at : at + 4] = b"xxxx"
        # The uppermost bit of its index says that a reader must know it.
        content[content.index(b"\x85\x86") + 1] = 0x06
    else:
        content[at + 4] = axis
    return bytes(content)


ROTATIONS = {(0, None): 1, (1, None): 8, (2, None): 3, (3, None): 6}


@pytest.mark.parametrize(("turn", "orientation"), (AVIF_TURNS | ROTATIONS).items())
def test_avif(turn: tuple[int, int | None], orientation: int, tmp_path: Path) -> None:
    assert header_from_file(_avif(*turn)).turn == EXIF_TURNS[orientation]
    if not cv2.haveImageWriter("a.avif"):
        pytest.skip(f"OpenCV {cv2.__version__} reads no AVIF")
    (tmp_path / "a.avif").write_bytes(_avif(*turn))
    stored = np.zeros((32, 48, 3), np.uint8)
    stored[:16, :24, 2] = stored[:16, 24:, 1] = stored[16:, :24, 0] = stored[16:, 24:] = 255
    pixels = read_picture(tmp_path / "a.avif").pixels.astype(int)
    expected = UPRIGHT[orientation](stored)
    assert pixels.shape == expected.shape
    # Colours run into each other at the borders of the four parts.
    assert np.median(np.abs(pixels - expected)) < 3
    corners = np.ix_((4, -5), (4, -5))
    assert np.abs(pixels[corners] - expected[corners]).max() < 12


def test_avif_whose_turns_belong_to_another_item() -> None:
    content = bytearray(AVIF_TURNED)
    at = content.index(b"pitm") + 8
    content[at : at + 2] = b"\0\x09"
    assert header_from_file(bytes(content)).turn is None
    assert header_from_file(AVIF_TURNED).turn == EXIF_TURNS[5]


def test_every_damaged_avif_header_is_read_without_an_error() -> None:
    random = np.random.default_rng(7)
    for length in range(len(AVIF_TURNED)):
        header_from_file(AVIF_TURNED[:length])
    for _ in range(500):
        damaged = np.frombuffer(AVIF_TURNED, np.uint8).copy()
        damaged[random.integers(12, 300, 4)] = random.integers(0, 256, 4)
        assert header_from_file(damaged.tobytes()).frames >= 1


@pytest.mark.parametrize("first", EXIF_TURNS.values())
@pytest.mark.parametrize("second", EXIF_TURNS.values())
def test_turns_one_after_the_other(first: Turn, second: Turn) -> None:
    def turned(picture: np.ndarray, turn: Turn) -> np.ndarray:
        picture = np.rot90(picture, turn.quarters)
        return picture[:, ::-1] if turn.is_mirrored else picture

    np.testing.assert_array_equal(turned(PICTURE, first.then(second)), turned(turned(PICTURE, first), second))

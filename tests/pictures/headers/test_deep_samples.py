"""Samples of more than 8 bits are scaled by the maximum that the file states, else by that of their type."""

import math
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from made_pictures import png, tiff

from fer_edge.pictures.headers import header_from_file
from fer_edge.pictures.read_picture import read_picture

# Black, two greys and white of 10 bits, and the same in 8 bits.
TEN_BITS = np.array([[0, 255, 511], [768, 1000, 1023]], np.uint16)
EIGHT_BITS = np.round(TEN_BITS / 1023 * 255).astype(np.uint8)


def _grey(content: bytes, path: Path) -> np.ndarray:
    path.write_bytes(content)
    pixels, notes = read_picture(path)
    assert (pixels.dtype, pixels.shape[2], notes) == (np.uint8, 3, ())
    assert (pixels == pixels[..., :1]).all()
    return pixels[..., 0]


def _netpbm(head: str, samples: np.ndarray) -> bytes:
    return head.encode() + samples.astype(">u2").tobytes()


@pytest.mark.parametrize(
    "content",
    [
        _netpbm("P5\n3 2\n1023\n", TEN_BITS),
        _netpbm("P5 # camera 7\n3 #x\n2\n# 65535\n1023 ", TEN_BITS),
        b"P2\n3 2\n1023\n" + " ".join(map(str, TEN_BITS.ravel())).encode() + b"\n",
        _netpbm("P6\n3 2\n1023\n", np.repeat(TEN_BITS[..., None], 3, axis=2)),
        _netpbm("P7\nWIDTH 3\nHEIGHT 2\nDEPTH 1\nMAXVAL 1023\nTUPLTYPE GRAYSCALE\nENDHDR\n", TEN_BITS),
        # The sBIT of a camera that does not scale its samples.
        png(TEN_BITS, [(b"sBIT", b"\x0a")]),
        # One of an encoder that does, as the standard says.
        png(TEN_BITS << 6 | TEN_BITS >> 4, [(b"sBIT", b"\x0a")]),
        tiff(TEN_BITS, {281: ("H", 1023)}),
        tiff(TEN_BITS, {341: ("H", 1023)}),
        tiff(TEN_BITS, {341: ("H", 1023)}, order=">"),
        tiff(TEN_BITS, {341: ("H", 1023)}, is_big=True),
        tiff(np.repeat(TEN_BITS[..., None], 3, axis=2), {341: ("H", (1023, 1023, 1023))}),
        # White is 0: the stored samples are the negative.
        tiff(1023 - TEN_BITS, {341: ("H", 1023), 262: ("H", 0)}),
        # A stated maximum that cannot be true.
        tiff(TEN_BITS << 6 | TEN_BITS >> 4, {281: ("H", 1023)}),
        tiff(TEN_BITS << 6 | TEN_BITS >> 4),
        # Grey samples are one plane, whatever the tag says.
        tiff(TEN_BITS << 6 | TEN_BITS >> 4, {284: ("H", 2)}),
        tiff((TEN_BITS / 1023).astype(np.float32)),
        tiff((TEN_BITS / 1023).astype(np.float64)),
        tiff(np.repeat((TEN_BITS / 1023).astype(np.float32)[..., None], 3, axis=2)),
        tiff(TEN_BITS.astype(np.float32), {341: ("f", 1023)}),
        tiff(TEN_BITS.astype(np.float64), {341: ("d", 1023)}),
    ],
)
def test_white_is_the_stated_maximum(content: bytes, tmp_path: Path) -> None:
    np.testing.assert_array_equal(_grey(content, tmp_path / "picture"), EIGHT_BITS)


@pytest.mark.parametrize("bits", [10, 12, 14])
def test_packed_samples_of_a_tiff(bits: int, tmp_path: Path) -> None:
    # Four samples fill whole bytes; the stated maximum must not be applied after OpenCV has scaled them.
    white = 2**bits - 1
    samples = [0, white // 3, white // 2, white]
    text = "".join(f"{sample:0{bits}b}" for sample in samples)
    stored = np.frombuffer(int(text, 2).to_bytes(bits // 2, "big"), np.uint8)[None]
    content = tiff(stored, {256: ("I", 4), 258: ("H", bits), 341: ("H", white)})
    expected = np.round(np.array(samples) / white * 255)
    assert np.abs(_grey(content, tmp_path / "packed.tif")[0] - expected).max() <= 1


@pytest.mark.parametrize("magic", ["P2", "P5", "P7"])
def test_a_maximum_below_255(magic: str, tmp_path: Path) -> None:
    head = {"P7": "P7\nWIDTH 3\nHEIGHT 1\nDEPTH 1\nMAXVAL 100\nTUPLTYPE GRAYSCALE\nENDHDR\n"}
    content = head.get(magic, f"{magic}\n3 1\n100\n").encode() + (
        b"0 50 100\n" if magic == "P2" else b"\0\x32\x64"
    )
    assert np.abs(_grey(content, tmp_path / "a.pgm")[0] - np.array([0, 127.5, 255])).max() <= 0.5


def test_bitmaps_have_no_maximum(tmp_path: Path) -> None:
    assert _grey(b"P4\n8 1\n\xaa", tmp_path / "a.pbm").tolist() == [[0, 255] * 4]
    assert _grey(b"P1\n4 1\n0 1 1 0\n", tmp_path / "a.pbm").tolist() == [[255, 0, 0, 255]]


def test_an_almost_black_picture_without_a_maximum_is_said(tmp_path: Path) -> None:
    for content in (png(TEN_BITS), tiff(TEN_BITS), _netpbm("P5\n3 2\n65535\n", TEN_BITS)):
        (tmp_path / "dim").write_bytes(content)
        pixels, (note,) = read_picture(tmp_path / "dim")
        assert pixels.max() == 4
        assert note.startswith(
            "is almost black: its largest sample is 1023 of 65535, and it states no maximum"
        )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (tiff(TEN_BITS.astype(np.float32)), "from 0 to 1023, and only 0 to 1 has a defined black and white"),
        (tiff(np.array([[-0.5, 1]], np.float32)), "from -0.5 to 1, and only 0 to 1 has"),
        (tiff(np.array([[0, np.nan]], np.float32)), "from nan to nan"),
        (tiff(TEN_BITS.astype(np.float32), {341: ("f", 1000)}), "from 0 to 1023, and only 0 to 1 has"),
        (tiff(TEN_BITS.astype(np.float16)), "has 16-bit floating-point samples, which OpenCV cannot read"),
        (tiff(TEN_BITS.astype(np.int16)), "has 16-bit signed samples, which OpenCV cannot read"),
        (tiff(TEN_BITS.astype(np.uint32)), "has 32-bit unsigned samples, which OpenCV cannot read"),
        (
            tiff(TEN_BITS.reshape(2, 1, 3), {284: ("H", 2)}),
            "has 16-bit samples in separate planes, which OpenCV cannot read; save it interleaved",
        ),
        (tiff(TEN_BITS >> 2, {50706: ("B", (1, 4, 0, 0))}), r"is a raw camera picture \(DNG\)"),
        (
            b"PF\n1 1\n-1.0\n" + np.array([0.5, 1, 1.5], "<f4").tobytes(),
            "from 0.5 to 1.5, and only 0 to 1 has",
        ),
    ],
)
def test_a_refusal_gives_the_true_reason(content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "a.tif").write_bytes(content)
    with pytest.raises(ValueError, match=message):
        read_picture(tmp_path / "a.tif")


@pytest.mark.parametrize(
    ("bits", "message"), [(12, "has 12-bit samples, which"), (16, "has 16-bit"), (77, "damaged")]
)
def test_a_deep_jpeg_is_not_called_damaged(bits: int, message: str, tmp_path: Path) -> None:
    jpeg = bytearray(cv2.imencode(".jpg", EIGHT_BITS)[1].tobytes())
    jpeg[jpeg.index(b"\xff\xc0") + 4] = bits
    (tmp_path / "a.jpg").write_bytes(jpeg)
    with pytest.raises(ValueError, match=message):
        read_picture(tmp_path / "a.jpg")


def test_light_levels_of_a_radiance_file(tmp_path: Path) -> None:
    levels = np.full((2, 3, 3), 0.5, np.float32)
    for factor, outcome in ((1, 128), (4, None)):
        (tmp_path / "a.hdr").write_bytes(cv2.imencode(".hdr", levels * factor)[1].tobytes())
        if outcome is None:
            with pytest.raises(ValueError, match="has floating-point samples from 2 to 2"):
                read_picture(tmp_path / "a.hdr")
        else:
            assert (read_picture(tmp_path / "a.hdr").pixels == outcome).all()


def test_a_16_bit_tiff_is_turned(tmp_path: Path) -> None:
    samples = np.repeat((TEN_BITS << 6 | TEN_BITS >> 4)[..., None], 3, axis=2)
    for kind, scale in ((np.uint16, 1), (np.float32, 1 / 65535)):
        content = tiff((samples * scale).astype(kind), {274: ("H", 6)})
        np.testing.assert_array_equal(_grey(content, tmp_path / "a.tif"), np.rot90(EIGHT_BITS, -1))


@pytest.mark.parametrize("share", [0.1, 0.3, 0.6, 0.9])
@pytest.mark.parametrize("content", [png(TEN_BITS.repeat(9, 1)), tiff(TEN_BITS.repeat(9, 1)), b"P5 3 2 102"])
def test_what_is_cut_short_is_damaged(content: bytes, share: float, tmp_path: Path) -> None:
    (tmp_path / "cut").write_bytes(content[: max(9, int(share * len(content)))])
    with pytest.raises(ValueError, match="is damaged or cut short"):
        read_picture(tmp_path / "cut")


@pytest.mark.parametrize("stated", [math.nan, math.inf, -1, 0])
def test_a_maximum_that_is_none_is_not_used(stated: float, tmp_path: Path) -> None:
    content = tiff((TEN_BITS / 1023).astype(np.float32), {341: ("f", stated)})
    np.testing.assert_array_equal(_grey(content, tmp_path / "a.tif"), EIGHT_BITS)


def test_tags_of_a_wrong_type_are_ignored(tmp_path: Path) -> None:
    for tag in (258, 262, 277, 284, 339):
        header_from_file(tiff(TEN_BITS, {tag: ("f", math.inf)}))
    (tmp_path / "a.pgm").write_bytes(b"P5\n3 1\n0\n\0\0\0")
    with pytest.raises(ValueError, match="damaged"):
        read_picture(tmp_path / "a.pgm")


def test_random_bytes_in_a_tiff_never_crash(tmp_path: Path) -> None:
    random, whole = np.random.default_rng(10), tiff(TEN_BITS, pages=2)
    outcomes: set[Any] = set()
    for _ in range(300):
        damaged = np.frombuffer(whole, np.uint8).copy()
        damaged[random.integers(2, len(damaged), 3)] = random.integers(0, 256, 3)
        (tmp_path / "a.tif").write_bytes(damaged.tobytes())
        try:
            outcomes.add(read_picture(tmp_path / "a.tif").pixels.dtype)
        except ValueError as error:
            outcomes.add(type(error))
    assert outcomes == {np.dtype(np.uint8), ValueError}

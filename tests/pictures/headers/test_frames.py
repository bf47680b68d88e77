"""Only the first frame of an animation or page of a document is read, and that is said."""

import struct
from pathlib import Path

import cv2
import numpy as np
import pytest
from made_pictures import AVIF_SEQUENCE, gif, png, tiff, webp

from fer_edge.pictures.headers import header_from_file
from fer_edge.pictures.read_picture import read_picture

GREY = np.arange(40 * 60, dtype=np.uint16).astype(np.uint8).reshape(40, 60)
WEBP = cv2.imencode(".webp", np.repeat(GREY[..., None], 3, axis=2), [cv2.IMWRITE_WEBP_QUALITY, 101])[
    1
].tobytes()


def _apng(frames: int) -> bytes:
    control = struct.pack(">IIIIIHHBB", 0, 60, 40, 0, 0, 1, 10, 0, 0)
    pixels = png(GREY)
    stored = pixels[pixels.index(b"IDAT") + 4 : pixels.index(b"IEND") - 8]
    later = []
    for frame in range(1, frames):
        later += [struct.pack(">I", 2 * frame - 1) + control[4:], struct.pack(">I", 2 * frame) + stored]
    return png(GREY, [(b"acTL", struct.pack(">II", frames, 0)), (b"fcTL", control)], later)


ANIMATIONS = {
    "gif": (gif(3), 3),
    "png": (_apng(2), 2),
    "webp": (webp(WEBP, frames=4), 4),
    "tiff": (tiff(GREY, pages=5), 5),
    "big tiff": (tiff(GREY, pages=2, order=">", is_big=True), 2),
    "avif": (AVIF_SEQUENCE, 2),
}
STILL = [gif(1), png(GREY), _apng(1), WEBP, webp(WEBP), tiff(GREY)]


@pytest.mark.parametrize("kind", ANIMATIONS)
def test_the_first_frame_is_read_and_the_others_are_counted(kind: str, tmp_path: Path) -> None:
    content, frames = ANIMATIONS[kind]
    assert header_from_file(content).frames == frames
    codec = kind.split()[-1]
    if not cv2.haveImageWriter(f"a.{codec}") or (codec == "webp" and not hasattr(cv2, "imdecodeanimation")):
        pytest.skip(f"OpenCV {cv2.__version__} reads no animated {codec}")
    (tmp_path / "a").write_bytes(content)
    pixels, notes = read_picture(tmp_path / "a")
    assert notes == (f"holds {frames} frames or pages; only the first is used",)
    if kind == "gif":
        assert pixels.tolist() == [[[255, 255, 255]]]
    elif kind == "avif":
        # The first frame has red in its upper left corner, the second has white there.
        assert np.abs(pixels[4, 4] - np.array([0, 0, 255.0])).max() < 12
    else:
        np.testing.assert_array_equal(pixels[..., 0], GREY)


@pytest.mark.parametrize("content", STILL)
def test_one_frame_needs_no_note(content: bytes, tmp_path: Path) -> None:
    assert header_from_file(content).frames == 1
    if content == gif(1) and not cv2.haveImageWriter("a.gif"):
        pytest.skip(f"OpenCV {cv2.__version__} reads no GIF")
    (tmp_path / "a").write_bytes(content)
    assert read_picture(tmp_path / "a").notes == ()


def test_previews_are_no_pages() -> None:
    # The tag NewSubfileType of a reduced picture.
    assert header_from_file(tiff(GREY, {254: ("I", 1)}, pages=3)).frames == 1
    assert header_from_file(tiff(GREY, {254: ("I", 2)}, pages=3)).frames == 3
    assert header_from_file(tiff(GREY, {254: ("Q", 1)}, pages=3, is_big=True)).frames == 1


@pytest.mark.parametrize("kind", ANIMATIONS)
def test_a_header_that_is_cut_short_gives_what_it_holds(kind: str) -> None:
    content, frames = ANIMATIONS[kind]
    counts = [header_from_file(content[:length]).frames for length in range(len(content))]
    assert all(1 <= count <= frames for count in counts)


def test_pages_in_a_circle_end() -> None:
    content = bytearray(tiff(GREY, pages=2))
    second = content.index(struct.pack("<I", 8 + 2 + 10 * 12 + 4), 8)
    # The second page's successor is the first page.
    after = second + 4 + 2 + 10 * 12
    content[after : after + 4] = struct.pack("<I", 8)
    assert header_from_file(bytes(content)).frames > 2

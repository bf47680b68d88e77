"""The pixels of a picture file, as 8-bit BGR and upright, whatever its format and depth."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from fer_edge.arrays import U8
from fer_edge.installation.import_opencv import opencv
from fer_edge.pictures.headers import Header, header_from_file
from fer_edge.pictures.headers.jpeg import is_without_end
from fer_edge.pictures.headers.signatures import CODECS, HEAD_BYTES, format_from_head, unreadable_format

# Endings of files in a folder that are read, and reported if they are damaged.
ENDINGS = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".apng", ".bmp", ".dib", ".webp", ".tif", ".tiff"),
    *(".gif", ".avif", ".avifs", ".jp2", ".j2k", ".ppm", ".pgm", ".pbm", ".pnm", ".pam", ".pfm", ".hdr"),
)
# 12 bits or fewer in samples of 16: the picture is almost black, unless its maximum is stated.
_DIM, _MAX_16 = 1 << 12, (1 << 16) - 1


class Picture(NamedTuple):
    """A picture, and what the user must know about how it was read."""

    pixels: U8  # [H, W, 3] BGR
    notes: tuple[str, ...] = ()


def read_picture(path: Path) -> Picture:
    """Returns a picture as uint8 [H, W, 3] BGR, turned upright.

    Samples of more than 8 bits are scaled so that white is 255: by the maximum that the file states, else by
    that of the sample type. An alpha channel is dropped. A note says if only the first of several frames was
    read.

    Raises:
        OSError: the file is missing or not readable.
        ValueError: the file is empty, damaged, not a picture, or of a kind that OpenCV cannot read.
    """
    # Not cv2.imread: it cannot open names outside the system's code page and gives no reason for a failure.
    # Not numpy.fromfile: it cannot read a pipe.
    return picture_from_bytes(path.read_bytes(), path.suffix)


def picture_from_bytes(data: bytes, ending: str = "") -> Picture:
    """Returns the picture that a file with this content and ending of its name holds; see read_picture."""
    if not data:
        raise ValueError("is empty (0 bytes)")
    if kind := unreadable_format(data[:HEAD_BYTES], ending):
        raise ValueError(f"is a {kind} picture, which OpenCV cannot read; convert it to JPEG or PNG")
    header = header_from_file(data)
    if header.refusal:
        raise ValueError(header.refusal)
    pixels, notes = _to_8_bits(_decode(data, header), header)
    if header.frames > 1:
        notes += (f"holds {header.frames} frames or pages; only the first is used",)
    if header.turn is not None:
        pixels = np.rot90(pixels, header.turn.quarters)
        pixels = pixels[:, ::-1] if header.turn.is_mirrored else pixels
    return Picture(np.ascontiguousarray(pixels), notes)


def _decode(data: bytes, header: Header) -> Any:
    """The pixels as OpenCV decodes them: BGR, or grey where the samples are deep."""
    cv2 = opencv()
    mode = cv2.IMREAD_COLOR
    if header.turn is not None:
        mode |= cv2.IMREAD_IGNORE_ORIENTATION
    # Only IMREAD_UNCHANGED reads grey floating-point TIFF; but it ignores the EXIF orientation of others.
    modes = (mode | cv2.IMREAD_ANYDEPTH, cv2.IMREAD_UNCHANGED) if header.is_deep else (mode,)
    try:
        decoded = (cv2.imdecode(np.frombuffer(data, np.uint8), mode) for mode in modes)
        pixels = next((pixels for pixels in decoded if pixels is not None), None)
    except cv2.error as error:
        raise ValueError(f"cannot be decoded: {error.err}") from error
    if pixels is None or is_without_end(data):
        raise ValueError(_why_undecodable(data[:HEAD_BYTES], header))
    return pixels


def _to_8_bits(pixels: Any, header: Header) -> tuple[U8, tuple[str, ...]]:
    """Pixels [H, W] or [H, W, C] as uint8 [H, W, 3], scaled so that white is 255; and the notes."""
    notes: tuple[str, ...] = ()
    if pixels.dtype != np.uint8 or header.white is not None:
        limit = 1.0 if pixels.dtype.kind == "f" else float(np.iinfo(pixels.dtype).max)
        least, most = float(pixels.min()), float(pixels.max())
        # A smaller maximum than that of the samples cannot be true.
        white = header.white if header.white is not None and most <= header.white else limit
        if pixels.dtype.kind == "f" and not 0 <= least <= most <= white:
            raise ValueError(
                f"has floating-point samples from {least:g} to {most:g}, and only 0 to {white:g} has a "
                "defined black and white; save it with 8 or 16 bits"
            )
        if white == limit == _MAX_16 and 0 < most < _DIM and not header.is_white_zero:
            notes = (
                f"is almost black: its largest sample is {most:.0f} of {_MAX_16}, and it states no maximum; "
                "if its samples have fewer than 16 bits, scale them",
            )
        pixels = opencv().convertScaleAbs(pixels, alpha=255 / white)
        if header.is_white_zero and header.is_deep:
            pixels = 255 - pixels
    if pixels.ndim == 2:
        pixels = np.repeat(pixels[..., None], 3, axis=2)
    return pixels[..., :3], notes


def _why_undecodable(head: bytes, header: Header) -> str:
    kind = format_from_head(head)
    if kind is None:
        return "is not a picture that OpenCV can read (JPEG, PNG, WebP, BMP, TIFF, ...)"
    cv2 = opencv()
    newer = f"OpenCV {cv2.__version__} cannot read; convert it to PNG, or install a newer OpenCV"
    if kind in CODECS and not cv2.haveImageWriter(CODECS[kind]):
        return f"is {kind}, which {newer}"
    # Versions before 4.11 read no animated WebP; a newer one fails only if the file is damaged.
    if kind == "WebP" and header.frames > 1 and not hasattr(cv2, "imreadanimation"):
        return f"is an animated WebP, which {newer}"
    return "is damaged or cut short; copy or download it again"

"""TIFF 6.0 and BigTIFF: pages, depth and range of the samples, and what OpenCV misreads."""

import math
import struct
from collections.abc import Iterator

from fer_edge.pictures.headers.header import EXIF_TURNS, Header, Turn

REDUCED, BITS, PHOTOMETRIC, ORIENTATION, CHANNELS, MAXIMUM = 254, 258, 262, 274, 277, 281
PLANAR, SAMPLE_FORMAT, STATED_MAXIMUM, DNG_VERSION = 284, 339, 341, 50706
_WANTED = frozenset(
    (
        *(REDUCED, BITS, PHOTOMETRIC, ORIENTATION, CHANNELS, MAXIMUM),
        *(PLANAR, SAMPLE_FORMAT, STATED_MAXIMUM, DNG_VERSION),
    )
)
_WHOLE = {1: "B", 3: "H", 4: "I", 16: "Q"}
# Only the stated maximum may be a floating-point number.
_ANY = {**_WHOLE, 11: "f", 12: "d"}
_SAMPLES = {2: "signed", 3: "floating-point"}
_UNSIGNED, _FLOAT, _WHITE_IS_ZERO, _SEPARATE = 1, 3, 0, 2
# Directories that are read at most, in case they are linked in a circle.
_MAX_PAGES = 10_000

Tags = dict[int, float]


def header(data: bytes) -> Header:
    """Returns what the first page says, and the number of pages without previews."""
    pages = list(_directories(data))
    if not pages:
        return Header()
    tags = pages[0]
    bits = int(tags.get(BITS, 1))
    is_float = tags.get(SAMPLE_FORMAT, _UNSIGNED) == _FLOAT
    return Header(
        frames=max(1, sum(not int(page.get(REDUCED, 0)) & 1 for page in pages)),
        is_deep=bits > 8,
        white=_white(tags, bits, is_float),
        is_white_zero=tags.get(PHOTOMETRIC) == _WHITE_IS_ZERO,
        refusal=_refusal(tags, bits, is_float),
    )


def turn_from_exif(exif: bytes) -> Turn | None:
    """Returns the orientation in a block of EXIF, which is a TIFF file without a picture."""
    for tags in _directories(exif.removeprefix(b"Exif\0\0")):
        return EXIF_TURNS.get(int(tags.get(ORIENTATION, 1)))
    return None


def _white(tags: Tags, bits: int, is_float: bool) -> float | None:
    stated = tags.get(STATED_MAXIMUM, None if is_float else tags.get(MAXIMUM))
    # OpenCV scales samples of 10, 12 and 14 bits to 16, so their maximum is no longer the stated one.
    return stated if (is_float or bits == 16) and stated and 0 < stated < math.inf else None


def _refusal(tags: Tags, bits: int, is_float: bool) -> str:
    if DNG_VERSION in tags:
        return "is a raw camera picture (DNG), of which OpenCV reads only a preview; develop it first"
    kind = _SAMPLES.get(int(tags.get(SAMPLE_FORMAT, _UNSIGNED)), "unsigned")
    is_separate = tags.get(PLANAR) == _SEPARATE and tags.get(CHANNELS, 1) > 1
    if bits > 8 and is_separate:
        # OpenCV returns wrong pixels without an error.
        return f"has {bits}-bit samples in separate planes, which OpenCV cannot read; save it interleaved"
    if bits not in ((32, 64) if is_float else (1, 2, 4, 8, 10, 12, 14, 16)) or kind == "signed":
        return f"has {bits}-bit {kind} samples, which OpenCV cannot read; save it with 8 or 16 bits"
    return ""


def _directories(data: bytes) -> Iterator[Tags]:
    """The wanted tags of each page, with their first value; ends where the file is damaged."""
    order = {b"II": "<", b"MM": ">"}.get(data[:2])
    if order is None:
        return
    try:
        is_big = struct.unpack_from(order + "H", data, 2)[0] == 43
        (at,) = struct.unpack_from(order + ("Q" if is_big else "I"), data, 8 if is_big else 4)
        for _ in range(_MAX_PAGES):
            if not at:
                return
            tags, at = _directory(data, order, at, is_big)
            yield tags
    except struct.error:
        return


def _directory(data: bytes, order: str, at: int, is_big: bool) -> tuple[Tags, int]:
    """The tags of the directory at a position, and the position of the next directory."""
    start, entry, offset = (8, "HHQ", "Q") if is_big else (2, "HHI", "I")
    (count,) = struct.unpack_from(order + ("Q" if is_big else "H"), data, at)
    head, inline = struct.calcsize(order + entry), struct.calcsize(order + offset)
    end = at + start + count * (head + inline)
    tags: Tags = {}
    for place in range(at + start, end, head + inline):
        tag, kind, number = struct.unpack_from(order + entry, data, place)
        code = (_ANY if tag == STATED_MAXIMUM else _WHOLE).get(kind)
        if tag not in _WANTED or code is None or not number:
            continue
        place += head
        if number * struct.calcsize(code) > inline:
            (place,) = struct.unpack_from(order + offset, data, place)
        (tags[tag],) = struct.unpack_from(order + code, data, place)
    return tags, struct.unpack_from(order + offset, data, end)[0]

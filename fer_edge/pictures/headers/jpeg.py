"""JPEG (ISO/IEC 10918-1): the depth of the samples, and whether the file has its end."""

from collections.abc import Iterator

from fer_edge.pictures.headers.header import Header

_SCAN, _END = 0xDA, b"\xff\xd9"
# Markers of the frame header, one for each kind of coding: C0 to CF without tables and extensions.
_FRAMES = set(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_DEEP = (12, 16)


def header(data: bytes) -> Header:
    """Returns why OpenCV cannot read the file, if its samples have more than 8 bits."""
    for marker, at in _segments(data):
        bits = int.from_bytes(data[at + 4 : at + 5], "big")
        if marker in _FRAMES and bits in _DEEP:
            return Header(refusal=f"has {bits}-bit samples, which OpenCV cannot read; save it with 8 bits")
    return Header()


def is_without_end(data: bytes) -> bool:
    """Whether the file is a JPEG that is cut short; OpenCV 4 fills the missing part with grey."""
    # Searched from the scan on, because a thumbnail in the header also has an end marker.
    return any(marker == _SCAN and data.find(_END, at) < 0 for marker, at in _segments(data))


def _segments(data: bytes) -> Iterator[tuple[int, int]]:
    """(marker, position) of the segments up to the first scan; ends where the file is damaged."""
    at = 2 if data.startswith(b"\xff\xd8") else len(data)
    while data[at : at + 1] == b"\xff" and at + 1 < len(data):
        yield data[at + 1], at
        if data[at + 1] == _SCAN:
            return
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")

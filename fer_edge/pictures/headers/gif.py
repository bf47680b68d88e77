"""GIF89a: the number of frames."""

from fer_edge.pictures.headers.header import Header

_EXTENSION, _IMAGE = 0x21, 0x2C
_HAS_COLOURS = 0x80


def header(data: bytes) -> Header:
    """Counts the images; stops where the file ends or is damaged."""
    frames = 0
    try:
        at = 13 + _colour_bytes(data[10])
        while data[at] in (_EXTENSION, _IMAGE):
            if data[at] == _IMAGE:
                frames += 1
                # Nine bytes of position and flags, the colours, and the code size.
                at += 11 + _colour_bytes(data[at + 9])
            else:
                at += 2
            while data[at]:
                at += 1 + data[at]
            at += 1
    except IndexError:
        pass
    return Header(frames=max(1, frames))


def _colour_bytes(flags: int) -> int:
    return 3 << ((flags & 7) + 1) if flags & _HAS_COLOURS else 0

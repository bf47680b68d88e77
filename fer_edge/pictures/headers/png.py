"""PNG (third edition): depth, significant bits, and the frames of an animation."""

import struct

from fer_edge.pictures.headers.header import Header

_BIT_DEPTH_AT = 24  # in the first chunk, IHDR


def header(data: bytes) -> Header:
    """Returns depth, frames and the stated range.

    The chunk sBIT says how many bits of each sample are significant. A standard encoder scales such
    samples to the full range, and then samples above the stated range show it; some cameras do not.
    """
    frames, bits = 1, 0
    at = 8
    while at + 8 <= len(data) and data[at + 4 : at + 8] != b"IDAT":
        (length,) = struct.unpack_from(">I", data, at)
        kind, content = data[at + 4 : at + 8], data[at + 8 : at + 8 + min(length, 8)]
        if kind == b"acTL" and len(content) == 8:
            (frames,) = struct.unpack_from(">I", content)
        elif kind == b"sBIT" and content:
            bits = max(content)
        at += 12 + length
    is_deep = data[_BIT_DEPTH_AT : _BIT_DEPTH_AT + 1] == b"\x10"
    return Header(frames=frames, is_deep=is_deep, white=2**bits - 1 if is_deep and 8 < bits < 16 else None)

"""Picture files made byte by byte, so that every header field is known and no encoder is needed."""

import base64
import struct
import zlib
from collections.abc import Sequence

import numpy as np

# 48 x 32 pixels, upper half red and green, lower half blue and white; written by Pillow 13 with the EXIF
# orientation 5, which libavif stores as `irot` 1 and `imir` 0.
AVIF_TURNED = base64.b64decode(
    "AAAAIGZ0eXBhdmlmAAAAAGF2aWZtaWYxbWlhZk1BMUIAAAD/bWV0YQAAAAAAAAAhaGRscgAAAAAAAAAAcGljdAAAAAAAAAAAAAAA"
    "AAAAAAAOcGl0bQAAAAAAAQAAAB5pbG9jAAAAAEQAAAEAAQAAAAEAAAEnAAAANwAAAChpaW5mAAAAAAABAAAAGmluZmUCAAAAAAEA"
    "AGF2MDFDb2xvcgAAAAB+aXBycAAAAF1pcGNvAAAAFGlzcGUAAAAAAAAAMAAAACAAAAAQcGl4aQAAAAADCAgIAAAADGF2MUOBAAwA"
    "AAAAE2NvbHJuY2x4AAEADQAGgAAAAAlpcm90AQAAAAlpbWlyAAAAABlpcG1hAAAAAAAAAAEAAQYBAoMEhYYAAAA/bWRhdBIACgkY"
    "FS/7ZAQ0GhAyKEVx4eGZUAB5QAAAAIDg9YILLHTFNq2xqgWP8Gs0ayk2cbRlaCMU8Co="
)
# The same picture without a turn, and then upside down, as a sequence of two.
AVIF_SEQUENCE = base64.b64decode(
    "AAAALGZ0eXBhdmlzAAAAAGF2aWZhdmlzbXNmMWlzbzhtaWYxbWlhZk1BMUIAAADrbWV0YQAAAAAAAAAhaGRscgAAAAAAAAAAcGlj"
    "dAAAAAAAAAAAAAAAAAAAAAAOcGl0bQAAAAAAAQAAAB5pbG9jAAAAAEQAAAEAAQAAAAEAAAPlAAAANgAAAChpaW5mAAAAAAABAAAA"
    "GmluZmUCAAAAAAEAAGF2MDFDb2xvcgAAAABqaXBycAAAAEtpcGNvAAAAFGlzcGUAAAAAAAAAMAAAACAAAAAQcGl4aQAAAAADCAgI"
    "AAAADGF2MUOBAAwAAAAAE2NvbHJuY2x4AAEADQAGgAAAABdpcG1hAAAAAAAAAAEAAQQBAoMEAAACxm1vb3YAAAB4bXZoZAEAAAAA"
    "AAAA5y576gAAAADnLnvqAAAD6P//////////AAEAAAEAAAAAAAAAAAAAAAABAAAAAAAAAAAAAAAAAAAAAQAAAAAAAAAAAAAAAAAA"
    "QAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAEAAAJGdHJhawAAAGh0a2hkAQAAAQAAAADnLnvqAAAAAOcue+oAAAABAAAA"
    "AP//////////AAAAAAAAAAAAAAAAAAAAAAABAAAAAAAAAAAAAAAAAAAAAQAAAAAAAAAAAAAAAAAAQAAAAAAwAAAAIAAAAAAALGVk"
    "dHMAAAAkZWxzdAEAAAEAAAABAAAAAAAAAAIAAAAAAAAAAAABAAAAAAGqbWRpYQAAACxtZGhkAQAAAAAAAADnLnvqAAAAAOcue+oA"
    "AAPoAAAAAAAAAAJVxAAAAAAAIWhkbHIAAAAAAAAAAHBpY3QAAAAAAAAAAAAAAAAAAAABVW1pbmYAAAAUdm1oZAAAAAEAAAAAAAAA"
    "AAAAACRkaW5mAAAAHGRyZWYAAAAAAAAAAQAAAAx1cmwgAAAAAQAAARVzdGJsAAAAlXN0c2QAAAAAAAAAAQAAAIVhdjAxAAAAAAAA"
    "AAEAAAAAAAAAAAAAAAAAAAAAADAAIABIAAAASAAAAAAAAAABCkFPTSBDb2RpbmcAAAAAAAAAAAAAAAAAAAAAAAAAAAAAGP//AAAA"
    "DGF2MUOBAAwAAAAAE2NvbHJuY2x4AAEADQAGgAAAABBjY3N0AAAAAHwAAAAAAAAYc3R0cwAAAAAAAAABAAAAAgAAAAEAAAAcc3Rz"
    "YwAAAAAAAAABAAAAAQAAAAIAAAABAAAAHHN0c3oAAAAAAAAAAAAAAAIAAAA2AAAAPgAAABRzdGNvAAAAAAAAAAEAAAPlAAAAFHN0"
    "c3MAAAAAAAAAAQAAAAEAAAB8bWRhdBIACg0AAAACpf9+/mQENBoQMiMUADAAAACgAACA+mM9hbM9pnDQXRLDtHEgN3rX0lVqzDcL"
    "OhIAMjoyAeBAAAALYAAAAUAAAUAA6T2YAIU2Ktpxv5+gHUCui+z0Ck26VNYIgLOdfXfS7l1MWJk1aGpGlEpl"
)

Tags = dict[int, tuple[str, float | tuple[float, ...]]]


def tiff(
    samples: np.ndarray, tags: Tags | None = None, *, pages: int = 1, order: str = "<", is_big: bool = False
) -> bytes:
    """A TIFF of [H, W] or [H, W, 3] in the native layout of the samples; `tags` replace or add to the usual.

    A tag is (struct code, value or values). All pages share the pixels.
    """
    kinds = {"H": 3, "I": 4, "f": 11, "d": 12, "B": 1, "Q": 16}
    height, width, channels = (*samples.shape, 1)[:3]
    pixels = samples.astype(samples.dtype.newbyteorder(order)).tobytes()
    usual: Tags = {
        **{256: ("I", width), 257: ("I", height), 258: ("H", 8 * samples.dtype.itemsize), 259: ("H", 1)},
        **{262: ("H", 2 if channels == 3 else 1), 273: ("I", 0), 277: ("H", channels), 278: ("I", height)},
        **{279: ("I", len(pixels)), 339: ("H", {"u": 1, "i": 2, "f": 3}[samples.dtype.kind])},
    }
    entries = sorted((usual | (tags or {})).items())
    start, pointer = (16, "Q") if is_big else (8, "I")
    head, inline = (8, 8) if is_big else (2, 4)
    size = head + len(entries) * (20 if is_big else 12) + inline
    pixels_at = start + pages * size
    file = {"<": b"II", ">": b"MM"}[order]
    file += struct.pack(order + ("HHHQ" if is_big else "HI"), *((43, 8, 0, 16) if is_big else (42, 8)))
    for page in range(1, pages + 1):
        file += struct.pack(order + ("Q" if is_big else "H"), len(entries))
        for tag, (code, value) in entries:
            values = value if isinstance(value, tuple) else (pixels_at if tag == 273 else value,)
            content = struct.pack(f"{order}{len(values)}{code}", *values)
            # Values that do not fit are appended to the pixels.
            if len(content) > inline:
                content, tail = struct.pack(order + pointer, pixels_at + len(pixels)), content
                pixels += tail
            file += struct.pack(order + "HH" + pointer, tag, kinds[code], len(values)) + content.ljust(
                inline, b"\0"
            )
        file += struct.pack(order + pointer, start + page * size if page < pages else 0)
    return file + pixels


def png(
    samples: np.ndarray, before: Sequence[tuple[bytes, bytes]] = (), after: Sequence[bytes] = ()
) -> bytes:
    """A PNG of uint8 or uint16 [H, W], with chunks (kind, content) before the pixels.

    `after` holds control and pixels of further frames, in turn.
    """
    height, width = samples.shape
    rows = b"".join(b"\0" + row.astype(row.dtype.newbyteorder(">")).tobytes() for row in samples)
    head = struct.pack(">IIBBBBB", width, height, 8 * samples.dtype.itemsize, 0, 0, 0, 0)
    chunks = [(b"IHDR", head), *before, (b"IDAT", zlib.compress(rows))]
    chunks += [*zip((b"fcTL", b"fdAT") * len(after), after, strict=False), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        for kind, content in chunks
    )


def with_orientation(jpeg: bytes, orientation: int) -> bytes:
    """Puts an EXIF block with one entry, the orientation, behind the JPEG's first marker."""
    entry = b"\x01\x12\x00\x03\x00\x00\x00\x01" + orientation.to_bytes(2, "big") + b"\x00\x00"
    exif = b"Exif\x00\x00MM\x00\x2a\x00\x00\x00\x08\x00\x01" + entry + b"\x00\x00\x00\x00"
    return jpeg[:2] + b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif + jpeg[2:]


def gif(frames: int) -> bytes:
    """A GIF of one white pixel, with a comment before each frame; the second and later have colours."""
    colours = b"\xff\xff\xff\0\0\0"
    file = b"GIF89a\1\0\1\0\x80\0\0" + colours
    for frame in range(frames):
        own = (b"\x80" + colours) if frame else b"\0"
        file += b"!\xfe\x03abc\0" + b",\0\0\0\0\1\0\1\0" + own + b"\2\2D\1\0"
    return file + b";"


def webp(encoded: bytes, exif: bytes = b"", frames: int = 1) -> bytes:
    """A WebP file of 60 x 40 as an extended one, with EXIF, or with its picture in several frames."""
    size = struct.pack("<I", 59)[:3] + struct.pack("<I", 39)[:3]
    flags = (8 if exif else 0) | (2 if frames > 1 else 0)
    chunks = [(b"VP8X", bytes([flags, 0, 0, 0]) + size)]
    if frames > 1:
        frame = bytes(6) + size + b"\x64\0\0\0" + encoded[12:]
        chunks += [(b"ANIM", bytes(6)), *[(b"ANMF", frame)] * frames]
    body = b"".join(_chunk(*chunk) for chunk in chunks) + (encoded[12:] if frames == 1 else b"")
    body += _chunk(b"EXIF", exif) if exif else b""
    return b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WEBP" + body


def _chunk(kind: bytes, content: bytes) -> bytes:
    return kind + struct.pack("<I", len(content)) + content + bytes(len(content) % 2)

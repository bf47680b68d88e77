"""WebP: frames and EXIF orientation, which older versions of OpenCV ignore."""

from fer_edge.pictures.headers.header import Header
from fer_edge.pictures.headers.tiff import turn_from_exif


def header(data: bytes) -> Header:
    """Returns the frames and the orientation in the chunks of the RIFF container."""
    frames, turn = 0, None
    at = 12
    while at + 8 <= len(data):
        kind, length = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "little")
        if kind == b"ANMF":
            frames += 1
        elif kind == b"EXIF":
            turn = turn_from_exif(data[at + 8 : at + 8 + length])
        # Chunks start at even positions.
        at += 8 + length + length % 2
    return Header(frames=max(1, frames), turn=turn)

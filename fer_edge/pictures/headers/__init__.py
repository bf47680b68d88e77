"""What a picture file says of itself: format, number of frames, orientation, and the sample value of white.

OpenCV decodes the pixels, but does not tell, or does not apply, all of these. Each format has a module that
reads the few header fields; a damaged header gives what could be read, because OpenCV reports damage.
"""

from collections.abc import Callable

from fer_edge.pictures.headers import avif, gif, jpeg, netpbm, png, tiff, webp
from fer_edge.pictures.headers.header import Header
from fer_edge.pictures.headers.signatures import format_from_head

__all__ = ["Header", "header_from_file"]

_READERS: dict[str, Callable[[bytes], Header]] = {
    "AVIF": avif.header,
    "GIF": gif.header,
    "JPEG": jpeg.header,
    "PNM": netpbm.header,
    "PAM": netpbm.header,
    "PNG": png.header,
    "TIFF": tiff.header,
    "WebP": webp.header,
    # Their samples are always floating-point numbers.
    "PFM": lambda data: Header(is_deep=True),
    "Radiance HDR": lambda data: Header(is_deep=True),
}


def header_from_file(data: bytes) -> Header:
    """Returns what the bytes of a file say of themselves; for other formats the defaults of Header."""
    reader = _READERS.get(format_from_head(data[:32]) or "")
    return reader(data) if reader is not None else Header()

"""PGM, PPM and PAM: the stated maximum, which OpenCV heeds only in text files of 8 bits."""

import re

from fer_edge.pictures.headers.header import Header

_BLANK = rb"(?:\s|#[^\r\n]*[\r\n])+"
_PNM = re.compile(rb"P([2356])" + _BLANK + rb"\d+" + _BLANK + rb"\d+" + _BLANK + rb"(\d{1,5})\s")
_PAM = re.compile(rb"P(7)\n(?:.*\n)*?MAXVAL +(\d{1,5})\s*\n")
# A header ends before this byte.
_MAX_HEADER = 4096


def header(data: bytes) -> Header:
    """Returns the depth and the sample value of white; bitmaps (P1, P4) have none."""
    found = (_PAM if data.startswith(b"P7") else _PNM).match(data[:_MAX_HEADER])
    if found is None:
        return Header()
    white = int(found[2])
    is_deep, is_text = white > 255, found[1] in b"23"
    return Header(is_deep=is_deep, white=white if white and (is_deep or not is_text) else None)

"""Formats by their first bytes: those that OpenCV reads, and pictures that it does not read."""

# (offset, bytes, format). OpenCV reads these; some only in builds with the codec, see CODECS.
_READABLE = (
    (0, b"\xff\xd8\xff", "JPEG"),  # also .jfif, .jpe and .mpo
    (0, b"\x89PNG", "PNG"),
    (0, b"GIF8", "GIF"),
    (0, b"BM", "BMP"),
    (8, b"WEBP", "WebP"),
    *((0, start, "TIFF") for start in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")),
    (4, b"ftypavif", "AVIF"),
    (4, b"ftypavis", "AVIF"),
    (0, b"\0\0\0\x0cjP", "JPEG 2000"),
    (0, b"\xff\x4f\xff\x51", "JPEG 2000"),
    *((0, b"P%d%c" % (kind, blank), "PNM") for kind in range(1, 7) for blank in b" \n\r\t"),
    (0, b"P7\n", "PAM"),
    *((0, start, "PFM") for start in (b"PF\n", b"Pf\n")),
    *((0, start, "Radiance HDR") for start in (b"#?RADIANCE", b"#?RGBE")),
    (0, b"\x59\xa6\x6a\x95", "Sun raster"),
)
# Formats that a build of OpenCV may lack, and a name for `cv2.haveImageWriter` to tell.
CODECS = {"AVIF": "a.avif", "GIF": "a.gif", "JPEG 2000": "a.jp2", "WebP": "a.webp"}

_HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
_UNREADABLE = (
    *((4, b"ftyp" + brand, "HEIC") for brand in _HEIF_BRANDS),
    (4, b"ftypcrx ", "raw camera"),
    (8, b"CR\2\0", "raw camera"),
    *(
        (0, start, "raw camera")
        for start in (b"FUJIFILMCCD-RAW", b"IIRO", b"IIRS", b"MMOR", b"IIU\0", b"FOVb")
    ),
    (0, b"\xff\x0a", "JPEG XL"),
    (0, b"\0\0\0\x0cJXL ", "JPEG XL"),
    (0, b"II\xbc", "JPEG XR"),
    (0, b"8BPS", "Photoshop"),
    (0, b"gimp xcf", "GIMP"),
    (0, b"\x76\x2f\x31\x01", "OpenEXR"),
    (0, b"DDS ", "DDS"),
    (0, b"qoif", "QOI"),
    (0, b"BPG\xfb", "BPG"),
)
# Raw camera files are TIFF files in which OpenCV would find a small preview, so only the ending tells them.
_UNREADABLE_ENDINGS = {
    **dict.fromkeys((".dng", ".nef", ".nrw", ".arw", ".sr2", ".srf", ".pef", ".cr2", ".cr3"), "raw camera"),
    **dict.fromkeys((".3fr", ".fff", ".iiq", ".erf", ".mef", ".mos", ".kdc", ".dcr"), "raw camera"),
    **dict.fromkeys((".srw", ".rwl", ".rw2", ".raf", ".orf", ".crw", ".x3f"), "raw camera"),
    **dict.fromkeys((".heic", ".heics", ".hif"), "HEIC"),
    ".jxl": "JPEG XL",
    ".psd": "Photoshop",
    ".tga": "Targa",
    ".pcx": "PCX",
}
HEAD_BYTES = 32


def format_from_head(head: bytes) -> str | None:
    """Returns the format if the first HEAD_BYTES bytes of a file are those of one that OpenCV reads."""
    found = _find(_READABLE, head)
    # Two letters may also begin a text; a bitmap has two reserved fields of zeros.
    if found == "BMP" and head[6:10] != bytes(4):
        return None
    # The major brand of an AVIF may be the general one of its container.
    return "AVIF" if found is None and _is_general_avif(head) else found


def unreadable_format(head: bytes, ending: str) -> str | None:
    """Returns the format of a picture that OpenCV cannot read, by its first bytes or its ending."""
    if _is_general_avif(head):
        return None
    found = _find(_UNREADABLE, head)
    by_ending = _UNREADABLE_ENDINGS.get(ending.lower())
    # Another ending than its own does not make a JPEG unreadable.
    readable = format_from_head(head)
    return found or (by_ending if readable in (None, "TIFF") else None)


def _find(table: tuple[tuple[int, bytes, str], ...], head: bytes) -> str | None:
    return next((name for at, start, name in table if head[at : at + len(start)] == start), None)


def _is_general_avif(head: bytes) -> bool:
    return head[4:12] in (b"ftypmif1", b"ftypmsf1") and b"avif" in head[16:]

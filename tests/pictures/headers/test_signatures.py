"""Formats by their first bytes agree with the OpenCV that is installed."""

from pathlib import Path

import cv2
import pytest

from fer_edge.pictures.headers.signatures import format_from_head, unreadable_format
from fer_edge.pictures.read_picture import read_picture

READABLE = {
    **dict.fromkeys((b"\xff\xd8\xff\xe0", b"\xff\xd8\xff\xe1"), "JPEG"),
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"GIF89a": "GIF",
    b"BM\x10\0\0\0": "BMP",
    b"RIFF\x10\0\0\0WEBPVP8 ": "WebP",
    **dict.fromkeys((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"), "TIFF"),
    **dict.fromkeys((b"\0\0\0\x0cjP  \r\n\x87\n", b"\xff\x4f\xff\x51"), "JPEG 2000"),
    **dict.fromkeys((b"P1\n", b"P2 ", b"P3\r", b"P4\t", b"P5\n", b"P6\n"), "PNM"),
    b"P7\nWIDTH": "PAM",
    **dict.fromkeys((b"PF\n", b"Pf\n"), "PFM"),
    **dict.fromkeys((b"#?RADIANCE\n", b"#?RGBE\n"), "Radiance HDR"),
    b"\x59\xa6\x6a\x95": "Sun raster",
    **dict.fromkeys((b"\0\0\0\x1cftypavif", b"\0\0\0\x1cftypavis"), "AVIF"),
    b"\0\0\0\x1cftypmif1\0\0\0\0mif1avif": "AVIF",
}
UNREADABLE = {
    **dict.fromkeys((b"\0\0\0\x1cftypheic", b"\0\0\0\x1cftypmif1\0\0\0\0mif1heic"), "HEIC"),
    **dict.fromkeys((b"\0\0\0\x18ftypcrx ", b"II*\0\x10\0\0\0CR\2\0", b"FUJIFILMCCD-RAW 0201"), "raw camera"),
    **dict.fromkeys((b"\xff\x0a\xfa", b"\0\0\0\x0cJXL \r\n\x87\n"), "JPEG XL"),
    b"8BPS\0\1": "Photoshop",
    b"v/1\1\2\0\0\0": "OpenEXR",
    b"DDS |\0\0\0": "DDS",
    b"II\xbc\1": "JPEG XR",
    b"qoif\0\0": "QOI",
    b"gimp xcf v011": "GIMP",
}


@pytest.mark.parametrize(("head", "name"), READABLE.items())
def test_what_opencv_reads(head: bytes, name: str, tmp_path: Path) -> None:
    content = head + bytes(64)
    assert format_from_head(content) == name
    assert unreadable_format(content, "") is None
    # These decoders need the whole file, or are not in every build.
    if name not in ("AVIF", "GIF", "WebP"):
        (tmp_path / "a").write_bytes(content)
        assert cv2.haveImageReader(str(tmp_path / "a"))


@pytest.mark.parametrize(("head", "name"), UNREADABLE.items())
def test_pictures_that_opencv_does_not_read(head: bytes, name: str, tmp_path: Path) -> None:
    assert unreadable_format(head, ".jpg") == name
    (tmp_path / "a.jpg").write_bytes(head + bytes(64))
    with pytest.raises(
        ValueError, match=f"is a {name} picture, which OpenCV cannot read; convert it to JPEG"
    ):
        read_picture(tmp_path / "a.jpg")
    # OpenCV reads previews of raw camera files, and some builds know OpenEXR but do not read it by default.
    assert not cv2.haveImageReader(str(tmp_path / "a.jpg")) or name in ("raw camera", "OpenEXR")


@pytest.mark.parametrize("ending", [".dng", ".NEF", ".Arw", ".cr2", ".pef", ".srw"])
def test_a_raw_camera_file_is_a_tiff_whose_preview_must_not_be_read(ending: str) -> None:
    assert unreadable_format(b"II*\0\x08\0\0\0", ending) == "raw camera"
    assert unreadable_format(b"MM\0*\0\0\0\x08", ".tif") is None
    # A wrong ending makes no JPEG unreadable.
    assert unreadable_format(b"\xff\xd8\xff\xe0", ending) is None


@pytest.mark.parametrize(
    "head", [b"", b"P", b"P8\n", b"BMW prices are", b"RIFF\0\0\0\0WAVE", b"notes", bytes(32)]
)
def test_what_is_no_picture(head: bytes) -> None:
    assert format_from_head(head) is unreadable_format(head, ".txt") is None


@pytest.mark.parametrize(("codec", "head"), [("GIF", b"GIF89a"), ("AVIF", b"\0\0\0\x1cftypavif")])
def test_a_codec_that_this_opencv_lacks_is_the_reason(
    codec: str, head: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A double of a build without the codec, such as OpenCV 4.8.
    monkeypatch.setattr(cv2, "haveImageWriter", lambda name: False)
    (tmp_path / "a").write_bytes(head + bytes(30))
    with pytest.raises(
        ValueError, match=f"is {codec}, which OpenCV {cv2.__version__} cannot read; convert it"
    ):
        read_picture(tmp_path / "a")

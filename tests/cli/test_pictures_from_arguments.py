"""The files that the arguments of the command line select."""

from pathlib import Path

import pytest

from fer_edge.cli.pictures import pictures_from_arguments

PICTURE_SUFFIXES = [
    *("jpg", "jpeg", "jpe", "jfif", "mpo", "png", "apng", "bmp", "dib", "webp", "tif", "tiff", "gif", "avif"),
    *("avifs", "jp2", "j2k", "ppm", "pgm", "pbm", "pnm", "pam", "pfm", "hdr"),
]
VIDEO_SUFFIXES = ["mp4", "mov", "avi", "mkv", "webm", "m4v", "mpg", "mpeg", "wmv", "flv", "3gp"]
SUFFIXES = PICTURE_SUFFIXES + VIDEO_SUFFIXES


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder, the current one, with some files."""
    for name in ("b.PNG", "a.jpg", "notes.txt", "film.mp4", "sub/c.jpg", "sub/deep/d.jpg", "odd[1].jpg"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (tmp_path / "bare").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["a.jpg"], ["a.jpg"]),
        (["none.jpg"], ["none.jpg"]),
        (["X.jpg"], ["X.jpg"]),
        (["notes.txt"], ["notes.txt"]),
        (["."], ["a.jpg", "b.PNG", "film.mp4", "odd[1].jpg"]),
        (["*.jpg"], ["a.jpg", "odd[1].jpg"]),
        (["**/*.jpg"], ["a.jpg", "odd[1].jpg", "sub/c.jpg", "sub/deep/d.jpg"]),
        (["odd[1].jpg"], ["odd[1].jpg"]),
        (["sub", "a.jpg", "sub/c.jpg"], ["sub/c.jpg", "a.jpg"]),
    ],
)
def test_files_of_each_argument(arguments: list[str], expected: list[str], folder: Path) -> None:
    files, failures = pictures_from_arguments(arguments)
    assert [str(path) for path in files] == expected
    assert failures == []


def test_an_absolute_glob(folder: Path) -> None:
    files, _ = pictures_from_arguments([f"{folder}/s*/*.jpg"])
    assert files == [folder / "sub" / "c.jpg"]


def test_arguments_without_files(folder: Path) -> None:
    files, failures = pictures_from_arguments(["bare", "*.gif", "a.jpg"])
    assert files == [Path("a.jpg")]
    assert [name for name, _ in failures] == ["bare", "*.gif"]
    assert "no pictures in this folder" in failures[0][1]
    assert "no file matches" in failures[1][1]


def test_a_folder_selects_every_kind_of_picture_and_video(tmp_path: Path) -> None:
    for number, suffix in enumerate(SUFFIXES):
        (tmp_path / f"{number:02}.{suffix.upper() if number % 2 else suffix}").touch()
    for name in ("x.txt", "x.jpg.bak", "jpg", "y.svg"):
        (tmp_path / name).touch()
    (tmp_path / "folder.jpg").mkdir()
    files, failures = pictures_from_arguments([str(tmp_path)])
    assert [path.name[:2] for path in files] == [f"{number:02}" for number in range(len(SUFFIXES))]
    assert failures == []


def test_a_glob_selects_files_only_and_a_name_itself(folder: Path) -> None:
    (folder / "what?.jpg").touch()
    (folder / "dir.jpg").mkdir()
    files, failures = pictures_from_arguments(["what?.jpg", "*.jpg", "sub/*", "[ab].???"])
    assert [str(path) for path in files] == [
        "what?.jpg",
        "a.jpg",
        "odd[1].jpg",
        "sub/c.jpg",
        "b.PNG",
    ]
    assert failures == []


def test_the_files_of_macos_are_no_pictures_unless_they_are_named(folder: Path) -> None:
    for name in ("._a.jpg", "sub/._c.jpg"):
        (folder / name).write_bytes(b"\0\5\x16\7")
    for argument, expected in (
        ("[._a]*.jpg", ["a.jpg"]),
        ("sub/*", ["sub/c.jpg"]),
        ("sub/**/*.jpg", ["sub/c.jpg", "sub/deep/d.jpg"]),
        ("._a.jpg", ["._a.jpg"]),
    ):
        files, failures = pictures_from_arguments([argument])
        assert [str(path) for path in files] == expected
        assert failures == []


def test_a_folder_is_read_by_content_too(tmp_path: Path) -> None:
    for name, head in (
        ("scan.jfif", b"\xff\xd8\xff\xe0"),
        ("map.pnm", b"P6\n4 4\n255\n"),
        ("bits.pbm", b"P1 2 2 0 1 1 0"),
        ("new.heif", b"\0\0\0\x1cftypavif"),
        ("photo", b"RIFF\0\0\0\0WEBPVP8 "),
        ("notes.md", b"Plan: nothing"),
        ("P1 notes", b"P1nothing"),
        ("empty", b""),
        ("._a.jpg", b"\0\5\x16\7"),
    ):
        (tmp_path / name).write_bytes(head)
    found, failures = pictures_from_arguments([str(tmp_path)])
    assert [path.name for path in found] == ["bits.pbm", "map.pnm", "new.heif", "photo", "scan.jfif"]
    assert failures == []


def test_pictures_of_a_folder_that_opencv_cannot_read_are_named_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "b.jpg").touch()
    (tmp_path / "a.HEIC").write_bytes(b"\0\0\0\x1cftypheic")
    (tmp_path / "c.dng").write_bytes(b"II*\0\x08\0\0\0")
    (tmp_path / "d").write_bytes(b"\0\0\0\x1cftypmif1\0\0\0\0heic")
    (tmp_path / "really-a-jpeg.dng").write_bytes(b"\xff\xd8\xff\xe0")
    (tmp_path / "._e.heic").write_bytes(b"\0\5\x16\7")
    expected = "OpenCV cannot read a.HEIC, c.dng, d (HEIC, raw camera); convert them to JPEG or PNG"
    found, failures = pictures_from_arguments([str(tmp_path)])
    assert [path.name for path in found] == ["b.jpg", "really-a-jpeg.dng"]
    assert failures == [(str(tmp_path), expected)]
    for number in range(30):
        (tmp_path / f"x{number:02}.heic").touch()
    _, ((_, message),) = pictures_from_arguments([str(tmp_path)])
    assert message.startswith("OpenCV cannot read a.HEIC, c.dng, d, x00.heic, ")
    assert "x16.heic and 13 more (HEIC, raw camera)" in message


def test_a_file_that_cannot_be_opened_does_not_hide_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("b.jpg", "c"):
        (tmp_path / name).touch()

    # A double, because the superuser may open every file.
    def refuse(path: Path, mode: str) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    found, failures = pictures_from_arguments([str(tmp_path)])
    assert [path.name for path in found] == ["b.jpg", "c"]
    assert failures == []


def test_a_glob_below_a_folder_with_brackets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("[2024] party/a.jpg", "[2024] party/b.txt", "2 party/c.jpg"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
    expected = [tmp_path / "[2024] party" / "a.jpg"]
    assert pictures_from_arguments([f"{tmp_path}/[[]2024] party/*.jpg"]) == (expected, [])
    assert pictures_from_arguments([f"{tmp_path}/[2024] party/*.jpg"]) == (expected, [])
    monkeypatch.chdir(tmp_path)
    assert pictures_from_arguments(["[2024] party/*.jpg"]) == ([Path("[2024] party/a.jpg")], [])
    assert pictures_from_arguments(["[0-9] party/*.jpg"]) == ([Path("2 party/c.jpg")], [])

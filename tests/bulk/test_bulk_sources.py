"""Which files a job takes, and how they are divided into units."""

import signal
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from fer_edge.bulk.sources import files_from_arguments, parts_folder
from fer_edge.bulk.units import ParquetRows, PictureFiles, VideoFile, digest, units_from_files


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with files of all kinds; it is the current folder."""
    monkeypatch.chdir(tmp_path)
    for name in ("in/b.png", "in/a.JPG", "in/sub/c.mp4", "in/sub/d.parquet", "in/.cache/e.png", "in/.f.png"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).touch()
    Path("in/text.txt").write_text("is no picture")
    Path("in/without_ending").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(60))
    # OpenCV cannot read it; the results say so.
    Path("in/phone").write_bytes(b"\x00\x00\x00\x18ftypheic" + bytes(60))
    return tmp_path


def test_a_folder_and_its_subfolders(tree: Path) -> None:
    expected = ["in/a.JPG", "in/b.png", "in/phone", "in/without_ending", "in/sub/c.mp4", "in/sub/d.parquet"]
    assert files_from_arguments(["in"]) == expected
    assert files_from_arguments(["in/b.png", "in"]) == ["in/b.png", *(n for n in expected if n != "in/b.png")]


def test_globs(tree: Path) -> None:
    assert files_from_arguments(["in/*.png"]) == ["in/.f.png", "in/b.png"]
    assert files_from_arguments(["in/**/*.[mp][pa]*"]) == ["in/sub/c.mp4", "in/sub/d.parquet"]
    Path("in/[1].png").touch()
    assert files_from_arguments(["in/[1].png"]) == ["in/[1].png"]


def test_the_files_of_macos_are_no_inputs_unless_they_are_named(tree: Path) -> None:
    Path("in/._b.png").touch()
    assert files_from_arguments(["in/*.png"]) == ["in/.f.png", "in/b.png"]
    assert files_from_arguments(["in/._b.png"]) == ["in/._b.png"]


def test_progress_that_cannot_be_written_stops_nothing() -> None:
    # The first step is shown at once in a log, because the last one was long ago.
    code = (
        "from fer_edge.bulk import progress\n"
        "progress.IN_LOG_S = 0\n"
        "with progress.Progress(2, 0) as shown: shown.step(1); shown.step(1); raise KeyboardInterrupt"
    )
    done = subprocess.run(["bash", "-c", f"'{sys.executable}' -c '{code}' 2>/dev/full"], check=False)
    assert done.returncode in (130, -signal.SIGINT)


def test_the_output_is_no_input(tree: Path) -> None:
    out = Path("in/results.parquet")
    expected = files_from_arguments(["in"])
    parts_folder(out).mkdir()
    for path in (out, parts_folder(out) / "part-00000000.parquet"):
        path.touch()
    without = (out, parts_folder(out))
    assert files_from_arguments(["in"], without=without) == expected
    assert files_from_arguments(["in/**/*.parquet"], without=without) == ["in/sub/d.parquet"]


def test_units_keep_the_order_of_the_files(tree: Path) -> None:
    rows = pa.table({"image": [b"x"] * 10})
    parquet.write_table(rows, "rows.parquet", row_group_size=6)
    files = ["1.png", "2.png", "3.png", "v.mp4", "4.png", "rows.parquet", "5.png"]
    assert units_from_files(files, "image", 2) == [
        PictureFiles(("1.png", "2.png")),
        PictureFiles(("3.png",)),
        VideoFile("v.mp4"),
        PictureFiles(("4.png",)),
        ParquetRows("rows.parquet", "image", 0, 0, 0, 2),
        ParquetRows("rows.parquet", "image", 0, 0, 2, 2),
        ParquetRows("rows.parquet", "image", 0, 0, 4, 2),
        ParquetRows("rows.parquet", "image", 1, 6, 6, 2),
        ParquetRows("rows.parquet", "image", 1, 6, 8, 2),
        PictureFiles(("5.png",)),
    ]


def test_a_large_row_group_has_few_units(tree: Path) -> None:
    parquet.write_table(pa.table({"image": [b"x"] * 1000}), "rows.parquet")
    units = units_from_files(["rows.parquet"], "image", 2)
    assert len(units) == 32
    assert sum(map(len, units)) == 1000


def test_the_digest_sees_names_order_and_contents(tree: Path) -> None:
    def of(*files: str, block: int = 2) -> str:
        return digest(units_from_files(files, "image", block), files)

    first = of("in/b.png", "in/a.JPG")
    assert of("in/b.png", "in/a.JPG") == first
    assert of("in/a.JPG", "in/b.png") != first
    assert of("in/b.png", "in/a.JPG", block=1) != first
    Path("in/a.JPG").write_bytes(b"new")
    assert of("in/b.png", "in/a.JPG") != first


def test_names_that_are_no_text(tree: Path) -> None:
    name = b"in/caf\xe9.png".decode("utf-8", "surrogateescape")
    Path(name).touch()
    files = files_from_arguments(["in/caf*"])
    assert files == [name]
    assert digest(units_from_files(files, "image", 2), files)

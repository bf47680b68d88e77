"""Jobs that do not start: one line says why, and nothing is changed."""

import json
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from fer_edge.bulk import command
from fer_edge.bulk.parts import METADATA_KEY

Refused = Callable[..., str]


@pytest.fixture
def refused(models: tuple[object, ...], capsys: pytest.CaptureFixture[str]) -> Refused:
    """Runs a job that must not start; returns its message."""

    def run(*arguments: object) -> str:
        assert command.main([*map(str, (*models, *arguments))]) == 2
        out, err = capsys.readouterr()
        assert out == ""
        assert err.startswith("fer_edge.bulk: ")
        assert err.count("\n") == 1
        return err

    return run


@pytest.fixture
def unfinished(folder: Path, models: tuple[object, ...], monkeypatch: pytest.MonkeyPatch) -> Path:
    """The output of a job that was interrupted before its first part."""
    out = folder.parent / "results.parquet"

    def interrupt(*arguments: object, **settings: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("fer_edge.bulk.job.tables_of_units", interrupt)
        patch.setattr("fer_edge.bulk.job.ray_session", _NoRay)
        with pytest.raises(KeyboardInterrupt):
            command.main([str(folder), "--out", str(out), *map(str, models)])
    return out


class _NoRay:
    """Stands in for Ray where a job ends before it needs a worker."""

    def __init__(self, *arguments: object) -> None:
        pass

    def __enter__(self) -> int:
        return 1

    def __exit__(self, *exception: object) -> None:
        pass


@pytest.mark.parametrize(
    ("option", "message"),
    [
        (("--min-face", 40), "min_face was null, now 40.0"),
        (("--threshold", 0.4), "threshold was null, now 0.4"),
        (("--block", 3), "block was 64, now 3"),
        (("--model", "tkfnet-nano"), "model was name bright-is-happy, version 0"),
    ],
)
def test_another_setting(
    unfinished: Path, folder: Path, refused: Refused, option: tuple[object, ...], message: str
) -> None:
    parts = unfinished.with_name("results.parquet.parts")
    before = sorted(path.read_bytes() for path in parts.iterdir())
    assert message in refused(folder, "--out", unfinished, *option)
    assert sorted(path.read_bytes() for path in parts.iterdir()) == before


def test_other_inputs(unfinished: Path, folder: Path, refused: Refused) -> None:
    (folder / "new.png").write_bytes((folder / "1.png").read_bytes())
    assert "inputs was count 9" in refused(folder, "--out", unfinished)
    (folder / "new.png").unlink()
    (folder / "1.png").touch()
    assert "holds parts of another job: inputs was" in refused(folder, "--out", unfinished)


def test_another_job_has_written_the_results(folder: Path, tmp_path: Path, refused: Refused) -> None:
    out = tmp_path / "results.parquet"
    foreign = pa.table({"a": [1]})
    parquet.write_table(foreign, out)
    assert "was not written by this command" in refused(folder, "--out", out)
    parquet.write_table(foreign.replace_schema_metadata({METADATA_KEY: json.dumps({"block": 1})}), out)
    assert "exists with other results: backend was null" in refused(folder, "--out", out)
    out.write_text("is no Parquet file")
    assert "was not written by this command" in refused(folder, "--out", out)


def test_sources_without_inputs(folder: Path, tmp_path: Path, refused: Refused) -> None:
    out = tmp_path / "results.parquet"
    (tmp_path / "nothing").mkdir()
    assert "missing: no such file or folder" in refused(folder, "missing", "--out", out)
    assert "*.gif: no file matches" in refused(folder / "*.gif", "--out", out)
    assert "no pictures, videos or Parquet files" in refused(tmp_path / "nothing", "--out", out)
    assert not out.with_name("results.parquet.parts").exists()


def test_a_wrong_column(tmp_path: Path, refused: Refused) -> None:
    parquet.write_table(pa.table({"jpeg": [b""], "n": [1]}), tmp_path / "rows.parquet")
    for column in ("image", "n"):
        message = refused(tmp_path / "rows.parquet", "--column", column, "--out", tmp_path / "r.parquet")
        assert f"got {column!r}; the columns are jpeg (binary), n (int64)" in message


def test_a_folder_as_output(folder: Path, tmp_path: Path, refused: Refused) -> None:
    assert "is a folder" in refused(folder, "--out", tmp_path)


@pytest.mark.parametrize("option", ["--workers", "--block"])
def test_counts(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        command.main([".", "--out", "r.parquet", option, "0"])
    assert "must be a whole number of at least 1, got '0'" in capsys.readouterr().err

"""The timing cache and compiled kernels: only what is whole and fits is given back to the library."""

import dataclasses
import logging
from pathlib import Path

import pytest
from made_plans import ORIN, RTX_4090

from fer_edge.backends.engines import blobs
from fer_edge.backends.engines.blobs import Maker
from fer_edge.models import ModelError

MAKER = Maker(product="tensorrt", product_version="10.3.0", gpu=ORIN, plan_sha256="")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A timing cache in a private folder."""
    tmp_path.chmod(0o700)
    blobs.write(tmp_path / blobs.TIMING, b"times", MAKER)
    return tmp_path / blobs.TIMING


def test_a_blob_as_it_was_written(path: Path) -> None:
    assert blobs.read(path, MAKER) == b"times"
    assert sorted(file.name for file in path.parent.iterdir()) == ["timing.cache", "timing.cache.json"]


def test_there_may_be_none(tmp_path: Path) -> None:
    assert blobs.read(tmp_path / blobs.TIMING, MAKER) is None


@pytest.mark.parametrize(
    "change",
    [
        {"product": "tensorrt-rtx"},
        {"product_version": "10.4.0"},
        {"gpu": RTX_4090},
        {"plan_sha256": "a" * 64},
    ],
)
def test_one_for_something_else_is_left_out(
    path: Path, change: dict[str, object], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    assert blobs.read(path, dataclasses.replace(MAKER, **change)) is None  # type: ignore[arg-type]
    assert f"{path} is left out: wanted one of " in caplog.text


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("timing.cache", "tampered", "sha256: wanted "),
        ("timing.cache.json", "{", "is no JSON"),
        ("timing.cache.json", "[" * 100_000, "is no JSON"),
        ("timing.cache.json", "[]", "expected Record"),
        ("timing.cache.json", None, "No such file"),
    ],
)
def test_a_damaged_one_is_left_out(
    path: Path, name: str, content: str | None, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    if content is None:
        (path.parent / name).unlink()
    else:
        (path.parent / name).write_text(content)
    assert blobs.read(path, MAKER) is None
    assert f"{path} is left out: " in caplog.text
    assert reason in caplog.text


def test_another_format_is_left_out(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    record = path.with_name("timing.cache.json")
    record.write_text(record.read_text().replace('"format": 1', '"format": 2'))
    assert blobs.read(path, MAKER) is None
    assert "format must be 1, got 2" in caplog.text


def test_a_folder_that_others_can_write_to_is_refused(path: Path) -> None:
    path.parent.chmod(0o777)
    with pytest.raises(ModelError, match="must be writable by its owner only"):
        blobs.read(path, MAKER)

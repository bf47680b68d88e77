"""Files that are written completely or not at all."""

from pathlib import Path

import pytest

from fer_edge.atomic_file import atomic_write


def test_the_target_changes_only_at_the_end(tmp_path: Path) -> None:
    target = tmp_path / "model.onnx"
    target.write_text("old")
    with atomic_write(target) as partial:
        partial.write_text("new")
        assert target.read_text() == "old"
    assert target.read_text() == "new"
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_failure_leaves_the_target_and_nothing_else(tmp_path: Path, error: type[BaseException]) -> None:
    target = tmp_path / "model.onnx"
    target.write_text("old")
    with pytest.raises(error), atomic_write(target) as partial:
        partial.write_text("half")
        raise error
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_failure_before_anything_is_written_is_the_error_that_is_seen(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="too early"), atomic_write(tmp_path / "model.onnx"):
        raise ValueError("too early")
    assert list(tmp_path.iterdir()) == []


def test_a_block_that_writes_nothing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), atomic_write(tmp_path / "model.onnx"):
        pass
    assert list(tmp_path.iterdir()) == []

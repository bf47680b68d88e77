"""The table of readers: finding the layout, and the message when none fits."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from training.data import labels as tables
from training.data.readers import LAYOUTS, layout_from_folder, read
from training.data.split import LABELS

WritePicture = Callable[[Path, np.ndarray], Path]


def test_no_such_folder(tmp_path: Path):
    with pytest.raises(FileNotFoundError, match="no such folder"):
        read(tmp_path / "nowhere")


def test_no_layout_fits(tmp_path: Path):
    (tmp_path / "holiday").mkdir()
    (tmp_path / "notes.txt").touch()
    with pytest.raises(ValueError, match=r"found holiday/, notes\.txt") as caught:
        layout_from_folder(tmp_path)
    for name, layout in LAYOUTS.items():
        assert f"{name}: {layout.expects}" in str(caught.value)


def test_an_empty_folder(tmp_path: Path):
    with pytest.raises(ValueError, match="found nothing"):
        read(tmp_path)


def test_unknown_layout(tmp_path: Path):
    with pytest.raises(ValueError, match=r"must be one of auto, ferplus-packed, .*, got 'fer'"):
        read(tmp_path, "fer")


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_folder_in_another_layout(tmp_path: Path, name: str):
    (tmp_path / "other").mkdir()
    with pytest.raises(ValueError, match=f"for the layout {name}, found other/") as caught:
        read(tmp_path, name)
    assert LAYOUTS[name].expects in str(caught.value)


def test_a_split_without_pictures(tmp_path: Path, write_picture: WritePicture):
    for split in ("train", "valid", "test"):
        write_picture(tmp_path / split / "happy" / "a.png", np.eye(9, dtype=np.uint8))
    (tmp_path / "test" / "happy" / "a.png").rename(tmp_path / "test" / "happy" / "a.heic")
    with pytest.raises(ValueError, match=r"none for test .*test/happy/a\.heic: not one of \.jpg"):
        read(tmp_path)


@pytest.mark.parametrize("table", ["RAF_DB", "KDEF", "AFFECT_NET"])
def test_label_tables_name_known_expressions_once(table: str):
    names = list(getattr(tables, table).values())
    assert set(names) <= set(LABELS)
    assert len(names) == len(set(names)) >= 7


def test_every_expression_has_an_alias_and_no_alias_two():
    aliases = [alias for several in tables.ALIASES.values() for alias in several]
    assert tuple(tables.ALIASES) == LABELS
    assert all(name in several for name, several in tables.ALIASES.items())
    assert len(aliases) == len(set(aliases)) == len(tables.LABEL_OF_ALIAS)

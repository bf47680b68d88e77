"""Every Python block of README.md and docs/ runs.

The blocks of a page run in order, in one namespace, as a reader would type them; in a folder with the files
that the pages speak of.
"""

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import pytest
import skimage.data
from camera_double import CameraUnpluggedError, plug_in
from code_blocks import MARK, PAGES, ROOT, CodeBlock, blocks_of_page, examples

import fer_edge
from fer_edge.models import WEIGHTS


def _name(page: Path) -> str:
    return str(page.relative_to(ROOT))


def _blocks(page: Path) -> list[CodeBlock]:
    return list(blocks_of_page(page.read_text(encoding="utf-8")))


WITH_CODE = [page for page in PAGES if any(block.reason is None for block in _blocks(page))]


@pytest.fixture
def names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """What the text around the blocks takes for granted: names, files in the current folder, and a camera."""
    photo = skimage.data.astronaut()[:, :, ::-1].copy()
    cv2.imwrite(str(tmp_path / "photo.jpg"), photo)
    shutil.copy(WEIGHTS / "tkfnet-nano.onnx", tmp_path / "mine.onnx")
    monkeypatch.chdir(tmp_path)
    plug_in(monkeypatch)
    with fer_edge.Recognizer(threads=1) as recognizer:
        yield {"__name__": "__main__", "fer_edge": fer_edge, "recognizer": recognizer, "frame": photo}


@pytest.mark.parametrize("page", WITH_CODE, ids=_name)
def test_the_blocks_of_a_page_run(page: Path, names: dict[str, Any]) -> None:
    programs = examples().values()
    for block in _blocks(page):
        # Programs are run by test_example_programs.py.
        if block.reason is None and block.text not in programs:
            # Line numbers of errors are those of the page.
            code = compile("\n" * (block.line - 1) + block.text, page, "exec")
            with contextlib.suppress(CameraUnpluggedError):
                exec(code, names)


def test_marks_stand_above_blocks_and_have_a_reason() -> None:
    marked = 0
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        reasons = [block.reason for block in blocks_of_page(text) if block.reason is not None]
        assert reasons == [mark["reason"] for mark in MARK.finditer(text)], _name(page)
        assert all(len(reason.split()) >= 2 for reason in reasons), _name(page)
        marked += len(reasons)
    assert marked >= 1


def test_blocks_are_found_with_their_lines_and_marks() -> None:
    page = "a\n```python\nx = 1\n\ny = 2\n```\n*Not run by the tests: needs a robot.*\n\n```python\nz\n```\n"
    page += "```sh\nls\n```\n"
    assert list(blocks_of_page(page)) == [
        CodeBlock("x = 1\n\ny = 2\n", 3, None),
        CodeBlock("z\n", 10, "needs a robot"),
    ]

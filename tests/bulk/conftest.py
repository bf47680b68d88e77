"""A folder of pictures for bulk jobs, and the options that select the tiny networks."""

from pathlib import Path

import pytest
from tiny import write_picture


@pytest.fixture
def models(detector_file: Path, expression_file: Path) -> tuple[object, ...]:
    """Options of the tiny networks."""
    return ("--model", expression_file, "--detector", detector_file)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Eight pictures with 0 to 3 faces, and one that is damaged."""
    folder = tmp_path / "pictures"
    for number in range(8):
        write_picture(folder / f"{number}.png", *((6 + 8 * n, 5 + number) for n in range(number % 4)))
    (folder / "bad.jpg").write_bytes(b"\xff\xd8\xff\xe0 is no JPEG")
    return folder

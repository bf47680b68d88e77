"""Pictures for the command line."""

from pathlib import Path

import pytest
from tiny import write_picture


@pytest.fixture
def two(tmp_path: Path) -> tuple[Path, Path]:
    """A picture with two faces and one with none."""
    return write_picture(tmp_path / "two.png", (10, 7), (25, 20)), write_picture(tmp_path / "zero.png")

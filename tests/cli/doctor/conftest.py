"""Recorded machines for doctor."""

from collections.abc import Mapping
from pathlib import Path
from tempfile import mkdtemp

import pytest
from doctor_findings import Examine, Finding, findings


@pytest.fixture
def engines(tmp_path: Path) -> Path:
    """An empty folder of engines."""
    folder = tmp_path / "engines"
    folder.mkdir()
    return folder


@pytest.fixture
def examine(tmp_path: Path, engines: Path, capsys: pytest.CaptureFixture[str]) -> Examine:
    """Runs doctor on a recorded machine, with some files changed; None removes a file."""

    def run(name: str, changes: Mapping[str, str | None] | None = None) -> dict[str, Finding]:
        return findings(name, changes or {}, Path(mkdtemp(dir=tmp_path)), engines, capsys)

    return run

"""Corrupted model files: each one works or raises ModelError; the engine neither crashes nor prints.

The corruptions are copies of the embedded files that a user passes by path. `make test` tries the first 200
of each file, `make test-fuzz` the other 1,800.
"""

import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

WORKER = Path(__file__).parent / "load_models.py"
CHUNK = 200
CHUNKS = [
    pytest.param(first, marks=[pytest.mark.fuzz] if first else [], id=f"from-{first}")
    for first in range(0, 2000, CHUNK)
]


@pytest.mark.parametrize("name", ["face-luma", "tkfnet-nano", "tkfnet-nano-float32"])
@pytest.mark.parametrize("first", CHUNKS)
def test_corrupted_files(name: str, first: int, detector_file: Path, expression_file: Path) -> None:
    other = expression_file if name == "face-luma" else detector_file
    command = [sys.executable, str(WORKER), name, str(other), str(first), str(CHUNK)]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr[-2000:]
    outcomes = dict(line.split(" ", 1) for line in done.stderr.splitlines())
    assert list(map(int, outcomes)) == list(range(first, first + CHUNK))
    odd = {number: text for number, text in outcomes.items() if text not in ("works", "refused")}
    assert not odd
    # Both happen often, or the corruptions would test only one part of the way.
    assert min(Counter(outcomes.values()).values()) > CHUNK // 10

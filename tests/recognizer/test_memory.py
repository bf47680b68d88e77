"""One huge frame leaves little memory behind, and `close` gives back the rest; in processes of their own."""

import subprocess
import sys

import pytest

# In each process: the memory after a warm-up, and by how much it is larger after each step.
PROGRAM = """
import sys
import numpy as np
from benchmarks.soak import resident_mb
from fer_edge import Recognizer

min_face, height, width = eval(sys.argv[1])
frame = np.full((480, 640, 3), 99, np.uint8)
Recognizer().close()
start = resident_mb()
recognizer = Recognizer(min_face=min_face)
recognizer(frame)
warm = resident_mb()
recognizer(np.zeros((height, width, 3), np.uint8))
print(resident_mb() - warm)
recognizer(frame)
recognizer.close()
print(resident_mb() - start)
"""


def _growth_mb(*settings: object) -> tuple[float, float]:
    """The growth in MB after a huge frame, and after `close`."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, repr(settings)], capture_output=True, text=True, check=True
    )
    huge, closed = map(float, done.stdout.split())
    return huge, closed


def test_a_frame_of_60_megapixels_leaves_little_behind() -> None:
    # Its luma alone has 60 MB, and the parts of its mip levels another 10.
    huge, closed = _growth_mb(None, 6000, 10_000)
    assert huge < 12
    assert closed < 12


@pytest.mark.slow
def test_a_fine_search_in_a_large_frame_has_bounded_memory() -> None:
    # One input of 20 megapixels would need 800 MB. Windows need about 85, and the kept luma 20.
    huge, closed = _growth_mb(16, 4000, 5000)
    assert huge < 150
    assert closed < 25

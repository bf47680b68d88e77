"""The targets that are bitwise equal to the reference: all but OpenCV, which test_with_opencv.py compares."""

from fer_edge import ops

EXACT = [name for name in ops.targets() if name != "opencv"]
COMPILED = EXACT[:-1]

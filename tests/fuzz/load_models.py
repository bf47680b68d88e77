"""Loads and runs corrupted copies of an embedded model, for test_model_files.py, in a process of its own.

`python load_models.py NAME OTHER FIRST COUNT` writes a line for each corruption to stderr: its number and
what came of it. OTHER is a sound model of the other role. If the engine ends this process, the last line has
the number of the corruption. Nothing is to appear on stdout.
"""

import resource
import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np
from corruptions import Corruptor

from fer_edge import ModelError, Recognizer, models

# A wrong dimension must not use up the memory of the machine.
MAX_MEMORY = 8 << 30


def main() -> None:
    """Tries COUNT corruptions, starting with number FIRST."""
    name, other, first, count = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY, MAX_MEMORY))
    warnings.simplefilter("error")
    file = models.WEIGHTS / f"{name}.onnx"
    corruptor = Corruptor(file.read_bytes())
    is_detector = models.read(file).spec.role == "detector"
    with tempfile.TemporaryDirectory() as folder:
        # A user's file, so that no check of the embedded files can refuse it.
        path = Path(folder, "user.onnx")
        for number in range(first, first + count):
            print(number, end=" ", file=sys.stderr, flush=True)
            path.write_bytes(corruptor.corrupted(number))
            outcome = _outcome(other, path) if is_detector else _outcome(path, other)
            print(outcome, file=sys.stderr, flush=True)


def _outcome(model: str | Path, detector: str | Path) -> str:
    # Noise, of which an untrustworthy detector finds many faces at this threshold.
    frame = np.random.default_rng(5).integers(0, 256, (72, 128, 3), np.uint8)
    try:
        with Recognizer(model, detector=detector, threshold=0.001, max_faces=3) as recognizer:
            faces = recognizer(frame) + recognizer.recognize_crops([frame, frame[:20], frame[..., 0]])
    except ModelError as error:
        return "refused" if "user.onnx" in str(error) else f"does not name the file: {error!r}"
    except Exception as error:  # noqa: BLE001 (whatever else comes is what the test looks for)
        return repr(error)
    for face in faces:
        numbers = (*face.box, face.confidence, face.score, *face.probabilities.values())
        if not np.isfinite([*numbers, *np.ravel(face.landmarks)]).all():
            return f"not finite: {face}"
    return "works"


main()

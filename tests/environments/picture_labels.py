"""What the embedded networks say of a picture and of its parts, as JSON, for comparison with another machine.

python -m tests.environments.picture_labels PICTURE
"""

import json
import platform
import sys

import cv2
import numpy as np

from fer_edge import Face, Recognizer, ops
from fer_edge.models import embedded

# Side of the parts that are classified as if each were a face: most are not, so that all labels occur.
PART_PX = 64


def main() -> None:
    frame = cv2.imread(sys.argv[1])
    pictures = {
        "as it is": frame,
        "mirrored": np.ascontiguousarray(frame[:, ::-1]),
        "dark": frame // 3,
        "half the size": cv2.resize(frame, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA),
    }
    luma = cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY)
    starts = range(0, min(luma.shape) - PART_PX + 1, PART_PX)
    parts = np.stack([luma[y : y + PART_PX, x : x + PART_PX] for y in starts for x in starts])
    faces = {}
    for model in sorted(set(embedded()) - {"face-luma"}):
        with Recognizer(model, threads=1) as recognizer:
            for name, picture in pictures.items():
                faces[f"{model}, {name}"] = [_record(face) for face in recognizer(picture)]
            faces[f"{model}, parts"] = [_record(face) for face in recognizer.recognize_crops(parts)]
    print(json.dumps({"machine": platform.machine(), "ops": ops.target, "faces": faces}, default=float))


def _record(face: Face) -> dict[str, object]:
    return {"label": face.label, "box": face.box, "probabilities": face.probabilities}


if __name__ == "__main__":
    main()

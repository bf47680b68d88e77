"""The application that `make test-frozen` packs: faces of a frame from a file, as JSON."""

import dataclasses
import json
import sys

import numpy as np

import fer_edge


def main() -> None:
    with fer_edge.Recognizer() as recognizer:
        faces = [dataclasses.asdict(face) for face in recognizer(np.load(sys.argv[1]))]
        # The file of the package tells a packed application from an installed one.
        print(json.dumps({"faces": faces, "kernels": recognizer.info()["ops"], "file": fer_edge.__file__}))


if __name__ == "__main__":
    main()

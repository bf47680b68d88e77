"""Certifies the embedded models in every precision and flavour, for docs/exporting.md.

``python -m benchmarks.exports --data runs/ferplus --faces FACES`` runs export.convert for each row of EXPORTS
and writes the certificates to docs/models/exports; ``--also FILE.onnx`` adds a float32 network.
"""

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

from benchmarks.figures.exports import CERTIFICATES
from export import convert, verify
from export.onnx_metadata import read_with_metadata
from fer_edge import models

EXPRESSION, DETECTOR = "tkfnet-nano-float32", "face-luma"
# precision, flavour of each conversion of an expression network and of a detector
EXPRESSION_EXPORTS = (
    ("fp32", "fused"),
    ("fp16", "plain"),
    ("fp16", "fused"),
    ("int8-trt", "plain"),
    ("int8-trt", "fused"),
)
DETECTOR_EXPORTS = (("fp16", "plain"), ("int8-trt", "plain"))


def run(command: object, *words: object) -> None:
    """Runs a command of export as a user does; ends with its exit code if that is not 0."""
    sys.argv = ["export", *map(str, words)]
    try:
        command.main()
    except SystemExit as ended:
        if ended.code:
            raise


def export(model: str, data: Path, exports: tuple[tuple[str, str], ...], folder: Path) -> None:
    """Converts one network; files and certificates are in `folder`."""
    _, spec = read_with_metadata(models.path_of(model), role=None)
    for precision, flavour in exports:
        name = f"{spec.name}-{precision}-{flavour}"
        words = ("--precision", precision, "--flavour", flavour, "--data", data)
        out = ("--out", folder / f"{name}.onnx", "--certificate", folder / f"{name}.json")
        run(convert, model, *words, *out)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder that training.prepare wrote")
    parser.add_argument("--faces", type=Path, required=True, help="folder of faces-*.npz")
    parser.add_argument("--also", nargs="*", default=[], help="float32 files of more expression networks")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        export(EXPRESSION, args.data, EXPRESSION_EXPORTS, Path(folder))
        export(DETECTOR, args.faces, DETECTOR_EXPORTS, Path(folder))
        for file in args.also:
            plain = tuple(pair for pair in EXPRESSION_EXPORTS if pair[1] == "plain")
            export(file, args.data, plain, Path(folder))
        # The embedded int8 file is for CPUs; it is measured with the kernels that it is made for.
        certificate = Path(folder) / "tkfnet-nano-int8-cpu-plain.json"
        given = ("--data", args.data, "--backend", "onnxruntime")
        run(verify, "tkfnet-nano", EXPRESSION, *given, "--out", certificate)
        # At the end, because each certificate says whether the tree had changes.
        for path in Path(folder).glob("*.json"):
            shutil.copy(path, CERTIFICATES)


if __name__ == "__main__":
    main()

"""A model repository for Triton Inference Server.

``python -m export.triton_repository OUT``

OUT gets the face detector and the expression network for the ONNX Runtime backend, and `fer_edge`, the whole
pipeline, for the Python backend. docs/serving.md says how to start a server and what to send.
"""

import argparse
import re
import shutil
from dataclasses import replace
from pathlib import Path

import onnx

from export.inference_server.model_config import ModelConfig, Tensor, tensors_of_network
from fer_edge import models
from fer_edge.models import ModelFile
from training.command_line import exit_on_error

PIPELINE = "fer_edge"
# It is not imported: the module that it needs exists only in the server.
PIPELINE_CODE = Path(__file__).parent / "inference_server" / "pipeline_model.py"
LABELS = "labels.txt"
# Requests that are joined: frames are large and faces are small.
MAX_FRAMES, MAX_FACES = 8, 32


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, help="folder to write; must not exist, or be empty")
    parser.add_argument("--model", default="tkfnet-nano", help="embedded name or ONNX file")
    parser.add_argument("--detector", default="face-luma", help="embedded name or ONNX file")
    parser.add_argument("--instances", type=int, default=1, help="copies of each model that run at a time")
    return parser


def main() -> None:
    parser = _arguments()
    args = parser.parse_args()
    with exit_on_error(parser):
        write_repository(args.out, args.model, args.detector, args.instances)


def write_repository(out: Path, model: str, detector: str, instances: int) -> None:
    """Writes the repository; raises ValueError if `out` has content, and ModelError for a bad model."""
    if instances < 1:
        raise ValueError(f"--instances must be at least 1, got {instances}")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ValueError(f"{out} must not exist, or be an empty folder; choose another one")
    expression, faces = models.load(model, "expression"), models.load(detector, "detector")
    names = (PIPELINE, faces.spec.name, expression.spec.name)
    if len(set(names)) < len(names) or not all(re.fullmatch(r"[\w.-]+", name) for name in names):
        raise ValueError(f"the models need different names that can name folders, got {', '.join(names)}")
    # A server that watches the folder sees it when it is complete.
    partial = out.with_name(f"{out.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    _write_network(partial, faces, MAX_FRAMES, instances)
    _write_network(partial, expression, MAX_FACES, instances)
    _write_pipeline(partial, expression, faces, instances)
    if out.exists():
        out.rmdir()
    partial.rename(out)


def _write_network(repository: Path, model: ModelFile, batch: int, instances: int) -> None:
    inputs, outputs = tensors_of_network(onnx.load(model.path))
    folder = repository / model.spec.name
    (folder / "1").mkdir(parents=True)
    if model.spec.role == "expression":
        outputs[0] = replace(outputs[0], label_file=LABELS)
        (folder / LABELS).write_text("".join(f"{label}\n" for label in model.spec.labels), encoding="utf-8")
    threads = {"intra_op_thread_count": "1", "inter_op_thread_count": "1"}
    config = ModelConfig(
        model.spec.name, "onnxruntime", inputs, outputs, batch, instances, parameters=threads
    )
    (folder / "config.pbtxt").write_text(config.text(), encoding="utf-8")
    shutil.copyfile(model.path, folder / "1" / "model.onnx")


def _write_pipeline(repository: Path, expression: ModelFile, detector: ModelFile, instances: int) -> None:
    folder = repository / PIPELINE
    (folder / "1").mkdir(parents=True)
    config = ModelConfig(
        PIPELINE,
        "python",
        [Tensor("PICTURE", "TYPE_STRING", (1,))],
        [Tensor("FACES", "TYPE_STRING", (1,))],
        MAX_FRAMES,
        instances,
        parameters={"threads": "1"},
    )
    (folder / "config.pbtxt").write_text(config.text(), encoding="utf-8")
    shutil.copyfile(PIPELINE_CODE, folder / "1" / "model.py")
    # Not from the other folders: a server may fetch each model into a place of its own.
    shutil.copyfile(expression.path, folder / "1" / "expression.onnx")
    shutil.copyfile(detector.path, folder / "1" / "detector.onnx")


if __name__ == "__main__":
    main()

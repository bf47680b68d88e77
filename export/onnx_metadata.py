"""Metadata of exported files: the spec, the oldest possible IR version, and nothing of the building
machine.
"""

import json
from collections.abc import Iterable, Set
from dataclasses import replace
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError

import fer_edge
from fer_edge.atomic_file import atomic_write
from fer_edge.models import METADATA_KEY, ModelError, ModelSpec, Role
from fer_edge.onnx_file import facts_from_onnx

IR_VERSION = 8  # that of opset 18; the exporter writes 10, which ONNX Runtime before 1.18 refuses
# Only measured values may replace those of a spec.
MEASURED = ("metrics", "temperature", "confidence_temperature", "threshold", "min_confidence")
# What decides how a network is used: two files that are compared must have the same.
USE = (
    *("role", "size", "input_multiple", "mean", "scale", "labels", "template", "threshold"),
    *("max_covered", "max_rolled"),
)


def check_same_use(file: Path | str, spec: ModelSpec, reference: Path | str, other: ModelSpec) -> None:
    """Raises ModelError if the specs of two files of one network differ in what the runtime does with it."""
    for name in USE:
        if (ours := getattr(spec, name)) != (theirs := getattr(other, name)):
            raise ModelError(
                f"{file} must have the {name} of {reference}, {theirs!r}, got {ours!r}; convert it again"
            )


def spec_with_measured(spec: ModelSpec, metrics: Path | None, hashes: Set[str]) -> ModelSpec:
    """The spec with the values measured by an evaluation, from "spec" of its metrics.json, if a file is
    given.

    ``hashes`` are the SHA-256 of checkpoints and graphs whose evaluation it may be. Raises ValueError for
    that of another model, or of a part of the data.
    """
    if metrics is None:
        return spec
    content = json.loads(metrics.read_text(encoding="utf-8"))
    if "spec" not in content:
        raise ValueError(
            f"{metrics} must have a mapping 'spec', got {', '.join(content)}; run training.evaluate"
        )
    context = content.get("context", {})
    if (limit := context.get("limit")) is not None:
        raise ValueError(
            f"{metrics} must be of the whole splits, got a dry run (--limit {limit}); "
            "evaluate again without --limit"
        )
    # The evaluation of a detector has the hash beside its context.
    model = context.get("model", content)
    if hashes.isdisjoint(found := [model[k] for k in ("sha256", "graph_sha256") if k in model]):
        raise ValueError(
            f"{metrics} must be the evaluation of this model, with a hash of {_short(hashes)}, got "
            f"{_short(found)}; evaluate its checkpoint, or the file that this command writes"
        )
    measured = content["spec"]
    return replace(spec, **{k: measured[k] for k in MEASURED if k in measured})


def _short(hashes: Iterable[str]) -> str:
    return " or ".join(sorted(text[:12] for text in hashes)) or "none"


def graph_sha256(proto: onnx.ModelProto) -> str:
    """The hash of a network without its spec, see `fer_edge.models.ModelFile`."""
    return facts_from_onnx(proto.SerializeToString()).graph_sha256


def with_metadata(proto: onnx.ModelProto, spec: ModelSpec) -> onnx.ModelProto:
    """Checks the graph and returns it with the spec as its only metadata."""
    # The exporter's trace of Python source lines takes a third of a small file and names folders of the
    # building machine.
    for part in (proto, proto.graph, *proto.graph.node, *proto.graph.value_info, *proto.graph.initializer):
        part.ClearField("metadata_props")
    proto.ir_version = IR_VERSION
    proto.producer_name, proto.producer_version = "fer_edge", fer_edge.__version__
    proto.metadata_props.add(key=METADATA_KEY, value=spec.to_json())
    onnx.checker.check_model(proto, full_check=True)
    return proto


def read_with_metadata(path: Path, role: Role | None = "expression") -> tuple[onnx.ModelProto, ModelSpec]:
    """Reads a network with metadata of ``with_metadata``; raises ModelError for any other file, and for a
    network of another role unless ``role`` is None.
    """
    try:
        proto = onnx.load(path)
    except DecodeError as error:
        raise ModelError(f"{path} must be an ONNX file, got something else ({error})") from error
    texts = {entry.key: entry.value for entry in proto.metadata_props}
    if METADATA_KEY not in texts:
        raise ModelError(
            f"{path} has no metadata entry {METADATA_KEY!r}; export it with export.onnx_from_checkpoint"
        )
    spec = ModelSpec.from_json(texts[METADATA_KEY])
    if role not in (None, spec.role):
        raise ModelError(f"{path} must be an {role} network, got role {spec.role!r}")
    return proto, spec


def write_onnx(proto: onnx.ModelProto, out: Path) -> None:
    """Writes the file, and creates the folders above it."""
    out.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(out) as partial:
        partial.write_bytes(proto.SerializeToString())

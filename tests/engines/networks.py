"""Every network of the project in every precision and flavour that TensorRT takes, made once a session."""

import sys
from pathlib import Path

import numpy as np
import onnx

from export import onnx_metadata
from export.blocks import fused_from_plain
from export.precisions.calibration import METHODS, Histograms
from export.precisions.fp16 import fp16_from_float32
from export.precisions.int8_trt import int8_from_float32, quantisable
from export.precisions.tensors import tensors_of
from fer_edge import models
from fer_edge.models import ModelSpec

# The smallest versions of the networks, untrained; their exports are tests/export's.
sys.path.append(str(Path(__file__).parent.parent / "export"))
EMBEDDED = ("tkfnet-nano-float32", "face-luma")
UNTRAINED = ("tkfnet", "conv-cut", "mobile")
NETWORKS = (*EMBEDDED, *UNTRAINED)
WITH_BLOCKS = ("tkfnet-nano-float32", "tkfnet", "conv-cut")
PRECISIONS = ("fp32", "fp16", "int8-trt")


def plain_float32(name: str) -> tuple[onnx.ModelProto, ModelSpec]:
    """The file of an embedded model, or the export of an untrained network."""
    if name in EMBEDDED:
        return onnx_metadata.read_with_metadata(models.WEIGHTS / f"{name}.onnx", role=None)
    from tiny_networks import tiny

    from export.export_specs import expression_export_spec
    from export.onnx_from_checkpoint import onnx_from_model

    model = tiny(name)
    export = expression_export_spec(model, name)
    return onnx_from_model(model, export, export.model_spec), export.model_spec


def converted(proto: onnx.ModelProto, spec: ModelSpec, precision: str, flavour: str) -> onnx.ModelProto:
    """Another precision and flavour; int8 is calibrated on noise, which is enough to be built."""
    result = fused_from_plain(proto) if flavour == "fused" else proto
    if precision == "fp16":
        result = fp16_from_float32(result)
    if precision == "int8-trt":
        side = spec.size or 64
        noise = np.random.default_rng(0).normal(size=(4, 1, side, side)).astype(np.float32)
        names = sorted({n.input[0] for n in quantisable(result, tensors_of(result))})
        ranges = Histograms(result, names, lambda: [noise]).ranges(METHODS["largest"])
        result = int8_from_float32(result, ranges, set())
    return onnx_metadata.with_metadata(onnx.ModelProto.FromString(result.SerializeToString()), spec)

"""The calibration of int8 for TensorRT that changes least, by measurement."""

from collections.abc import Set
from typing import NamedTuple

import onnx

from export.certificates.networks import OnnxNetwork
from export.certificates.pictures import Pictures
from export.onnx_metadata import IR_VERSION
from export.precisions.calibration import METHODS, Histograms
from export.precisions.int8_trt import int8_from_float32, quantisable
from export.precisions.tensors import tensors_of


class Calibrated(NamedTuple):
    """The quantised network, the chosen one of METHODS, and the mean difference of each of them."""

    proto: onnx.ModelProto
    method: str
    mean_differences: dict[str, float]


def best_calibration(
    proto: onnx.ModelProto, calibration: Pictures, choice: Pictures, in_float: Set[str] = frozenset()
) -> Calibrated:
    """Quantises with each method and takes the one with the smallest mean difference on ``choice``.

    Args:
        proto: a float32 network.
        calibration: pictures whose activations give the ranges.
        choice: other pictures.
        in_float: names of nodes that stay in float32.
    """
    chosen = [n for n in quantisable(proto, tensors_of(proto)) if n.name not in in_float]
    histograms = Histograms(proto, sorted({n.input[0] for n in chosen}), calibration.inputs)
    reference = choice.results(OnnxNetwork(proto.SerializeToString()))
    networks, means = {}, {}
    for method, function in METHODS.items():
        networks[method] = int8_from_float32(proto, histograms.ranges(function), in_float)
        networks[method].ir_version = IR_VERSION
        candidate = OnnxNetwork(networks[method].SerializeToString(), as_graph=True)
        means[method] = choice.differences_from(reference, candidate).mean_difference
    best = min(means, key=lambda method: means[method])
    return Calibrated(networks[best], best, means)

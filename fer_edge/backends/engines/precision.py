"""Confirms that an engine computes in the precision that its file says, layer by layer.

An engine that silently computes in another precision is wrong or slow, and nothing else shows it. So the
types of the weights are read from the bytes of the file, and compared with TensorRT's network before the
build, and with the finished engine where a GPU can load it.
"""

import json
import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

from fer_edge.backends.engines.surface import PRECISIONS, Bindings, Layer, Network
from fer_edge.models import ModelError
from fer_edge.onnx_file import numbered

# Text of the engine inspector ("Half", "Row major linear FP16 format") -> precision.
_INSPECTED = (
    (re.compile(r"\b(Float|FP32)\b", re.IGNORECASE), "float32"),
    (re.compile(r"\b(Half|FP16)\b", re.IGNORECASE), "float16"),
    (re.compile(r"\b(BFloat16|BF16)\b", re.IGNORECASE), "bfloat16"),
    (re.compile(r"\bInt8\b", re.IGNORECASE), "int8"),
)
# Types of the inspector's layers that multiply: CaskConvolution, gemm, MatrixMultiply, ...
_PRODUCT = re.compile(r"conv|gemm|matmul|matrix_?multiply|fully_?connected", re.IGNORECASE)
# In a layer's metadata: from which node of the file it was made, and by which functions: "a | b (F)".
_NODE = re.compile(r"\[ONNX Layer: ([^\]|]+?)(?: \|[^\]]*)?\]")
_SHOWN = 3


def layer_precisions(bindings: Bindings, network: Network) -> dict[str, str]:
    """The precision of each convolution and matrix product of a strongly typed network, by node of the file.

    A layer computes in int8 if all that it multiplies was dequantized from int8; TensorRT fuses the two. If
    only its weights were, it computes in the float type of its output.
    """
    kinds = bindings.LayerType
    products = (kinds.CONVOLUTION, kinds.DECONVOLUTION, kinds.MATRIX_MULTIPLY)
    layers = [network.get_layer(i) for i in range(network.num_layers)]
    dequantized: set[str] = set()
    for layer in layers:
        # The parser reshapes the weights of a matrix product after they were dequantized.
        reshaped = (
            layer.type == kinds.SHUFFLE and (source := layer.get_input(0)) and source.name in dequantized
        )
        if reshaped or (layer.type == kinds.DEQUANTIZE and _input_precision(layer) == "int8"):
            dequantized.add(layer.get_output(0).name)
    names: Counter[str] = Counter()
    computed = {}
    for layer in layers:
        if layer.type in products:
            # TensorRT gives the nodes of a function that is called twice other names, with a number.
            name = next(iter(_NODE.findall(layer.metadata)), layer.name)
            names[name] += 1
            computed[numbered(name, names[name])] = _computes_in(layer, dequantized)
    return computed


def confirm_network(stored: Mapping[str, str], computed: Mapping[str, str], precision: str) -> dict[str, int]:
    """Compares the file's weights with the layers; returns how many of them compute in each precision.

    Args:
        stored: node -> data type of its weights (`onnx_file.weight_precisions_from_onnx`).
        computed: layer -> precision (`layer_precisions`).
        precision: of the file.

    Raises:
        ModelError: a layer computes in another precision than its weights are stored in, or none computes in
            the file's.
    """
    wrong = [
        f"{name} has {wanted} weights and computes in {computed.get(name, 'no layer of its own')}"
        for name, wanted in stored.items()
        if computed.get(name) != wanted
    ]
    if wrong:
        raise ModelError(
            f"each layer must compute in the precision of its weights: {_shown(wrong)}; export the file again"
        )
    counts = Counter(computed[name] for name in stored)
    if precision not in counts:
        raise ModelError(f"layers must compute in {precision}, found {dict(counts) or 'none with weights'}")
    return dict(counts)


def confirm_engine(information: str, computed: Mapping[str, str], precision: str) -> bool:
    """Compares the inspector's JSON with the network, layer by layer.

    A layer contradicts if the inspector shows the types of its tensors or weights, and none is the one that
    the network computes it in. Fused layers and formats that depend on the input hide their types.

    Args:
        information: of the finished engine, in JSON.
        computed: layer of the network -> precision (`layer_precisions`).
        precision: of the file.

    Returns:
        Whether the inspector shows the types of a convolution or matrix product.

    Raises:
        ModelError: the finished engine contradicts.
    """
    layers = [layer for layer in json.loads(information)["Layers"] if isinstance(layer, dict)]
    found = {kind for layer in layers for kind in _kinds(layer)}
    lower = found - {"float32"}
    if (precision == "float32" and lower) or (found and precision not in found and len(layers) > 1):
        raise ModelError(
            f"the engine's layers must compute in {precision}, the inspector found {', '.join(sorted(found))}"
        )
    products = [layer for layer in layers if _PRODUCT.search(layer.get("LayerType", "")) and _kinds(layer)]
    if wrong := _contradictions(products, computed, precision):
        raise ModelError(
            f"the engine must compute as its file says: {_shown(wrong)}; use another version of TensorRT, or "
            "a file of another precision"
        )
    return bool(products)


def _contradictions(products: list[Any], computed: Mapping[str, str], precision: str) -> list[str]:
    """The layers that the inspector shows in another precision than the network."""
    named = {node for layer in products for node in _nodes(layer)}
    # Layers that the inspector names otherwise: so many of them may compute in another type than the file's.
    others = Counter(kind for node, kind in computed.items() if node not in named and kind != precision)
    wrong = []
    for layer in products:
        kinds = _kinds(layer)
        wanted = {computed[node] for node in _nodes(layer) if node in computed}
        if not wanted and precision not in kinds and (other := next((k for k in kinds if others[k]), None)):
            others[other] -= 1
        elif not kinds & (wanted or {precision}):
            types = " and ".join(sorted(wanted or {precision}))
            wrong.append(
                f"{layer.get('Name', 'a layer')} must compute in {types}, the inspector shows "
                f"{', '.join(sorted(kinds))}"
            )
    return wrong


def _kinds(layer: Any) -> set[str]:
    """The types of a layer's tensors and weights, as far as the inspector shows them."""
    texts = [
        tensor.get("Format/Datatype", "") for tensor in (*layer.get("Inputs", ()), *layer.get("Outputs", ()))
    ]
    if isinstance(weights := layer.get("Weights"), dict):
        texts.append(weights.get("Type", ""))
    return {kind for text in texts for pattern, kind in _INSPECTED if pattern.search(text)}


def _nodes(layer: Any) -> set[str]:
    """The layers of the network that one of the engine was made from."""
    return {*layer.get("Name", "").split(" + "), *_NODE.findall(layer.get("Metadata", ""))}


def _shown(wrong: list[str]) -> str:
    rest = f", and {len(wrong) - _SHOWN} more" if len(wrong) > _SHOWN else ""
    return "; ".join(wrong[:_SHOWN]) + rest


def _computes_in(layer: Layer, dequantized: set[str]) -> str:
    factors = [layer.get_input(i) for i in range(min(layer.num_inputs, 2))]
    if len(factors) == 2 and all(factor and factor.name in dequantized for factor in factors):
        return "int8"
    return _name(layer.get_output(0).dtype.name)


def _input_precision(layer: Layer) -> str:
    tensor = layer.get_input(0)
    return _name(tensor.dtype.name) if tensor else "none"


def _name(dtype: str) -> str:
    return PRECISIONS.get(dtype, dtype.lower())

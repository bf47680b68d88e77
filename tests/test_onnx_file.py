"""Reading an ONNX file's bytes, on messages written by hand and by onnx itself."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from fer_edge.models import WEIGHTS
from fer_edge.onnx_file import facts_from_onnx, weight_precisions_from_onnx, without_functions


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


def _field(number: int, kind: int, content: bytes) -> bytes:
    return _varint(number << 3 | kind) + content


def _bytes(number: int, content: bytes) -> bytes:
    return _field(number, 2, _varint(len(content)) + content)


def _tensor(dims: list[int], kind: int, *, packed: bool = False) -> bytes:
    """An initializer: its dimensions (one per field, or all in one field) and its data type."""
    if packed:
        sizes = _bytes(1, b"".join(map(_varint, dims)))
    else:
        sizes = b"".join(_field(1, 0, _varint(dim)) for dim in dims)
    return _bytes(5, sizes + _field(2, 0, _varint(kind)))


def _model(*tensors: bytes, rest: bytes = b"") -> bytes:
    return _bytes(7, b"".join(tensors)) + rest


@pytest.mark.parametrize(
    ("kind", "precision"),
    [(1, "float32"), (2, "int8"), (3, "int8"), (10, "float16"), (16, "bfloat16"), (7, "unknown")],
)
@pytest.mark.parametrize("packed", [False, True])
def test_weights_and_their_type(kind: int, precision: str, packed: bool) -> None:
    facts = facts_from_onnx(
        _model(_tensor([3, 200, 5], kind, packed=packed), _tensor([], 6), _tensor([4], kind))
    )
    assert (facts.parameters, facts.precision) == (3005, precision)


def test_the_type_of_most_weights_counts_and_not_of_most_tensors() -> None:
    facts = facts_from_onnx(_model(_tensor([10], 1), _tensor([10], 1), _tensor([21], 3)))
    assert (facts.parameters, facts.precision) == (41, "int8")


def test_a_graph_without_weights() -> None:
    facts = facts_from_onnx(_model())
    assert (facts.parameters, facts.precision, facts.metadata) == (0, "unknown", {})


def test_a_tensor_without_a_type_is_of_no_known_one() -> None:
    assert facts_from_onnx(_model(_bytes(5, _field(1, 0, b"\x05")))).precision == "unknown"


def test_fields_of_another_kind_than_theirs_do_not_count() -> None:
    facts = facts_from_onnx(
        _model(_field(5, 0, b"\x01"), _bytes(5, _field(1, 0, b"\x7f") + _bytes(2, b"\x01")))
    )
    assert (facts.parameters, facts.precision) == (127, "unknown")


def test_other_fields_of_a_tensor_do_not_count() -> None:
    name = _bytes(8, b"weight") + _field(14, 0, b"\x01") + _bytes(9, bytes(12))
    tensor = _bytes(5, _field(1, 0, b"\x03") + _field(2, 0, b"\x0a") + name)
    # Other fields of a graph do not count either: 4 and 6 are next to the field of the initializers.
    facts = facts_from_onnx(
        _model(tensor, _bytes(4, _field(1, 0, b"\x07")), _bytes(6, _field(1, 0, b"\x07")))
    )
    assert (facts.parameters, facts.precision) == (3, "float16")


def test_metadata_entries_in_any_order_of_their_parts() -> None:
    entries = [
        _bytes(1, b"a") + _bytes(2, "\u00e4".encode()),
        _bytes(2, b"2") + _bytes(1, b"b"),
        _bytes(1, b"key only"),
        _bytes(2, b"value only"),
        _field(3, 0, b"\x01") + _bytes(1, b"c") + _bytes(2, b"3") + _bytes(4, b"more"),
    ]
    facts = facts_from_onnx(_model(rest=b"".join(_bytes(14, entry) for entry in entries)))
    assert facts.metadata == {"a": "\u00e4", "b": "2", "key only": "", "": "value only", "c": "3"}


def test_unknown_fields_of_every_kind_are_skipped() -> None:
    rest = (
        _field(1, 0, _varint(2**63))
        + _field(20, 1, b"\xff" * 8)
        + _field(21, 5, b"\xff" * 4)
        + _bytes(14, _bytes(1, b"k") + _bytes(2, b"v" * 300))
        # A graph and an entry have a length; a field with their number and no length is another field.
        + _field(7, 0, b"\x01")
        + _field(14, 0, b"\x01")
        + _field(14, 1, bytes(8))
        + _field(7, 5, bytes(4))
    )
    facts = facts_from_onnx(_model(_tensor([2], 1), rest=rest))
    assert (facts.parameters, facts.metadata) == (2, {"k": "v" * 300})


@pytest.mark.parametrize(
    "data",
    [
        b"",
        _bytes(8, b"no graph"),
        _model() + _model(),
        _model(rest=_field(3, 3, b"")),  # groups are not used by ONNX
        _model(rest=_field(3, 4, b"")),
        _model(rest=_field(3, 3, bytes(4))),
        _model(rest=_field(3, 6, bytes(8))),
        _model(rest=_field(3, 1, bytes(7))),
        _model(rest=_field(3, 5, bytes(3))),
        _model(rest=_field(3, 0, b"\x80" * 10 + b"\x01")),
        _model(rest=_field(3, 0, b"\x80")),
        _model(rest=_field(3, 2, b"\x05abcd")),
        _bytes(7, _bytes(5, _field(1, 2, b"\x09"))),
        _model(rest=_bytes(14, _bytes(1, b"\xff"))),
    ],
)
def test_other_bytes_than_a_model_are_rejected(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"ONNX|utf-8"):
        facts_from_onnx(data)


def test_the_longest_number_has_ten_bytes() -> None:
    assert facts_from_onnx(_model(rest=_field(3, 0, b"\xff" * 9 + b"\x01"))).parameters == 0


@pytest.mark.parametrize("dtype", [np.float32, np.float16, np.int8, np.uint8])
def test_agrees_with_onnx(dtype: type[np.generic]) -> None:
    value = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 300])
    weights = [
        numpy_helper.from_array(np.zeros(shape, dtype), f"w{shape}") for shape in ((300, 129), (1,), ())
    ]
    node = helper.make_node("Identity", ["x"], ["y"])
    out = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 300])
    model = helper.make_model(
        helper.make_graph([node], "g", [value], [out], weights), producer_name="p" * 200
    )
    helper.set_model_props(model, {"fer_edge": "{}", "other": "x" * 1000})
    facts = facts_from_onnx(model.SerializeToString())
    assert facts.parameters == 300 * 129 + 2
    assert facts.metadata == {"fer_edge": "{}", "other": "x" * 1000}
    expected = {"float32": "float32", "float16": "float16", "int8": "int8", "uint8": "int8"}
    assert facts.precision == expected[np.dtype(dtype).name]
    assert onnx.load_from_string(model.SerializeToString()).graph.name == "g"


def _graph(*nodes: onnx.NodeProto, **weights: np.ndarray) -> bytes:
    initializers = [numpy_helper.from_array(values, name) for name, values in weights.items()]
    return helper.make_model(helper.make_graph(nodes, "graph", [], [], initializers)).SerializeToString()


HALVES, LEVELS = np.zeros((2, 2), np.float16), np.zeros((2, 2), np.int8)


@pytest.mark.parametrize("operator", ["Conv", "ConvTranspose", "Gemm", "MatMul"])
def test_weights_of_products_by_node(operator: str) -> None:
    data = _graph(helper.make_node(operator, ["x", "w"], ["y"], name="product"), w=HALVES)
    assert weight_precisions_from_onnx(data) == {"product": "float16"}


def test_weights_behind_a_dequantize_node() -> None:
    data = _graph(
        helper.make_node("DequantizeLinear", ["w", "s"], ["d"], name="dequantize"),
        helper.make_node("MatMul", ["d", "x"], ["y"], name="product"),
        w=LEVELS,
        s=np.float32([1]),
    )
    assert weight_precisions_from_onnx(data) == {"product": "int8"}


def test_a_bias_is_no_weight_and_a_node_without_a_name_has_that_of_its_output() -> None:
    data = _graph(
        helper.make_node("Conv", ["x", "w", "b"], ["y"]),
        helper.make_node("Gemm", ["y", "z", "b"], ["scores"], name="scores"),
        helper.make_node("Relu", ["w"], ["r"], name="relu"),
        w=LEVELS.astype(np.float32),
        b=HALVES,
    )
    assert weight_precisions_from_onnx(data) == {"node_of_y": "float32"}


def test_the_products_of_an_embedded_model() -> None:
    path = WEIGHTS / "tkfnet-nano-float32.onnx"
    products = ("Conv", "ConvTranspose", "Gemm", "MatMul")
    names = {node.name for node in onnx.load(path).graph.node if node.op_type in products}
    assert weight_precisions_from_onnx(path.read_bytes()) == dict.fromkeys(names, "float32")


@pytest.mark.parametrize("data", [b"\xff", _varint(7 << 3) + b"\x01"])
def test_products_of_something_else(data: bytes) -> None:
    with pytest.raises(ValueError, match="is not an ONNX model"):
        weight_precisions_from_onnx(data)


def test_a_model_without_its_functions() -> None:
    body = helper.make_node("Relu", ["x"], ["y"])
    function = helper.make_function("own", "Block", ["x"], ["y"], [body], [helper.make_opsetid("", 18)])
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in "ab"]
    block = helper.make_node("Block", ["a"], ["b"], domain="own")
    graph = helper.make_graph([block], "g", [ends[0]], [ends[1]])
    model = helper.make_model(graph, functions=[function, function], producer_name="before")
    data = model.SerializeToString() + onnx.ModelProto(domain="after").SerializeToString()
    model.ClearField("functions")
    model.domain = "after"
    assert onnx.ModelProto.FromString(without_functions(data)) == model


def test_weights_of_functions() -> None:
    def node(operator: str, inputs: list[str], output: str, **attributes: object) -> onnx.NodeProto:
        return helper.make_node(operator, inputs, [output], name=f"Block.{output}", **attributes)

    block = helper.make_function(
        "mine",
        "Block",
        ["x", "w", "v"],
        ["y"],
        [
            node("Unsqueeze", ["w", "axes"], "kernel"),
            node("Conv", ["x", "kernel"], "conv"),
            node("Cast", ["v"], "wide", to=TensorProto.FLOAT),
            node("MatMul", ["conv", "wide"], "product"),
            # No weights: both vary.
            node("MatMul", ["product", "conv"], "scores"),
            # A function that calls itself is no model; it must not end the process.
            helper.make_node("Block", ["x"], ["z"], domain="mine"),
        ],
        [helper.make_opsetid("", 18)],
    )
    calls = [
        helper.make_node("Block", ["x", "w", "w"], ["a"], name="one", domain="mine"),
        helper.make_node("Block", ["a", "v", "w"], ["b"], name="two", domain="mine"),
        helper.make_node("Block", ["a", "v", "w"], ["c"], domain="of somebody else"),
        helper.make_node("MatMul", ["b", "w"], ["y"], name="Block.scores"),
    ]
    model = onnx.load_from_string(_graph(*calls, w=HALVES, v=HALVES.astype(np.float32)))
    model.functions.append(block)
    assert weight_precisions_from_onnx(model.SerializeToString()) == {
        "Block.conv": "float16",
        "Block.product": "float32",
        "Block.conv (2)": "float32",
        "Block.product (2)": "float32",
        "Block.scores (3)": "float16",
    }

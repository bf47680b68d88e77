"""The plugins of TensorRT launch the kernels on the addresses that they are given.

The kernels are those of csrc/cuda, on the emulator, behind the unchanged bindings of `fer_edge._cuda`.
TensorRT is a double: the classes and descriptions that a plugin meets. The real parser and builder take the
plugins in tests/engines/plans.
"""

import math
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from cuda_emulator_build import extension
from draws import dcif_weights, multi_branch_weights, normal, token_attention_weights
from precision import assert_accurate, cast, expected

from fer_edge.backends.engines.plugins import plugin
from fer_edge.backends.engines.plugins.blocks import BLOCKS, MAX_SIDE
from fer_edge.backends.engines.plugins.plugin import ALIGNMENT, plugin_class
from fer_edge.kernels import fold_multi_branch, reference

pytestmark = pytest.mark.slow

LINEAR, CHANNELS_LAST = "linear", "channels last"
TYPES = {torch.float32: SimpleNamespace(name="FLOAT"), torch.float16: SimpleNamespace(name="HALF")}
C, HIDDEN, HEADS, EPSILON = 16, 4, 2, 1e-5
ATTRIBUTES = {"channels": C, "heads": HEADS, "epsilon": EPSILON}
GUARD = 1 << 12
OPERATIONS = {
    "dcif": (C, dcif_weights(C, HIDDEN)),
    "token_attention": (C, token_attention_weights(C)),
    "multi_branch_attention": (2 * C, fold_multi_branch(multi_branch_weights(C))),
}
BY_OPERATION = {block.operation: block for block in BLOCKS}


def _interface(name: str) -> type:
    return type(name, (), {"__init__": lambda self: None})


class Sides(list[Any]):
    """A shape of expressions, made by its length."""

    def __init__(self, length: int) -> None:
        super().__init__([None] * length)


BINDINGS: Any = SimpleNamespace(
    **{
        name: _interface(name)
        for name in ("IPluginV3", "IPluginV3OneCore", "IPluginV3OneBuild", "IPluginV3OneRuntime")
    },
    TensorFormat=SimpleNamespace(LINEAR=LINEAR),
    PluginFieldType=SimpleNamespace(INT32="int32", FLOAT32="float32"),
    PluginField=lambda name, values, kind: (name, *values, kind),
    PluginFieldCollection=list,
    DimsExprs=Sides,
    DimensionOperation=SimpleNamespace(FLOOR_DIV="/"),
)


def make(operation: str) -> Any:
    block = BY_OPERATION[operation]
    return plugin_class(BINDINGS, block)({name: ATTRIBUTES[name] for name in block.attributes})


def described(shape: Sequence[int], dtype: torch.dtype = torch.float32, layout: str = LINEAR) -> Any:
    """A tensor as `enqueue` sees it."""
    return SimpleNamespace(dims=tuple(shape), type=TYPES[dtype], format=layout)


def in_profile(shape: Sequence[int], dtype: torch.dtype = torch.float32, layout: str = LINEAR) -> Any:
    """A tensor as the builder's methods see it."""
    return SimpleNamespace(desc=described((-1, *shape[1:]), dtype, layout), max=tuple(shape))


@pytest.mark.parametrize("images", [1, 3])
@pytest.mark.parametrize("dtype", TYPES, ids=str)
@pytest.mark.parametrize("operation", OPERATIONS)
def test_the_result_is_that_of_the_reference(
    monkeypatch: pytest.MonkeyPatch, operation: str, dtype: torch.dtype, images: int
) -> None:
    monkeypatch.setattr(plugin, "compiled_kernels", extension)
    channels, weights = OPERATIONS[operation]
    x, given = normal(images, channels, 5, 6).to(dtype), cast(weights, dtype)
    inputs = [x, *(weight.contiguous().clone() for weight in given)]
    made, pools = make(operation), operation == "dcif"
    shape = (images, C) if pools else (images, C, 5, 6)
    out = torch.full((math.prod(shape) + GUARD,), torch.nan, dtype=dtype)
    # The workspace of a profile whose largest batch is 3, in a memory of NaN that must be left around it.
    size = made.get_workspace_size([in_profile((3, *x.shape[1:]), dtype)], [])
    memory = torch.full((size + 2 * GUARD,), 255, dtype=torch.uint8)
    start = -(-memory.data_ptr() // ALIGNMENT) * ALIGNMENT
    made.enqueue(
        [described(tensor.shape, dtype) for tensor in inputs],
        [described(shape, dtype)],
        [tensor.data_ptr() for tensor in inputs],
        [out.data_ptr()],
        start,
        0,
    )
    rest = (HEADS,) if operation == "token_attention" else ()
    wide = cast(given, torch.float64)
    exact = expected(
        lambda: {"out": getattr(reference, operation)(x.double(), wide, *rest)},
        dtype,
        stored=torch.float32 if pools else dtype,
    )
    assert_accurate("out", out[: math.prod(shape)].view(shape), exact["out"])
    assert out[math.prod(shape) :].isnan().all()
    used = start - memory.data_ptr()
    assert (memory[:used] == 255).all()
    assert (memory[used + size :] == 255).all()


@pytest.mark.parametrize("operation", OPERATIONS)
def test_the_scratch_memory_is_as_large_as_that_of_the_kernels_on_tensors(operation: str) -> None:
    shape, size = (3, OPERATIONS[operation][0], 5, 6), 2
    n, c, positions = 3, C, 30
    wanted = {
        "dcif": (),
        "token_attention": (size * n * positions * 3 * c, size * n * positions * c),
        "multi_branch_attention": (4 * 2 * n * c, size * 2 * n * positions * 2 * c),
    }
    assert BY_OPERATION[operation].scratch(shape, size) == wanted[operation]


def test_the_shape_of_the_result() -> None:
    maker = SimpleNamespace(operation=lambda sign, a, b: f"{a} {sign} {b}", constant=str)
    for operation, shape in (
        ("dcif", ["n", "c"]),
        ("token_attention", ["n", "c", "h", "w"]),
        ("multi_branch_attention", ["n", "c / 2", "h", "w"]),
    ):
        assert make(operation).get_output_shapes([["n", "c", "h", "w"]], [], maker) == [shape]


@pytest.mark.parametrize("operation", OPERATIONS)
def test_what_the_kernels_do_not_take_is_refused(operation: str) -> None:
    channels, count = OPERATIONS[operation][0], BY_OPERATION[operation].inputs

    def takes(shape: Sequence[int], index: int = 0, inputs: int = count, **of_tensor: Any) -> bool:
        tensors = [in_profile(shape)] * count
        tensors[index] = in_profile(shape, **of_tensor)
        return bool(make(operation).supports_format_combination(index, tensors, inputs))

    good = (3, channels, 5, 6)
    assert takes(good)
    assert takes(good, index=2)
    assert not takes(good, inputs=count - 1)
    assert not takes(good, layout=CHANNELS_LAST)
    assert not takes(good, index=2, dtype=torch.float16)
    # Both halves of the map need a multiple of 8 channels.
    assert takes((3, channels + 8, 5, 6)) == (operation != "multi_branch_attention")
    for wrong in ((3, channels + 1, 5, 6), (3, channels, MAX_SIDE + 1, 1), (3, channels), (3, 8192, 5, 6)):
        assert not takes(wrong)
    assert takes((3, channels, 9, 9)) == (operation != "token_attention")


def test_a_clone_and_a_plan_keep_the_attributes() -> None:
    made = make("token_attention").clone()
    (heads, epsilon) = made.get_fields_to_serialize()
    assert heads == ("heads", HEADS, "int32")
    assert epsilon == ("epsilon", pytest.approx(EPSILON), "float32")
    assert (made.plugin_name, made.plugin_namespace, made.plugin_version) == (
        "TokenAttention",
        "fer_edge",
        "1",
    )

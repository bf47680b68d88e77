"""`fer_edge._cuda` and its functions on tensors, on the emulator instead of a GPU.

The bindings and kernels are those of csrc/cuda; other files test the numerics of each kernel.
"""

import ctypes
import importlib
import sys
from collections.abc import Sequence
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from cuda_emulator_build import extension
from draws import dcif_weights, multi_branch_weights, normal, token_attention_weights
from precision import assert_accurate, cast, expected

import fer_edge
from fer_edge.kernels import fold_multi_branch, reference

pytestmark = pytest.mark.slow

FLOATS = [torch.float32, torch.float16, torch.bfloat16]
C, HIDDEN, HEADS = 16, 4, 2
# More values than any array of these tests.
GUARD = 1 << 14


@pytest.fixture
def cuda_ops(monkeypatch):
    """The module on the emulated extension; tensors are on the CPU, so there is no stream."""
    monkeypatch.setitem(sys.modules, "fer_edge._cuda", extension())
    monkeypatch.setattr(fer_edge, "_cuda", extension(), raising=False)
    monkeypatch.delitem(sys.modules, "fer_edge.kernels.cuda_ops", raising=False)
    module = importlib.import_module("fer_edge.kernels.cuda_ops")
    monkeypatch.setitem(sys.modules, "fer_edge.kernels.cuda_ops", module)

    @contextmanager
    def no_stream(tensor: torch.Tensor):  # noqa: ANN202
        yield 0

    monkeypatch.setattr(module, "_stream", no_stream)
    followed = []

    def empty(
        like: torch.Tensor,
        shape: Sequence[int],
        dtype: torch.dtype | None = None,
        channels_last: bool = False,
    ) -> torch.Tensor:
        """Full of NaN, also after its end, to detect a kernel that writes too much."""
        n = torch.Size(shape).numel()
        memory = torch.full((n + GUARD,), torch.nan, dtype=dtype or like.dtype)
        followed.append(memory[n:])
        if not channels_last:
            return memory[:n].view(*shape)
        return memory[:n].view(shape[0], *shape[2:], shape[1]).permute(0, 3, 1, 2)

    monkeypatch.setattr(module, "_empty", empty)
    yield module
    assert all(guard.isnan().all() for guard in followed)


DCIF = dcif_weights(C, HIDDEN)
TOKENS = token_attention_weights(C)
BRANCHES = multi_branch_weights(C)
OPERATIONS = {
    "dcif": (C, DCIF, ()),
    "token_attention": (C, TOKENS, (HEADS,)),
    "multi_branch_attention": (2 * C, BRANCHES, ()),
}
LAYOUTS = {
    "contiguous": torch.Tensor.contiguous,
    "channels_last": lambda x: x.contiguous(memory_format=torch.channels_last),
    "neither": lambda x: x.transpose(2, 3).contiguous().transpose(2, 3),
    "begins anywhere": lambda x: torch.cat([x.flatten()[:1], x.flatten()])[1:].view(x.shape),
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", FLOATS, ids=str)
@pytest.mark.parametrize("name", OPERATIONS)
def test_tensors_of_every_layout(cuda_ops, name, dtype, layout):
    channels, weights, rest = OPERATIONS[name]
    x, given = LAYOUTS[layout](normal(2, channels, 5, 6).to(dtype)), cast(weights, dtype)
    got = getattr(cuda_ops, name)(x, given, *rest)
    wide = cast(given, torch.float64)
    if name == "multi_branch_attention":
        wide = fold_multi_branch(wide)
    exact = expected(
        lambda: {"out": getattr(reference, name)(x.double(), wide, *rest)},
        dtype,
        stored=torch.float32 if name == "dcif" else dtype,
    )
    assert_accurate("out", got, exact["out"])
    if got.ndim == 4:
        last = layout == "channels_last"
        assert got.is_contiguous(memory_format=torch.channels_last if last else torch.contiguous_format)


def test_weights_that_are_views_or_begin_anywhere(cuda_ops):
    x, given = normal(1, C, 4, 4).float(), cast(DCIF, torch.float32)
    expected = cuda_ops.dcif(x, given)
    moved = given._replace(
        squeeze_w=given.squeeze_w.T.contiguous().T,
        expand_b=torch.cat([given.expand_b[:1], given.expand_b])[1:],
    )
    assert torch.equal(cuda_ops.dcif(x, moved), expected)


def test_folded_weights_give_the_same(cuda_ops):
    x, given = normal(1, 2 * C, 3, 3).float(), cast(BRANCHES, torch.float32)
    plain = cuda_ops.multi_branch_attention(x, given)
    assert torch.equal(cuda_ops.multi_branch_attention(x, fold_multi_branch(given)), plain)


@pytest.mark.parametrize("name", OPERATIONS)
def test_no_images(cuda_ops, name):
    channels, weights, rest = OPERATIONS[name]
    got = getattr(cuda_ops, name)(torch.empty(0, channels, 7, 7), cast(weights, torch.float32), *rest)
    assert got.shape == ((0, C) if name == "dcif" else (0, C, 7, 7))


@pytest.mark.parametrize("name", OPERATIONS)
def test_torch_compile_breaks_the_graph(cuda_ops, name):
    channels, weights, rest = OPERATIONS[name]
    x, given = normal(2, channels, 4, 4).float(), cast(weights, torch.float32)

    def network(x: torch.Tensor) -> torch.Tensor:
        return torch.relu(getattr(cuda_ops, name)(x * 0.5, given, *rest))

    torch.compiler.reset()
    with torch.no_grad():
        assert torch.equal(torch.compile(network, backend="aot_eager")(x), network(x))
        torch.compiler.reset()
        with pytest.raises(
            torch._dynamo.exc.Unsupported, match="kernels='cuda' cannot be traced; use triton"
        ):
            torch.compile(network, backend="aot_eager", fullgraph=True)(x)


def test_torch_compile_breaks_the_graph_for_pictures(cuda_ops):
    plane, matrices = torch.arange(64, dtype=torch.uint8).view(8, 8), torch.eye(3)[None, :2].contiguous()
    arguments = {"mean": 10.0, "scale": 0.5, "border": "edge", "fill": 0.0}

    def doubled(plane: torch.Tensor) -> torch.Tensor:
        out = torch.empty(1, 1, 4, 4)
        cuda_ops.warp_normalize(plane, matrices, out, **arguments)
        return 2 * out

    torch.compiler.reset()
    assert torch.equal(torch.compile(doubled, backend="aot_eager")(plane), doubled(plane))


def test_float64_is_refused(cuda_ops):
    with pytest.raises(TypeError, match=r"needs float32, float16 or bfloat16, got torch\.float64; cast it"):
        cuda_ops.dcif(normal(1, C, 3, 3), DCIF)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.int8])
@pytest.mark.parametrize("border", ["edge", "constant"])
def test_pictures(cuda_ops, dtype, border):
    rng = np.random.default_rng(0)
    # The row stride is larger than the width, as in a frame with a pitch.
    plane = torch.from_numpy(rng.integers(0, 256, (40, 64), np.uint8))[:, :50]
    matrices = torch.tensor([[[1.5, 0.2, -3], [-0.2, 1.5, 4]], [[0.5, 0, 9], [0, 0.5, 9]]])
    arguments = {"mean": 100.0, "scale": 0.7, "border": border, "fill": 12.0}
    out, expected = torch.empty(2, 1, 20, 33, dtype=dtype), torch.empty(2, 1, 20, 33, dtype=dtype)
    cuda_ops.warp_normalize(plane, matrices, out, **arguments)
    reference.warp_normalize(plane, matrices, expected, **arguments)
    assert torch.equal(out, expected)


MAP = {"shape": (1, 8, 3, 3), "dtype": "float32", "channels_last": False, "stream": 0}
VALID = {
    "dcif": {"x": 32, **MAP, "weights": (32,) * 5, "hidden": 2, "out": 32},
    "token_attention": {
        "x": 32,
        **MAP,
        "weights": (32,) * 6,
        "heads": 2,
        "epsilon": 1e-5,
        "qkv": 32,
        "mixed": 32,
        "out": 32,
    },
    "multi_branch_attention": {
        "z": 32,
        **MAP,
        "shape": (1, 16, 3, 3),
        "weights": (32,) * 10,
        "scale": 32,
        "local": 32,
        "out": 32,
    },
    "warp_normalize": {
        "plane": 32,
        "size": (4, 4),
        "row_stride": 4,
        "matrices": 32,
        "count": 1,
        "out": 32,
        "dtype": "int8",
        "out_size": (4, 4),
        "mean": 0.0,
        "scale": 1.0,
        "border": "edge",
        "fill": 0.0,
        "stream": 0,
    },
}


@pytest.mark.parametrize(
    ("name", "changed", "message"),
    [
        ("dcif", {"x": 0}, "x must be an address on the device, got 0; pass data_ptr() of a tensor there"),
        ("dcif", {"out": 40}, "out must begin at a multiple of 32 bytes, got 40; clone() the tensor"),
        ("dcif", {"weights": (32, 32, 0, 32, 32)}, "weights[2] must be an address on the device, got 0"),
        (
            "dcif",
            {"shape": (1, 12, 3, 3)},
            "x must have a multiple of 8 channels up to 2048, got [1, 12, 3, 3]",
        ),
        (
            "dcif",
            {"shape": (1, 2056, 3, 3)},
            "x must have a multiple of 8 channels up to 2048, got [1, 2056,",
        ),
        (
            "dcif",
            {"shape": (1, 8, 0, 3)},
            "x must have 1 to 14 positions per side, got [1, 8, 0, 3]; pool it first",
        ),
        ("dcif", {"shape": (1, 8, 3, 15)}, "x must have 1 to 14 positions per side, got [1, 8, 3, 15]"),
        ("dcif", {"shape": (-1, 8, 3, 3)}, "x must have 0 to 536870912 values, got [-1, 8, 3, 3]; split"),
        ("dcif", {"shape": (1 << 23, 8, 3, 3)}, "x must have 0 to 536870912 values, got [8388608, 8, 3, 3]"),
        ("dcif", {"hidden": 0}, "hidden must be from 1 to 2048, got 0"),
        ("dcif", {"dtype": "int8"}, "dtype must be float32, float16 or bfloat16, got int8; cast the tensor"),
        ("token_attention", {"heads": 3}, "heads must divide the 8 channels, got 3; choose a divisor"),
        ("token_attention", {"shape": (1, 8, 9, 9)}, "height * width must be from 1 to 64, got 81"),
        ("token_attention", {"mixed": 0}, "mixed must be an address on the device"),
        (
            "multi_branch_attention",
            {"shape": (1, 24, 3, 3)},
            "z must have a multiple of 16 channels up to 4096",
        ),
        ("multi_branch_attention", {"local": 0}, "local must be an address on the device"),
        ("warp_normalize", {"size": (0, 4)}, "plane's sides must be from 1 to 1048576, got 0"),
        ("warp_normalize", {"out_size": (4, -1)}, "out's sides must be from 0 to 65536, got -1"),
        ("warp_normalize", {"count": -1}, "count must be from 0 to 2147483647, got -1"),
        ("warp_normalize", {"row_stride": -4}, "row_stride must be from 0 to 4294967296, got -4"),
        (
            "warp_normalize",
            {"border": "wrap"},
            "border must be edge or constant, got wrap; choose one of them",
        ),
        ("warp_normalize", {"dtype": "bfloat16"}, "dtype must be float32, float16 or int8, got bfloat16"),
        ("warp_normalize", {"matrices": 34}, "matrices must begin at a multiple of 4 bytes, got 34"),
    ],
)
def test_invalid_arguments(name, changed, message):
    with pytest.raises(ValueError, match="must") as raised:
        getattr(extension(), name)(**{**VALID[name], **changed})
    assert message in str(raised.value)


def test_errors_of_a_launch_come_as_exceptions(cuda_ops):
    settings = ctypes.CDLL(extension().__file__)
    settings.emulator_configure(0, 0, 1024)
    with pytest.raises(
        RuntimeError, match="dcif: emulated: the block asks for more shared memory than there is"
    ):
        cuda_ops.dcif(normal(1, C, 3, 3).float(), cast(DCIF, torch.float32))
    settings.emulator_configure(0, 0, 1 << 17)
    cuda_ops.dcif(normal(1, C, 3, 3).float(), cast(DCIF, torch.float32))

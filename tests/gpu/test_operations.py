"""Every implementation in three precisions against float64, with the tolerance of tests/kernels/precision.py;
CUDA graphs; bitwise equal repetitions.
"""

from typing import Any

import pytest
import torch
from torch import Tensor

from benchmarks.kernel.cases import CASES, Case, folded
from fer_edge import kernels
from tests.kernels.precision import Expected, assert_accurate, cast, expected, gradients

DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
SMALL = (
    Case("multi_branch_attention", "odd", 24, 5),
    Case("multi_branch_attention", "large map", 8, 14),
    Case("dcif", "odd", 24, 5),
    Case("dcif", "widest", 2048, 14),
    Case("token_attention", "odd", 96, 3),
    Case("token_attention", "most tokens", 1024, 8),
)
IDS = [f"{case.operation}-{case.channels}-{case.side}" for case in CASES + SMALL]
every_case = pytest.mark.parametrize("case", CASES + SMALL, ids=IDS)
every_dtype = pytest.mark.parametrize("dtype", DTYPES.values(), ids=DTYPES.keys())
both = pytest.mark.parametrize("implementation", ["triton", "cuda"])


def outputs(case: Case, arguments: tuple, dtype: torch.dtype, kernels: str, train: bool) -> dict[str, Tensor]:
    """The output and, in training, the gradients of the map and of every weight."""
    x, weights, *rest = arguments
    x = x.detach().to(dtype).requires_grad_(train)
    weights = cast(type(weights)(*(w.detach().requires_grad_(train) for w in weights)), dtype)
    with torch.set_grad_enabled(train):
        # The kernels compute the folded expression.
        output = case.run(folded((x, weights, *rest)), kernels)
    if not train:
        return {"output": output}
    upstream = torch.randn(output.shape, generator=torch.Generator().manual_seed(7)).to(arguments[0])
    found = gradients(output, upstream, {"x": x, **weights._asdict()})
    return {"output": output.detach(), **found}


def expected_of(case: Case, arguments: tuple, dtype: torch.dtype, train: bool) -> dict[str, Expected]:
    """The same arrays in float64; dcif is float32 inside."""
    return expected(
        lambda: outputs(case, arguments, torch.float64, "reference", train),
        dtype,
        stored=torch.float32 if case.operation == "dcif" else dtype,
    )


def check(case: Case, dtype: torch.dtype, implementation: str, train: bool, **drawn: Any) -> Tensor:
    """Compares the output, which it returns, and in training the gradients."""
    arguments = case.arguments(dtype=dtype, **drawn)
    exact = expected_of(case, arguments, dtype, train)
    found = outputs(case, arguments, dtype, implementation, train)
    for name, value in found.items():
        assert_accurate(name, value, exact[name])
    return found["output"]


@every_case
@every_dtype
@both
@pytest.mark.parametrize("images", [1, 3, 64])
@pytest.mark.parametrize("channels_last", [False, True])
def test_forward(case, dtype, implementation, images, channels_last, device):
    drawn = {"images": images, "device": device, "channels_last": channels_last}
    answer = check(case, dtype, implementation, train=False, **drawn)
    if answer.ndim == 4 and case.side > 1:
        layout = torch.channels_last if channels_last else torch.contiguous_format
        assert answer.is_contiguous(memory_format=layout)


@every_case
@every_dtype
def test_gradients(case, dtype, device):
    check(case, dtype, "triton", train=True, images=5, device=device)


@every_case
@both
def test_a_graph_replays_the_same_bits_a_thousand_times(case, implementation, device):
    arguments = folded(case.arguments(8, torch.float16, device))
    with torch.inference_mode():
        expected = case.run(arguments, implementation)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            answer = case.run(arguments, implementation)
        different = torch.zeros((), device=device)
        for _ in range(1000):
            answer.fill_(float("nan"))
            graph.replay()
            different += (answer != expected).any()
    assert different == 0


@every_case
def test_compiled(case, device):
    arguments = case.arguments(2, torch.float32, device)
    x, weights, *rest = arguments
    leaves = type(weights)(*(w.requires_grad_() for w in weights))
    compiled = torch.compile(lambda x: case.run((x, leaves, *rest), "triton"), fullgraph=True)
    exact = expected_of(case, arguments, torch.float32, train=False)
    assert_accurate("output", compiled(x), exact["output"])


@pytest.mark.parametrize("case", SMALL[:1] + SMALL[2:3] + SMALL[4:5], ids=lambda case: case.operation)
def test_every_kernel_once_for_the_sanitizer(case, device):
    for dtype in (torch.float32, torch.float16):
        for images in (1, 8):
            check(case, dtype, "triton", train=True, images=images, device=device)
            check(case, dtype, "cuda", train=False, images=images, device=device)
    plane = torch.randint(0, 256, (67, 131), dtype=torch.uint8, device=device)
    matrices = torch.tensor([[[3.0, 0.1, -5.0], [0.2, 2.5, 9.0]]], device=device)
    for implementation in ("triton", "cuda"):
        out = torch.empty(1, 1, 17, 33, device=device)
        kernels.warp_normalize(plane, matrices, out, mean=0.0, scale=1.0, kernels=implementation)
    torch.cuda.synchronize()


@pytest.mark.parametrize("implementation", ["triton", "cuda"])
@pytest.mark.parametrize("border", ["edge", "constant"])
def test_warp_normalize_gives_the_bits_of_the_reference(implementation, border, device):
    draw = torch.Generator().manual_seed(0)
    plane = torch.randint(0, 256, (1080, 1920), dtype=torch.uint8, generator=draw)
    matrices = torch.randn(64, 2, 3, generator=draw) * torch.logspace(-1, 2, 64)[:, None, None]
    matrices[:, :, 2] = torch.rand(64, 2, generator=draw) * torch.tensor([1920.0, 1080.0])
    for dtype in (torch.float32, torch.float16, torch.int8):
        expected = torch.empty(64, 1, 63, 65, dtype=dtype)
        answer = torch.empty(64, 1, 63, 65, dtype=dtype, device=device)
        tone = {"mean": 127.5, "scale": 0.5, "border": border, "fill": 99.0}
        kernels.warp_normalize(plane, matrices, expected, **tone, kernels="reference")
        kernels.warp_normalize(plane.to(device), matrices.to(device), answer, **tone, kernels=implementation)
        assert torch.equal(answer.cpu(), expected)


def test_active_says_that_the_kernels_run(device):
    assert set(kernels.active().values()) == {"triton"}
    assert kernels.dispatch.installed("cuda"), "build the extension: FER_EDGE_CUDA=1 pip install -e ."

"""Numerics of every implementation in three precisions against float64; graphs; the same bits each time."""

import pytest
import torch
from torch import Tensor

from benchmarks.kernel_cases import CASES, Case, folded
from fer_edge import kernels
from tests.kernels.precision import assert_as_exact, cast, gradients

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


def in_float64(case: Case, arguments: tuple) -> Tensor:
    x, weights, *rest = arguments
    return case.run((x.double(), cast(weights, torch.float64), *rest), "reference")


@every_case
@every_dtype
@both
@pytest.mark.parametrize("images", [1, 3, 64])
@pytest.mark.parametrize("channels_last", [False, True])
def test_forward(case, dtype, implementation, images, channels_last, device):
    arguments = case.arguments(images, dtype, device, channels_last)
    with torch.no_grad():
        exact, plain = in_float64(case, arguments), case.run(arguments, "reference")
        answer = case.run(arguments, implementation)
    assert_as_exact(implementation, answer, plain, exact)
    if answer.ndim == 4 and case.side > 1:
        layout = torch.channels_last if channels_last else torch.contiguous_format
        assert answer.is_contiguous(memory_format=layout)


@every_case
@every_dtype
def test_gradients(case, dtype, device):
    found = {}
    x, weights, *rest = case.arguments(5, dtype, device)
    upstream = None
    for name, kind in (("exact", torch.float64), ("reference", dtype), ("triton", dtype)):
        leaves = cast(type(weights)(*(w.requires_grad_() for w in weights)), kind)
        start = x.detach().to(kind).requires_grad_()
        output = case.run((start, leaves, *rest), "triton" if name == "triton" else "reference")
        upstream = torch.randn_like(output, dtype=torch.float64) if upstream is None else upstream
        found[name] = gradients(output, upstream, {"x": start, **leaves._asdict()})
    for name, exact in found["exact"].items():
        assert_as_exact(name, found["triton"][name], found["reference"][name], exact)


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
def test_opcheck_on_the_device(case, device):
    x, weights, *rest = case.arguments(2, torch.float32, device)
    leaves = type(weights)(*(w.requires_grad_() for w in weights))
    compiled = torch.compile(lambda x: case.run((x, leaves, *rest), "triton"), fullgraph=True)
    torch.testing.assert_close(compiled(x), case.run((x, leaves, *rest), "triton"))


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

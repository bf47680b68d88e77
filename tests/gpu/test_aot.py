"""Kernels compiled ahead of time, launched without Triton's runtime: the same answers on the device."""

from collections.abc import Iterator

import pytest
import torch

from benchmarks.kernel_cases import CASES, folded
from export.kernels_ahead_of_time import build
from fer_edge.aot import CompiledKernels
from fer_edge.kernels.jit.launch import DTYPES
from tests.kernels.precision import assert_as_exact_as_the_worst, cast, relative_error

DRAWS = 5


@pytest.fixture(scope="module")
def kernels(tmp_path_factory: pytest.TempPathFactory, device: torch.device) -> Iterator[CompiledKernels]:
    """Built for this GPU in three precisions."""
    folder = tmp_path_factory.mktemp("kernels")
    major, minor = torch.cuda.get_device_capability(device)
    build(folder, architectures=[10 * major + minor], dtypes=["fp16", "fp32", "bf16"], jobs=2)
    with CompiledKernels(folder, device=device.index) as loaded:
        yield loaded


@pytest.mark.parametrize("dtype", ["fp32", "fp16", "bf16"])
@pytest.mark.parametrize("images", [1, 3, 64])
@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_against_float64(case, images, dtype, kernels, device):
    import pycuda.driver

    x, weights, *_ = folded(case.arguments(images, DTYPES[dtype], device))
    sides = {"channels": case.channels, "height": case.side, "width": case.side}
    operation = kernels.operation(case.operation, dtype=dtype, images=images, **sides)
    given = {name: value.contiguous() for name, value in weights._asdict().items()}
    given["z" if case.operation == "multi_branch_attention" else "x"] = x
    tensors = {
        name: given[name]
        if name in given
        else torch.full((buffer.size(images),), 255, dtype=torch.uint8, device=device)
        for name, buffer in operation.buffers.items()
    }
    torch.cuda.synchronize()
    with kernels.current():
        stream = pycuda.driver.Stream()
    operation(images, {name: tensor.data_ptr() for name, tensor in tensors.items()}, stream)
    stream.synchronize()
    (output,) = (name for name, buffer in operation.buffers.items() if buffer.role == "output")
    worst = 0.0
    for seed in reversed(range(DRAWS)):
        arguments = case.arguments(images, DTYPES[dtype], device, seed=seed)
        x, weights, *rest = arguments
        with torch.no_grad():
            plain = case.run(arguments, "reference")
            exact = case.run((x.double(), cast(weights, torch.float64), *rest), "reference")
        worst = max(worst, relative_error(plain, exact))
    answer = tensors[output].view(DTYPES[dtype]).reshape(exact.shape)
    assert_as_exact_as_the_worst(output, answer, exact, worst)

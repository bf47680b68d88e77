"""Kernels compiled ahead of time, launched without Triton's runtime, with the tolerance of precision.py."""

from collections.abc import Iterator

import pytest
import torch

from benchmarks.kernel.cases import CASES, folded
from export.kernels_ahead_of_time import build
from fer_edge.aot import CompiledKernels
from fer_edge.kernels.jit.launch import DTYPES
from tests.kernels.precision import assert_accurate, cast, expected


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

    arguments = case.arguments(images, DTYPES[dtype], device)
    x, weights, *_ = folded(arguments)
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
    _, plain, *rest = arguments
    wide = folded((x.double(), cast(plain, torch.float64), *rest))
    with torch.no_grad():
        exact = expected(
            lambda: {output: case.run(wide, "reference")},
            DTYPES[dtype],
            stored=torch.float32 if case.operation == "dcif" else DTYPES[dtype],
        )[output]
    answer = tensors[output].view(DTYPES[dtype]).reshape(exact.exact.shape)
    assert_accurate(output, answer, exact)

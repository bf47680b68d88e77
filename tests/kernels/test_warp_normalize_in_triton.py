"""Triton's `warp_normalize` is bitwise equal to the NumPy reference."""

import os
import subprocess
import sys

import numpy as np
import pytest
import torch

from fer_edge.kernels import warp_normalize
from fer_edge.kernels.jit import warp_normalize as kernels

TONE = {"mean": 127.5, "fill": 77.0}


def both(plane, matrices, shape, border="edge", dtype=torch.float32, scale=0.5):
    """Filled by the reference and by Triton; NaN (or 99) before."""
    results = []
    for name in ("reference", "triton"):
        out = torch.full((len(matrices), 1, *shape), 99, dtype=dtype)
        if dtype.is_floating_point:
            out.fill_(float("nan"))
        warp_normalize(plane, matrices, out, border=border, kernels=name, **TONE, scale=scale)
        results.append(out)
    return results


def frame(height=61, width=83, seed=0):
    draw = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (height, width), dtype=torch.uint8, generator=draw)


def scaled(steps, angle=0.4, at=(20.0, 15.0)):
    """Similarities with so many pixels of the plane per output pixel."""
    turn = torch.tensor(
        [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]], dtype=torch.float32
    )
    matrices = torch.zeros(len(steps), 2, 3)
    matrices[:, :, :2] = torch.tensor(steps)[:, None, None] * turn
    matrices[:, :, 2] = torch.tensor(at)
    return matrices


@pytest.mark.slow
@pytest.mark.parametrize("border", ["edge", "constant"])
def test_the_first_levels_of_the_mip_map(border):
    matrices = scaled([0.3, 1.0, 2.0, 2.1, 4.0, 4.1, 8.1], at=(-9.0, 4.0))
    expected, answer = both(frame(), matrices, (5, 7), border)
    assert torch.equal(answer, expected)


@pytest.mark.slow
def test_deeper_levels_and_what_lies_beyond_the_last():
    # The interpreter would take half a minute for the 4096 pixels of one sample of the last level.
    matrices = scaled([17.0, 33.0, 129.0], at=(-9.0, 4.0))
    expected, answer = both(frame(161, 283), matrices, (2, 3))
    assert torch.equal(answer, expected)


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (7, 1), (64, 63)])
def test_small_and_odd_planes(size):
    draw = torch.Generator().manual_seed(3)
    matrices = (
        torch.randn(6, 2, 3, generator=draw) * torch.tensor([1.0, 3.0, 9.0, 0.1, 2.0, 5.0])[:, None, None]
    )
    expected, answer = both(frame(*size), matrices, (9, 15))
    assert torch.equal(answer, expected)


# The interpreter computes with NumPy, which would warn.
@pytest.mark.filterwarnings("ignore:overflow encountered", "ignore:invalid value encountered")
def test_matrices_that_are_not_finite_count_as_outside():
    matrices = scaled([1.0, 2.5]).repeat(3, 1, 1)
    matrices[0, 0, 0], matrices[1, 1, 2], matrices[2, 0, 2] = float("nan"), float("inf"), -float("inf")
    matrices[3, 1, 1], matrices[4], matrices[5] = float("inf"), 0.0, 1e30
    expected, answer = both(frame(), matrices, (4, 4), "constant")
    assert answer.isfinite().all()
    assert torch.equal(answer, expected)


def test_rows_of_an_nv12_frame_and_other_strides():
    y_rows = frame(90, 128)[:60, 3:83]
    assert not y_rows.is_contiguous()
    expected, answer = both(y_rows, scaled([1.3, 3.7]), (8, 8))
    assert torch.equal(answer, expected)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [torch.float16, torch.int8])
def test_other_outputs_are_rounded_to_even_and_saturated(dtype):
    # Halves of grey levels: ties for int8; beyond its range on both sides.
    plane, matrices = frame(), scaled([1.0, 0.5], angle=0.0, at=(0.5, 0.0))
    expected, answer = both(plane, matrices, (40, 31), dtype=dtype, scale=1.25)
    assert torch.equal(answer, expected)
    precise, _ = both(plane, matrices, (40, 31), scale=1.25)
    if dtype == torch.int8:
        assert (precise.frac().abs() == 0.5).any()
        assert precise.max() > 127
        assert precise.min() < -128
        assert torch.equal(answer, precise.round().clamp(-128, 127).to(dtype))
    else:
        assert torch.equal(answer, precise.half())


def test_no_pictures_and_empty_pictures():
    for matrices, shape in ((torch.zeros(0, 2, 3), (4, 4)), (torch.zeros(2, 2, 3), (0, 4))):
        expected, answer = both(frame(), matrices, shape)
        assert answer.shape == expected.shape


def test_more_blocks_than_a_grid_has_along_y(monkeypatch):
    # A test double of the launch: the interpreter would take minutes, so the programs are only counted.
    class Counted:
        def __getitem__(self, grid: tuple[int, ...]) -> object:
            grids.append(grid)
            return lambda *_, **__: None

    grids = []
    monkeypatch.setattr(kernels, "warp_normalize", Counted())
    out = torch.empty(3, 1, 4096, 4096, dtype=torch.int8)
    warp_normalize(frame(), torch.zeros(3, 2, 3), out, kernels="triton", **TONE, scale=1.0)
    assert grids == [(3 * 4096 * 4096 // kernels.BLOCK,)]


def test_opcheck():
    out = torch.zeros(1, 1, 4, 4)
    arguments = (frame(9, 9), scaled([1.5]), out, 0.0, 1.0, True, 0.0)
    torch.library.opcheck(torch.ops.fer_edge.warp_normalize.default, arguments)


COMPILED = """
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from fer_edge.kernels.jit.warp_normalize import warp_normalize
for element in ("fp32", "fp16", "i8"):
    signature = {"plane": "*u8", "matrices": "*fp32", "out": "*" + element, "height": "i32", "width": "i32",
                 "stride": "i32", "out_height": "i32", "out_width": "i32", "mean": "fp32", "scale": "fp32",
                 "fill": "fp32", "edge": "constexpr", "block": "constexpr"}
    for capability in (75, 90):
        source = ASTSource(warp_normalize, signature, {"edge": False, "block": 128})
        kernel = triton.compile(
            source, target=GPUTarget("cuda", capability, 32), options={"enable_fp_fusion": False}
        )
        assert "fma" not in kernel.asm["ptx"]
        print(element, capability, kernel.metadata.shared)
"""


def without_interpreter(program):
    """The lines that a process without Triton's interpreter prints."""
    environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, env=environment
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.slow
def test_it_compiles_without_fused_multiply_add():
    assert len(without_interpreter(COMPILED)) == 6


BOUND = """
import torch
from triton.backends.compiler import GPUTarget
from triton.compiler import make_backend
from triton.runtime.jit import create_function_from_signature
from fer_edge.kernels.jit.warp_normalize import warp_normalize as kernel
backend = make_backend(GPUTarget("cuda", 87, 32))
bind = create_function_from_signature(kernel.signature, kernel.params, backend)
plane, matrices, out = torch.empty(1, dtype=torch.uint8), torch.empty(1), torch.empty(1)
for sizes in ((61, 83, 83, 5, 7), (1, 1, 1, 1, 1), (1080, 1920, 2048, 112, 112), (16, 1, 3, 1, 16)):
    _, key, _ = bind(plane, matrices, out, *sizes, 1.0, 2.5, 0.0, edge=True, block=128)
    print(key)
"""


@pytest.mark.slow
def test_a_new_size_needs_no_compilation():
    keys = without_interpreter(BOUND)
    assert len(keys) == 4
    assert len(set(keys)) == 1

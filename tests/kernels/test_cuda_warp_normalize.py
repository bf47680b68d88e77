"""csrc/cuda/warp_normalize.cu, emulated: bitwise equal to `fer_edge.ops.reference.warp_normalize`.

Tolerance: none in float32. float16 and int8 are the float32 result, rounded once.
"""

import itertools

import numpy as np
import pytest
import torch
from cuda_emulator import CODES, DTYPES, EmulatedError, Emulator, in_every_order
from hypothesis import given, settings
from hypothesis import strategies as st

from fer_edge.ops import reference

pytestmark = pytest.mark.slow


def random_plane(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width), np.uint8)


def similarity(scale, degrees=0.0, x=0.0, y=0.0):
    """Output to plane: turned, scaled, then shifted; float32 [1, 2, 3]."""
    c, s = scale * np.cos(np.radians(degrees)), scale * np.sin(np.radians(degrees))
    return np.array([[[c, -s, x], [s, c, y]]], np.float32)


def expected(plane, matrices, shape, *, mean=0.0, scale=1.0, border="edge", fill=0.0):
    out = np.full((len(matrices), 1, *shape), np.nan, np.float32)
    reference.warp_normalize(plane, matrices, out, mean=mean, scale=scale, border=border, fill=fill)
    return torch.from_numpy(out)


def launch(
    emulator, plane, matrices, shape, dtype=torch.float32, *, mean=0.0, scale=1.0, border="edge", fill=0.0
):
    """The pictures [N, 1, *shape] of one launch, with NaN in `out` before; rows may have padding."""
    rows = emulator.empty((plane.shape[0], abs(plane.strides[0])), torch.uint8)
    rows[:, : plane.shape[1]] = torch.from_numpy(np.ascontiguousarray(plane))
    given_matrices = emulator.put(torch.from_numpy(matrices))
    out = emulator.empty((len(matrices), 1, *shape), dtype)
    emulator.warp_normalize(
        rows.data_ptr(),
        plane.shape,
        rows.stride(0),
        given_matrices.data_ptr(),
        len(matrices),
        out.data_ptr(),
        DTYPES[dtype],
        shape,
        mean,
        scale,
        border,
        fill,
    )
    return out


def assert_equals_reference(plane, matrices, shape, **arguments: object):
    got = in_every_order(
        "warp_normalize", lambda emulator: launch(emulator, plane, matrices, shape, **arguments)
    )
    assert got.isfinite().all()
    torch.testing.assert_close(got, expected(plane, matrices, shape, **arguments), rtol=0, atol=0)


@pytest.mark.parametrize("border", ["edge", "constant"])
@pytest.mark.parametrize("shape", [*itertools.product([0, 1, 7, 63], repeat=2), (5, 64), (3, 200)])
def test_output_sizes(shape, border):
    matrices = np.concatenate(
        [similarity(0.7, 20, 30, 10), similarity(1.9, -8, -20, 5), similarity(3.3, 4, 9, 9)]
    )
    plane = random_plane(90, 120)
    assert_equals_reference(plane, matrices, shape, mean=127.5, scale=1 / 58, border=border, fill=99.25)


@pytest.mark.parametrize("border", ["edge", "constant"])
@pytest.mark.parametrize("size", list(itertools.product([1, 2, 3, 7, 63], repeat=2)))
def test_plane_sizes(size, border):
    matrices = np.concatenate([similarity(scale, 15, -2, -3) for scale in (0.3, 1.0, 2.5, 9.0, 40.0)])
    assert_equals_reference(random_plane(*size), matrices, (9, 21), border=border, fill=7.1)


@pytest.mark.parametrize("width", [320, 321, 322])
@pytest.mark.parametrize("level", range(7))
def test_every_level_with_aligned_and_unaligned_rows(level, width):
    # The last scale is the largest of the level.
    scales = 1.7 * 2.0**level, 1.7 * 2.0**level, 2 * 2.0**level
    moves = (8, 1, 2), (30, 160, -50), (0, 3, 1)
    matrices = np.concatenate([similarity(s, *move) for s, move in zip(scales, moves, strict=True)])
    # Rows of 320 bytes begin at multiples of four, those of 321 and 322 do not.
    assert_equals_reference(random_plane(250, width), matrices, (5, 7))


def test_no_picture():
    out = in_every_order(
        "warp_normalize",
        lambda emulator: launch(emulator, random_plane(4, 4), np.empty((0, 2, 3), np.float32), (8, 8)),
    )
    assert out.shape == (0, 1, 8, 8)


@pytest.mark.parametrize("dtype", [torch.float16, torch.int8])
@pytest.mark.parametrize(("mean", "scale"), [(127.5, 1 / 58), (100.0, 1.0), (0.25, 0.5), (0.0, 300.0)])
def test_other_types_are_rounded_once(dtype, mean, scale):
    plane, matrices = random_plane(40, 50), similarity(1.3, 20, 5, -5)
    arguments = {"mean": mean, "scale": scale}
    got = in_every_order(
        "warp_normalize", lambda emulator: launch(emulator, plane, matrices, (33, 35), dtype, **arguments)
    )
    exact = expected(plane, matrices, (33, 35), **arguments)
    rounded = exact.round().clamp(-128, 127).to(dtype) if dtype == torch.int8 else exact.to(dtype)
    assert got.dtype == dtype
    torch.testing.assert_close(got, rounded, rtol=0, atol=0)


NUMBERS = st.floats(width=32) | st.sampled_from([np.nan, np.inf, -np.inf, 1e30, -1e30, 3e38, 1e-40])


@given(
    st.lists(NUMBERS, min_size=6, max_size=6),
    st.sampled_from(["edge", "constant"]),
    st.sampled_from(["forward", "backward"]),
)
@settings(deadline=None, max_examples=100)
def test_any_numbers_in_the_matrix(numbers, border, order):
    matrices = np.array(numbers, np.float32).reshape(1, 2, 3)
    plane = random_plane(13, 17)
    with Emulator("warp_normalize", order) as emulator:
        got = launch(emulator, plane, matrices, (7, 19), border=border, fill=-5.0)
        torch.testing.assert_close(
            got, expected(plane, matrices, (7, 19), border=border, fill=-5.0), rtol=0, atol=0
        )


@given(
    seed=st.integers(0, 2**32 - 1),
    scale=st.floats(0.05, 600),
    degrees=st.floats(-180, 180),
    border=st.sampled_from(["edge", "constant"]),
    order=st.sampled_from(["forward", "backward"]),
)
@settings(deadline=None, max_examples=100)
def test_any_similarity(seed, scale, degrees, border, order):
    rng = np.random.default_rng(seed)
    height, width, rows, columns = rng.integers(1, 80, 4)
    x, y = rng.normal(0.5, 1, 2) * (width, height)
    plane, matrices = random_plane(height, width, seed), similarity(scale, degrees, x, y)
    arguments = {"mean": 127.5, "scale": 1 / 58, "border": border, "fill": 31.7}
    with Emulator("warp_normalize", order) as emulator:
        got = launch(emulator, plane, matrices, (int(rows), int(columns)), **arguments)
        torch.testing.assert_close(
            got, expected(plane, matrices, (rows, columns), **arguments), rtol=0, atol=0
        )


def test_a_type_that_pictures_cannot_have():
    assert "bfloat16" in CODES
    with Emulator("warp_normalize") as emulator, pytest.raises(EmulatedError, match="CUDA error 1:"):
        launch(emulator, random_plane(4, 4), similarity(1), (8, 8), torch.bfloat16)

"""csrc/cuda/multi_branch_attention.cu, emulated, against float64, with the tolerance of precision.py."""

import pytest
import torch
from cuda_emulator import DTYPES, EmulatedError, Emulator, in_every_order
from draws import laid_out, multi_branch_weights, normal
from precision import assert_accurate, cast, expected

from fer_edge.kernels import reference
from fer_edge.kernels.fold import fold_multi_branch

pytestmark = pytest.mark.slow

OPERATION = "multi_branch_attention"
PRECISIONS = (torch.float32, torch.float16, torch.bfloat16)
# Channels, map, images: with up to 256 positions the kernels use their small tiles.
SMALL_TILES = [
    (8, (4, 4), 1),
    (24, (7, 7), 3),
    (40, (5, 9), 1),
    (64, (4, 4), 3),
    (24, (1, 1), 3),
    (8, (14, 14), 1),
]
LARGE_TILES = [(40, (7, 7), 6), (8, (14, 14), 3), (64, (5, 9), 7)]
# Bytes that a block may use on every device without a function attribute.
SHARED_LIMIT = 48 * 1024


def draw(images, channels, size, dtype=torch.float32, *, channels_last=False, factor=1.0, centre=0.0):
    """Normal z [images, 2 channels, *size]."""
    z = normal(images, 2 * channels, *size, seed=images + channels) * factor + centre
    return laid_out(z.to(dtype), "channels_last" if channels_last else "contiguous")


def launch(emulator, z, weights):
    """The output, contiguous, for folded weights; it and scratch are full of NaN before."""
    images, wide, height, width = z.shape
    channels_last = not z.is_contiguous()
    given, put = emulator.put(z), [emulator.put(w) for w in weights]
    scale = emulator.empty((2, images, wide // 2), torch.float32)
    local = emulator.empty((2, images * height * width, wide), z.dtype)
    out = emulator.empty((images, wide // 2, height, width), z.dtype, channels_last)
    emulator.multi_branch_attention(
        given.data_ptr(),
        tuple(z.shape),
        DTYPES[z.dtype],
        channels_last,
        [w.data_ptr() for w in put],
        scale.data_ptr(),
        local.data_ptr(),
        out.data_ptr(),
    )
    return out.contiguous()


def expected_of(z, weights):
    """What the kernels should compute, project and merge in one matrix."""
    wide = z.double(), cast(weights, torch.float64)
    return expected(
        lambda: {"out": reference.multi_branch_attention(wide[0], fold_multi_branch(wide[1]))}, z.dtype
    )["out"]


def check(z, *, concatenate=False, **settings: int):
    weights = cast(multi_branch_weights(z.shape[1] // 2, concatenate), z.dtype)
    folded = fold_multi_branch(weights)
    settings = {"shared_limit": SHARED_LIMIT, **settings}
    got = in_every_order(OPERATION, lambda emulator: launch(emulator, z, folded), **settings)
    assert_accurate("out", got, expected_of(z, weights))


@pytest.mark.parametrize("channels_last", [False, True], ids=["contiguous", "channels_last"])
@pytest.mark.parametrize("dtype", PRECISIONS, ids=str)
@pytest.mark.parametrize("channels, size, images", [*SMALL_TILES, *LARGE_TILES])
def test_shapes(channels, size, images, dtype, channels_last):
    check(draw(images, channels, size, dtype, channels_last=channels_last))


@pytest.mark.parametrize("dtype", PRECISIONS, ids=str)
@pytest.mark.parametrize("images", [3, 6], ids=["small tiles", "large tiles"])
def test_concatenated_branches(images, dtype):
    check(draw(images, 24, (7, 7), dtype), concatenate=True)


@pytest.mark.parametrize("dtype", PRECISIONS, ids=str)
def test_many_channels(dtype):
    check(draw(1, 264, (4, 4), dtype))


# Neither asynchronous copies nor tensor cores for bfloat16.
@pytest.mark.parametrize("dtype", PRECISIONS, ids=str)
@pytest.mark.parametrize("images", [3, 6], ids=["small tiles", "large tiles"])
def test_compute_capability_7_5(images, dtype):
    check(draw(images, 40, (7, 7), dtype), architecture=750)


@pytest.mark.parametrize("dtype", PRECISIONS, ids=str)
@pytest.mark.parametrize("factor, centre", [(0.0, 1.5), (8.0, 0.0), (1e-3, 0.0), (1.0, 100.0)])
def test_constant_large_small_and_shifted_maps(factor, centre, dtype):
    check(draw(3, 24, (7, 7), dtype, factor=factor, centre=centre))


def test_variance_beyond_float16():
    z = draw(1, 24, (7, 7), torch.float16, factor=400.0)
    assert z.double()[:, 24:].var((2, 3)).min() > torch.finfo(torch.float16).max
    weights = multi_branch_weights(24)
    weights = cast(weights._replace(alpha=weights.alpha / 100, beta=weights.beta / 1e5), torch.float16)
    with Emulator(OPERATION) as emulator:
        assert_accurate("out", launch(emulator, z, fold_multi_branch(weights)), expected_of(z, weights))


@pytest.mark.parametrize("dtype", PRECISIONS, ids=str)
def test_no_images(dtype):
    weights = fold_multi_branch(cast(multi_branch_weights(8), dtype))
    with Emulator(OPERATION) as emulator:
        assert launch(emulator, draw(0, 8, (7, 7), dtype), weights).shape == (0, 8, 7, 7)


def test_shared_memory_is_what_the_kernels_ask_for():
    with Emulator(OPERATION, shared_limit=16 * 1024) as emulator, pytest.raises(EmulatedError):
        launch(emulator, draw(1, 8, (4, 4)), fold_multi_branch(cast(multi_branch_weights(8), torch.float32)))

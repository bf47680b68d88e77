"""csrc/cuda/token_attention.cu, emulated, against the reference in float64, with precision.py's tolerance."""

import pytest
import torch
from cuda_emulator import DTYPES, EmulatedError, Emulator, in_every_order
from draws import laid_out, normal, token_attention_weights
from precision import assert_accurate, cast, expected

from fer_edge.kernels import reference

pytestmark = pytest.mark.slow

OPERATION = "token_attention"
PRECISIONS = (torch.float32, torch.float16, torch.bfloat16)
# Channels, heads, map, images: with up to 256 positions the projection uses its small tiles.
SMALL_TILES = [
    (8, 1, (4, 4), 1),
    (24, 4, (7, 7), 3),
    (40, 5, (5, 9), 1),
    (64, 8, (4, 4), 3),
    (64, 1, (8, 8), 1),
    (8, 8, (1, 1), 40),
]
LARGE_TILES = [(40, 2, (7, 7), 6), (64, 4, (8, 8), 5)]
# Of compute capability 7.5, the smallest.
SHARED_LIMIT = 64 * 1024


def draw(images, channels, size, dtype=torch.float32, *, channels_last=False, factor=1.0, centre=0.0):
    """Normal x [images, channels, *size]."""
    x = normal(images, channels, *size, seed=images + channels) * factor + centre
    return laid_out(x.to(dtype), "channels_last" if channels_last else "contiguous")


def launch(emulator, x, weights, heads, epsilon=1e-5):
    """The output, contiguous; it and scratch are full of NaN before."""
    images, channels, height, width = x.shape
    channels_last = not x.is_contiguous()
    given, put = emulator.put(x), [emulator.put(w) for w in weights]
    qkv = emulator.empty((images * height * width, 3 * channels), x.dtype)
    mixed = emulator.empty((images * height * width, channels), x.dtype)
    out = emulator.empty(x.shape, x.dtype, channels_last)
    emulator.token_attention(
        given.data_ptr(),
        tuple(x.shape),
        DTYPES[x.dtype],
        channels_last,
        [w.data_ptr() for w in put],
        heads,
        epsilon,
        qkv.data_ptr(),
        mixed.data_ptr(),
        out.data_ptr(),
    )
    return out.contiguous()


def check(x, heads, epsilon=1e-5, **settings: int):
    weights = cast(token_attention_weights(x.shape[1]), x.dtype)
    settings = {"shared_limit": SHARED_LIMIT, **settings}
    got = in_every_order(OPERATION, lambda emulator: launch(emulator, x, weights, heads, epsilon), **settings)
    wide = x.double(), cast(weights, torch.float64)
    exact = expected(lambda: {"out": reference.token_attention(*wide, heads, epsilon)}, x.dtype)
    assert_accurate("out", got, exact["out"])


@pytest.mark.parametrize("channels_last", [False, True], ids=["contiguous", "channels_last"])
@pytest.mark.parametrize("dtype", PRECISIONS, ids=str)
@pytest.mark.parametrize("channels, heads, size, images", [*SMALL_TILES, *LARGE_TILES])
def test_shapes(channels, heads, size, images, dtype, channels_last):
    check(draw(images, channels, size, dtype, channels_last=channels_last), heads)


# A head wider than a chunk, and fewer rows in the last launch.
@pytest.mark.parametrize("dtype", PRECISIONS, ids=str)
@pytest.mark.parametrize("channels, heads, size", [(264, 8, (4, 4)), (264, 2, (7, 7)), (1032, 8, (2, 3))])
def test_many_channels(channels, heads, size, dtype):
    check(draw(1, channels, size, dtype), heads)


# Neither asynchronous copies nor tensor cores for bfloat16.
@pytest.mark.parametrize("dtype", PRECISIONS, ids=str)
@pytest.mark.parametrize("images", [3, 6], ids=["small tiles", "large tiles"])
def test_compute_capability_7_5(images, dtype):
    check(draw(images, 40, (7, 7), dtype), 5, architecture=750)


@pytest.mark.parametrize("dtype", PRECISIONS, ids=str)
@pytest.mark.parametrize("factor, centre", [(0.0, 1.5), (30.0, 0.0), (1e-3, 0.0), (1.0, 20.0)])
def test_constant_large_small_and_shifted_maps(factor, centre, dtype):
    check(draw(3, 24, (7, 7), dtype, factor=factor, centre=centre), 3)


@pytest.mark.parametrize("epsilon", [1e-12, 1.0])
def test_epsilon(epsilon):
    check(draw(1, 24, (4, 4), factor=0.1), 3, epsilon)


@pytest.mark.parametrize("dtype", PRECISIONS, ids=str)
def test_no_images(dtype):
    weights = cast(token_attention_weights(8), dtype)
    with Emulator(OPERATION) as emulator:
        assert launch(emulator, draw(0, 8, (7, 7), dtype), weights, 2).shape == (0, 8, 7, 7)


def test_shared_memory_is_what_the_kernels_ask_for():
    with Emulator(OPERATION, shared_limit=48 * 1024) as emulator, pytest.raises(EmulatedError):
        launch(emulator, draw(1, 256, (4, 4)), cast(token_attention_weights(256), torch.float32), 8)

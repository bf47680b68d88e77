"""csrc/cuda/dcif.cu, emulated, against the reference in float64, with the tolerance of precision.py."""

import pytest
import torch
from cuda_emulator import DTYPES, EmulatedError, in_every_order
from draws import dcif_weights, normal
from precision import assert_accurate, cast, expected

from fer_edge.kernels import reference

pytestmark = pytest.mark.slow

# Too little for any map here, enough for the other arrays.
NOT_RESIDENT = 12 * 1024
FLOATS = [torch.float32, torch.float16, torch.bfloat16]


def make(n, channels, height, width, hidden, magnitude=1.0):
    """A map [N, C, H, W] and weights in float64."""
    x = magnitude * (normal(n, channels, height, width) + 0.3)
    return x, dcif_weights(channels, hidden, seed=channels * height)


def emulate(x, weights, channels_last=False, **settings: int):
    """[N, C] of the kernel, bitwise equal in every order; `out` is full of NaN before."""
    if channels_last:
        x = x.contiguous(memory_format=torch.channels_last)

    def compute(emulator) -> torch.Tensor:
        given, out = emulator.put(x), emulator.empty(x.shape[:2], x.dtype)
        pointers = [emulator.put(weight).data_ptr() for weight in weights]
        hidden = len(weights.squeeze_b)
        emulator.dcif(
            given.data_ptr(), x.shape, DTYPES[x.dtype], channels_last, pointers, hidden, out.data_ptr()
        )
        return out

    return in_every_order("dcif", compute, **settings)


def check(x, weights, dtype, channels_last=False, **settings: int):
    given, given_weights = x.to(dtype), cast(weights, dtype)
    got = emulate(given, given_weights, channels_last, **settings)
    wide = given.double(), cast(given_weights, torch.float64)
    exact = expected(lambda: {"out": reference.dcif(*wide)}, dtype, stored=torch.float32)
    assert_accurate("out", got, exact["out"])


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("dtype", FLOATS, ids=DTYPES.get)
@pytest.mark.parametrize(
    ("channels", "size", "hidden"),
    [(8, (1, 1), 1), (8, (3, 5), 3), (24, (7, 7), 8), (64, (8, 8), 5), (40, (14, 14), 16), (136, (1, 9), 9)],
)
def test_shapes(channels, size, hidden, dtype, channels_last):
    for settings in ({}, {"shared_limit": NOT_RESIDENT}):
        check(*make(2, channels, *size, hidden), dtype, channels_last, **settings)


@pytest.mark.parametrize("channels_last", [False, True])
def test_the_shape_of_a_model(channels_last):
    check(*make(1, 512, 7, 7, 32), torch.float16, channels_last)


@pytest.mark.parametrize("channels_last", [False, True])
def test_more_channels_than_threads(channels_last):
    check(*make(1, 1032, 2, 3, 8), torch.float32, channels_last)


def test_batches():
    x, weights = make(3, 16, 4, 4, 4)
    for n in (0, 1, 3):
        check(x[:n], weights, torch.float32)
    together, alone = emulate(x.float(), cast(weights, torch.float32)), x[2:].float()
    assert torch.equal(together[2:], emulate(alone, cast(weights, torch.float32)))


@pytest.mark.parametrize("magnitude", [1e-3, 1e3])
@pytest.mark.parametrize("dtype", FLOATS, ids=DTYPES.get)
def test_magnitudes(dtype, magnitude):
    check(*make(2, 16, 5, 5, 4, magnitude), dtype)


def test_constant_and_negative_maps():
    x, weights = make(1, 16, 7, 7, 4)
    # A zero of the padding must not count as a maximum over the channels.
    for constant in (torch.full_like(x, -2.5), -x.abs() - 1):
        check(constant, weights, torch.float32)


def test_too_little_shared_memory_for_the_sums():
    x, weights = make(1, 16, 7, 7, 4)
    with pytest.raises(EmulatedError, match="more shared memory than there is"):
        emulate(x.float(), cast(weights, torch.float32), shared_limit=1024)

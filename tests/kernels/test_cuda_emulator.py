"""The emulator itself: a correct kernel runs in every order, and each kind of fault is detected."""

import ctypes

import numpy as np
import pytest
import torch
from cuda_emulator import EmulatedError, Emulator, in_every_order

pytestmark = pytest.mark.slow

KERNELS = (
    "prefix_sums",
    "without_a_barrier",
    "without_a_wait",
    "reads_behind",
    "writes_before",
    "shared_behind",
    "divergent_barriers",
    "leaves_early",
    "shuffles_alone",
    "blocks_talk",
    "misaligned",
)


def run(emulator, name, count=48):
    x = emulator.put(torch.arange(count, dtype=torch.float32))
    out = emulator.empty((count,), torch.float32)
    emulator.run(
        "faulty_kernels", ctypes.c_int(KERNELS.index(name)), x.data_ptr(), out.data_ptr(), ctypes.c_int(count)
    )
    return out


def test_a_correct_kernel():
    sums = in_every_order("emulator/faulty_kernels", lambda emulator: run(emulator, "prefix_sums"))
    torch.testing.assert_close(sums, torch.arange(48, dtype=torch.float32).cumsum(0))


@pytest.mark.parametrize("name", ["without_a_barrier", "blocks_talk"])
def test_a_race_gives_another_result_in_another_order(name):
    with pytest.raises(AssertionError, match="differs from forward"):
        in_every_order("emulator/faulty_kernels", lambda emulator: run(emulator, name))


def test_a_copy_without_a_wait_leaves_nan():
    with Emulator("emulator/faulty_kernels") as emulator:
        assert run(emulator, "without_a_wait").isnan().all()


@pytest.mark.parametrize(
    ("name", "order", "message"),
    [
        ("reads_behind", "forward", "byte 192 of 192 of an array"),
        ("writes_before", "backward", "byte -4 of 192 of an array"),
        ("writes_before", "forward", "wrote beside an array"),
        ("shared_behind", "forward", "byte 256 of 256 shared ones"),
        ("divergent_barriers", "forward", "apart: 64 at a barrier"),
        ("leaves_early", "shuffled", "apart: 48 at a barrier, 0 in a shuffle or warp barrier, 16 have left"),
        ("shuffles_alone", "forward", "16 in a shuffle"),
        ("misaligned", "forward", r"thread \(0, 0, 0\) does what C\+\+ leaves undefined"),
    ],
)
def test_faults_are_named(name, order, message):
    # 48 values are a multiple of 32 bytes, so the guard page follows the array directly.
    with Emulator("emulator/faulty_kernels", order) as emulator, pytest.raises(EmulatedError, match=message):
        run(emulator, name, 48)
    with Emulator("emulator/faulty_kernels", order) as emulator:
        assert run(emulator, "prefix_sums")[-1] == 47 * 24


def test_too_much_shared_memory():
    with (
        Emulator("emulator/faulty_kernels", shared_limit=255) as emulator,
        pytest.raises(EmulatedError, match="more shared memory than there is"),
    ):
        run(emulator, "prefix_sums")


def test_tiles():
    rng = np.random.default_rng(0)
    a, b, c = (torch.from_numpy(rng.normal(size=(16, 16)).astype(np.float32)) for _ in range(3))
    a, b = a.half(), b.half()

    def compute(emulator: Emulator) -> torch.Tensor:
        out = emulator.put(c)
        emulator.run("tiles", emulator.put(a).data_ptr(), emulator.put(b).data_ptr(), out.data_ptr())
        return out

    expected = a.double() @ b.double().T + c.double()
    torch.testing.assert_close(
        in_every_order("emulator/faulty_kernels", compute).double(), expected, atol=1e-5, rtol=0
    )

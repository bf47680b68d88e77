"""A plane through pycuda's memory and the real kernel of csrc/cuda to pictures, equal to the CPU's.

The kernel runs on the emulator of csrc/cuda/emulator, behind the unchanged bindings of `fer_edge._cuda`.
"""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fer_edge import ops
from fer_edge.backends.base import Sampling
from fer_edge.backends.cuda import session as session_module
from fer_edge.backends.cuda.device import DeviceError
from fer_edge.backends.cuda.memory import Work
from fer_edge.backends.cuda.session import Session

pytestmark = pytest.mark.engines
MATRICES = np.array([[[3.1, 0.2, 5], [-0.2, 3.1, 9]], [[0.7, 0, -3], [0, 0.7, 100]]], np.float32)
SAMPLING = Sampling(127.5, 1 / 58, "constant", 31.0)


@pytest.fixture(scope="module")
def kernels() -> Any:
    """The extension, compiled for the emulator."""
    sys.path.append(str(Path(__file__).parents[1] / "kernels"))
    from cuda_emulator_build import extension

    return extension()


@pytest.fixture(params=[False, True], ids=["copied", "in place"])
def session(
    request: pytest.FixtureRequest,
    kernels: Any,
    alive: Callable[[], dict[str, int]],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Session]:
    """A session on the double of the driver."""
    monkeypatch.setattr(session_module, "compiled_kernels", lambda: kernels)
    session = Session(in_place=request.param)
    yield session
    session.close()


@pytest.mark.parametrize("width", [320, 323])
def test_pictures_equal_those_of_the_cpu(session: Session, width: int) -> None:
    assert session.sample.name == "gpu"
    rng = np.random.default_rng(width)
    work = Work(session.device, session.stream)
    for height in (200, 90, 260):
        whole = rng.integers(0, 256, (height, width + 5), np.uint8)
        plane = whole[:, 2:-3]  # rows with a stride, as a camera's
        frame = session.plane(plane)
        for sides in ((9, 21), (64, 64)):
            with session.exclusive():
                work.input.reserve((len(MATRICES), 1, *sides))
                work.input.host.fill(np.nan)
                session.sample(frame, MATRICES, work.input, SAMPLING)
                mark = work.input.download()
            session.wait_for(mark)
            expected = np.empty((len(MATRICES), 1, *sides), np.float32)
            ops.warp_normalize(
                plane, MATRICES, expected, mean=127.5, scale=1 / 58, border="constant", fill=31.0
            )
            np.testing.assert_array_equal(work.input.host, expected)


def test_a_launch_that_is_refused_is_a_device_error(session: Session) -> None:
    work = Work(session.device, session.stream)
    frame = session.plane(np.zeros((4, 4), np.uint8))
    with session.exclusive():
        work.input.reserve((1, 1, 8, 8))
        session._frames.mine()  # type: ignore[attr-defined]

        def refuse(*_: object) -> None:
            raise RuntimeError("warp_normalize: cudaErrorLaunchFailure: unspecified launch failure")

        session.sample._kernels = type("Refusing", (), {"warp_normalize": staticmethod(refuse)})  # type: ignore[attr-defined]
        with pytest.raises(DeviceError, match="the GPU failed: warp_normalize: cudaErrorLaunchFailure"):
            session.sample(frame, MATRICES[:1], work.input, SAMPLING)

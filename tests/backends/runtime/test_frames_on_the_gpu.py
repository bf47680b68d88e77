"""Frames that are in the GPU's memory already, by the CUDA array interface and by DLPack."""

import ctypes
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from driver_double import Driver
from test_recognizer_on_gpu import frame_with_faces

from fer_edge import Recognizer
from fer_edge.backends.cuda import session
from fer_edge.backends.cuda.frame import _Tensor

Make = Callable[..., Recognizer]


class OnGpu:
    """An array in the double's memory, with padding after each row, as a camera's."""

    def __init__(self, driver: Driver, array: np.ndarray, padding: int = 0, typestr: str = "|u1") -> None:
        height, width = array.shape
        self.array = np.zeros((height, width + padding), np.uint8)
        self.array[:, :width] = array
        driver.memory[self.array.ctypes.data] = self.array.nbytes
        self.facts = {
            "shape": array.shape,
            "typestr": typestr,
            "strides": (width + padding, 1) if padding else None,
            "data": (self.array.ctypes.data, False),
            "version": 3,
        }


class CudaArray(OnGpu):
    """As Numba."""

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        return self.facts


class DlpackArray(OnGpu):
    """As PyTorch and CuPy, and every library of the array API standard."""

    streams: list[int]
    device = (2, 0)

    def __dlpack_device__(self) -> tuple[int, int]:
        return self.device

    def __dlpack__(self, *, stream: int) -> Any:
        self.streams = [stream]
        shape, strides = self.facts["shape"], self.facts["strides"]
        sides = (ctypes.c_int64 * 2)(*shape)
        steps = (ctypes.c_int64 * 2)(*strides) if strides else None
        self.tensor = _Tensor(
            ctypes.c_void_p(self.facts["data"][0]),
            2,
            0,
            2,
            1,
            8,
            1,
            ctypes.cast(sides, ctypes.POINTER(ctypes.c_int64)),
            ctypes.cast(steps, ctypes.POINTER(ctypes.c_int64)) if steps else None,
            0,
        )
        self.kept = (sides, steps)
        new = ctypes.pythonapi.PyCapsule_New
        new.restype, new.argtypes = ctypes.py_object, (ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p)
        return new(ctypes.addressof(self.tensor), b"dltensor", None)


@pytest.mark.parametrize("kind", [CudaArray, DlpackArray])
@pytest.mark.parametrize("padding", [0, 16])
def test_a_grey_frame_is_not_copied(
    on_gpu: Make, make_recognizer: Make, driver: Driver, kind: type[OnGpu], padding: int
) -> None:
    gpu, frame = on_gpu(), frame_with_faces(3)
    expected = make_recognizer()(frame)
    given: Any = kind(driver, frame, padding)
    for _ in range(3):
        assert gpu(given) == expected
    before = driver.calls.copy()
    gpu(given)
    # The matrices of two passes and of the faces.
    assert (driver.calls - before)["memcpy_htod_async"] == 3
    if kind is DlpackArray:
        assert given.streams[0] in driver.streams


def test_an_nv12_frame(on_gpu: Make, make_recognizer: Make, driver: Driver) -> None:
    grey = frame_with_faces(3)
    nv12 = np.concatenate([grey, np.full((128, 320), 128, np.uint8)])
    given: Any = CudaArray(driver, nv12, 64)
    assert on_gpu()(given, layout="nv12") == make_recognizer()(grey)


def test_the_producer_is_waited_for(on_gpu: Make, driver: Driver) -> None:
    given: Any = CudaArray(driver, frame_with_faces(1))
    given.facts["stream"] = 1
    on_gpu()(given)
    assert (driver.calls["cuStreamSynchronize"], driver.calls["cuCtxSynchronize"]) == (1, 0)


def test_a_producer_that_names_no_stream_is_waited_for(on_gpu: Make, driver: Driver) -> None:
    given: Any = CudaArray(driver, frame_with_faces(1))
    given.facts["version"] = 2
    on_gpu()(given)
    assert (driver.calls["cuStreamSynchronize"], driver.calls["cuCtxSynchronize"]) == (0, 1)


def test_without_the_extension_it_is_downloaded(
    on_gpu: Make, make_recognizer: Make, driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "compiled_kernels", lambda: None)
    frame = frame_with_faces(3)
    frame[-1] = 77
    given: Any = CudaArray(driver, frame, 16)
    gpu: Any = on_gpu()
    assert gpu(given) == make_recognizer()(frame)
    np.testing.assert_array_equal(gpu._networks.plane_on_device(given, None).host(), frame)


def test_a_failing_gpu_answers_from_the_downloaded_frame(
    on_gpu: Make, make_recognizer: Make, driver: Driver
) -> None:
    gpu, frame = on_gpu(fallback=True), frame_with_faces(3)
    expected = make_recognizer()(frame)
    given: Any = CudaArray(driver, frame)
    driver.fail("warp_normalize")
    # The first frame on the GPU and, as the CPU answers from then on, on the CPU.
    assert gpu(given) == expected
    assert gpu(given) == expected
    assert gpu.info()["backend"] == "onnxruntime"


@pytest.mark.parametrize(
    ("change", "layout", "error", "message"),
    [
        ({"typestr": "<f4"}, None, TypeError, r"must be uint8 \[H, W\], got <f4 \[256, 320\]; cast it there"),
        ({"shape": (256, 320, 3)}, None, ValueError, r"grey, or NV12 .*, got \|u1 \[256, 320, 3\]"),
        ({}, "bgr", ValueError, "with layout 'bgr'; convert it there, or copy it to the CPU"),
        ({"shape": (0, 320)}, None, ValueError, r"got \|u1 \[0, 320\]"),
        ({"strides": (640, 2)}, None, ValueError, r"contiguous rows, got strides \(640, 2\)"),
        ({}, "nv12", ValueError, r"NV12 frame must be uint8 .* with even H and W"),
    ],
)
def test_frames_that_do_not_fit(
    on_gpu: Make,
    driver: Driver,
    change: dict[str, Any],
    layout: Any,
    error: type[Exception],
    message: str,
) -> None:
    given: Any = CudaArray(driver, frame_with_faces(1))
    given.facts |= change
    gpu = on_gpu()
    with pytest.raises(error, match=message):
        gpu(given, layout=layout)
    assert len(gpu(frame_with_faces(1))) == 1


def test_a_frame_on_another_gpu(on_gpu: Make, driver: Driver) -> None:
    given: Any = DlpackArray(driver, frame_with_faces(2))
    gpu, given.device = on_gpu(), (2, 1)
    with pytest.raises(
        ValueError, match="must be on GPU 0, where the networks run, got one on GPU 1; copy it"
    ):
        gpu(given)
    # Managed memory, which all GPUs read.
    given.device = (13, 1)
    assert len(gpu(given)) == 2


def test_arrays_on_the_cpu_are_not_mistaken(on_gpu: Make) -> None:
    given: Any = SimpleNamespace(__dlpack_device__=lambda: (1, 0))
    with pytest.raises(TypeError, match="frame must be a NumPy array"):
        on_gpu()(given)


def test_the_cpu_does_not_take_them(make_recognizer: Make, driver: Driver) -> None:
    given: Any = CudaArray(driver, frame_with_faces(1))
    with pytest.raises(TypeError, match="frame must be a NumPy array"):
        make_recognizer()(given)

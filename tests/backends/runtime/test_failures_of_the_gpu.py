"""A GPU that fails: one clear error, or with fallback=True the CPU's answer for the same frame."""

import logging
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from driver_double import Driver
from driver_library import LOST, OUT_OF_MEMORY
from tensorrt_double import TensorRT
from test_recognizer_on_gpu import frame_with_faces

from fer_edge import ModelError, Recognizer
from fer_edge.backends import networks
from fer_edge.backends.cuda.device import DeviceError
from fer_edge.installation.repair_commands import install_extra

Make = Callable[..., Recognizer]
# What a frame does on the GPU once its graphs exist.
CALLS = (
    "memcpy_htod_async",
    "warp_normalize",
    "memcpy_dtod_async",
    "cuGraphLaunch",
    "memcpy_dtoh_async",
    "record",
    "event_synchronize",
)


def _warm(gpu: Recognizer) -> np.ndarray:
    frame = frame_with_faces(5)
    for _ in range(2):
        gpu(frame)
    return frame


@pytest.mark.parametrize("call", CALLS)
def test_each_failing_call_is_one_error(on_gpu: Make, driver: Driver, call: str) -> None:
    gpu = on_gpu()
    frame = _warm(gpu)
    driver.fail(call)
    with pytest.raises(DeviceError, match=r"the GPU failed: .*CUDA_ERROR_LAUNCH_FAILED|cuGraphLaunch failed"):
        gpu(frame)
    driver.mend()
    # The Recognizer stays usable, if the GPU does.
    assert len(gpu(frame)) == 5


@pytest.mark.parametrize("after", [0, 1, 2, 3])
@pytest.mark.parametrize("call", CALLS)
def test_the_cpu_answers_the_same_frame(
    on_gpu: Make,
    make_recognizer: Make,
    driver: Driver,
    caplog: pytest.LogCaptureFixture,
    call: str,
    after: int,
) -> None:
    gpu = on_gpu(fallback=True)
    frame = _warm(gpu)
    expected = make_recognizer()(frame)
    driver.fail(call, after=after)
    with caplog.at_level(logging.WARNING, "fer_edge"):
        for _ in range(4):
            assert gpu(frame) == expected
    warnings = [r.message for r in caplog.records if r.message.startswith("the CPU answers from now on")]
    assert len(warnings) == 1
    assert gpu.info()["backend"] == "onnxruntime"
    assert "the GPU has failed" in gpu.info()["gpu"]


def test_a_lost_device(on_gpu: Make, make_recognizer: Make, driver: Driver) -> None:
    gpu = on_gpu(fallback=True)
    frame = _warm(gpu)
    driver.lost = True
    assert gpu(frame) == make_recognizer()(frame)
    gpu.close()


def test_closing_after_the_device_was_lost(on_gpu: Make, driver: Driver) -> None:
    gpu = on_gpu()
    frame = _warm(gpu)
    driver.lost = True
    with pytest.raises(DeviceError, match="CUDA_ERROR_LAUNCH_FAILED"):
        gpu(frame)
    with pytest.raises(DeviceError, match="CUDA_ERROR_LAUNCH_FAILED"):
        gpu.close()
    driver.mend()


def test_dark_crops_survive_a_failure(on_gpu: Make, make_recognizer: Make, driver: Driver) -> None:
    rng = np.random.default_rng(3)
    crops = [rng.integers(10, 16, (40, 40), np.uint8) for _ in range(3)]
    gpu = on_gpu(fallback=True)
    driver.fail("cuGraphLaunch")
    assert gpu.recognize_crops(crops) == make_recognizer().recognize_crops(crops)


def test_full_memory_is_said(on_gpu: Make, driver: Driver) -> None:
    gpu = on_gpu()
    driver.fail("mem_alloc", OUT_OF_MEMORY)
    with pytest.raises(DeviceError, match=r"its memory is full .*; close other programs"):
        gpu(np.zeros((1080, 1920), np.uint8))
    driver.mend()


@pytest.mark.parametrize("after", range(0, 60, 7))
def test_full_memory_at_the_start_leaves_nothing(on_gpu: Make, driver: Driver, after: int) -> None:
    driver.fail("mem_alloc", OUT_OF_MEMORY, after=after)
    made: list[Recognizer] = []
    try:
        made.append(on_gpu())
    except DeviceError as error:
        assert "memory is full" in str(error)
    for recognizer in made:
        recognizer.close()
    assert driver.alive == {}


def test_an_engine_that_does_not_run(on_gpu: Make, tensorrt: TensorRT) -> None:
    tensorrt.refuses = True
    with pytest.raises(DeviceError, match=r"expression-\w{8}\.plan cannot be run: the kernel was refused"):
        on_gpu()


def test_without_graphs_the_work_is_the_same(
    on_gpu: Make, make_recognizer: Make, driver: Driver, caplog: pytest.LogCaptureFixture
) -> None:
    driver.fail("cuStreamBeginCapture_v2", LOST)
    with caplog.at_level(logging.WARNING, "fer_edge"):
        gpu, frame = on_gpu(), frame_with_faces(3)
        for _ in range(3):
            assert gpu(frame) == make_recognizer()(frame)
    assert "without a CUDA graph, slower: cuStreamBeginCapture_v2 failed" in caplog.text
    assert driver.calls["cuGraphLaunch"] == 0


def test_an_engine_that_cannot_be_recorded_runs_without_graphs(
    on_gpu: Make,
    make_recognizer: Make,
    driver: Driver,
    tensorrt: TensorRT,
    caplog: pytest.LogCaptureFixture,
) -> None:
    tensorrt.refuses_recording = True
    with caplog.at_level(logging.WARNING, "fer_edge"):
        gpu, frame = on_gpu(), frame_with_faces(3)
        for _ in range(3):
            assert gpu(frame) == make_recognizer()(frame)
    assert "without a CUDA graph, slower: " in caplog.text
    assert driver.graphs == {}


def test_a_frame_that_fell_back_stays_on_the_cpu(on_gpu: Make, driver: Driver) -> None:
    gpu = on_gpu(fallback=True)
    frame = _warm(gpu)
    before = driver.calls["warp_normalize"]
    driver.fail("cuGraphLaunch")
    gpu(frame)
    assert driver.calls["warp_normalize"] == before + 1


def test_engines_that_are_missing(on_gpu: Make, tmp_path: Path, driver: Driver) -> None:
    with pytest.raises(ModelError, match="nowhere does not exist; run fer-edge build"):
        on_gpu(engines=tmp_path / "nowhere")
    assert driver.alive == {}


def test_a_gpu_backend_without_pycuda(
    make_recognizer: Make, tensorrt: TensorRT, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    monkeypatch.delitem(sys.modules, "pycuda.driver")
    monkeypatch.delitem(sys.modules, "pycuda")
    with pytest.raises(
        ImportError, match=rf"the GPU runtime needs pycuda .*{re.escape(install_extra('gpu'))}"
    ):
        make_recognizer(backend="tensorrt-rtx")


def test_a_product_that_is_not_installed(make_recognizer: Make, driver: Driver) -> None:
    with pytest.raises(ImportError, match="tensorrt is not installed; on Jetson it is part of JetPack"):
        make_recognizer(backend="tensorrt")


def test_auto_says_why_it_takes_no_gpu(
    make_recognizer: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for present, why in ((True, "no GPU was measured to be faster"), (False, "no NVIDIA GPU was found")):
        monkeypatch.setattr(networks, "GPU_FILES", (str(tmp_path if present else tmp_path / "none"),))
        info = make_recognizer(backend="auto").info()
        assert info["backend"] == "onnxruntime"
        assert info["why"].startswith(why)


def test_engines_are_for_gpus(make_recognizer: Make, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="engines must be None with backend='onnxruntime', got '/"):
        make_recognizer(backend="onnxruntime", engines=tmp_path)
    assert make_recognizer(backend="auto", engines=tmp_path).info()["backend"] == "onnxruntime"

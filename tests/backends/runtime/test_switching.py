"""Engines that are built in the background, and the change from the CPU to the GPU between two frames."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from pathlib import Path
from typing import Any

import pytest
from driver_double import Driver
from tensorrt_double import TensorRT, write_engine
from test_recognizer_on_gpu import frame_with_faces

from fer_edge import ModelError, Recognizer
from fer_edge.backends import gpu_networks
from fer_edge.backends.engines.key import Options
from fer_edge.models import ModelFile

Make = Callable[..., Recognizer]


class Builder:
    """Stands in for `plans.plan_for`: a build that takes as long as the test wants."""

    def __init__(self) -> None:
        self.go_on = threading.Event()
        self.error: Exception | None = None
        self.built: list[str] = []

    def __call__(
        self, model: ModelFile, target: Any, folder: Path, *, options: Options, cancelled: threading.Event
    ) -> Any:
        while not self.go_on.wait(0.001):
            if cancelled.is_set():
                raise CancelledError("the build was cancelled")
        if self.error:
            raise self.error
        self.built.append(model.path.stem)
        return write_engine(folder, model)


@pytest.fixture
def builder(tensorrt: TensorRT, monkeypatch: pytest.MonkeyPatch) -> Iterator[Builder]:
    """The builder of the engines."""
    builder = Builder()
    monkeypatch.setattr(gpu_networks, "plan_for", builder)
    yield builder
    builder.go_on.set()


def _wait(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.001)


def test_the_cpu_answers_until_the_engines_are_built(
    on_gpu: Make, make_recognizer: Make, builder: Builder, driver: Driver, tmp_path: Path
) -> None:
    recognizer = on_gpu(engines=tmp_path / "new", build="background")
    frame = frame_with_faces(4)
    expected = make_recognizer()(frame)
    for _ in range(3):
        assert recognizer(frame) == expected
    info = recognizer.info()
    assert (info["backend"], info["gpu"]) == ("onnxruntime", "the engines are being built")
    assert "backend='onnxruntime'" in repr(recognizer)
    assert driver.calls["warp_normalize"] == 0
    builder.go_on.set()
    _wait(lambda: recognizer.info()["backend"] == "tensorrt-rtx")
    assert "gpu" not in recognizer.info()
    assert recognizer(frame) == expected
    assert driver.calls["warp_normalize"] > 0
    assert builder.built == ["expression", "detector"]


def test_the_change_falls_between_two_frames(
    on_gpu: Make, builder: Builder, driver: Driver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recognizer = on_gpu(engines=tmp_path / "new", build="background")
    detect = recognizer._detect

    def build_meanwhile(*arguments: Any) -> Any:
        found = detect(*arguments)
        builder.go_on.set()
        _wait(lambda: recognizer.info()["backend"] == "tensorrt-rtx")
        return found

    recognizer._detect = build_meanwhile  # type: ignore[assignment]
    before = driver.calls["warp_normalize"]
    assert len(recognizer(frame_with_faces(3))) == 3
    # The whole frame ran on the CPU, on which its detection ran.
    assert driver.calls["warp_normalize"] == before
    recognizer._detect = detect
    recognizer(frame_with_faces(3))
    assert driver.calls["warp_normalize"] > before


def test_a_build_that_fails_leaves_the_cpu(
    on_gpu: Make, builder: Builder, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    builder.error = ModelError("TensorRT cannot read this")
    builder.go_on.set()
    with caplog.at_level(logging.WARNING, "fer_edge"):
        recognizer = on_gpu(engines=tmp_path / "new", build="background")
        _wait(lambda: "cannot be used" in recognizer.info()["gpu"])
    assert recognizer.info()["gpu"] == "the engines cannot be used: TensorRT cannot read this"
    assert "the CPU goes on to answer: TensorRT cannot read this" in caplog.text
    assert len(recognizer(frame_with_faces(2))) == 2


def test_an_unexpected_error_of_a_build_is_reported_with_its_place(
    on_gpu: Make, builder: Builder, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    builder.error = OSError(5, "Input/output error")
    builder.go_on.set()
    recognizer = on_gpu(engines=tmp_path / "new", build="background")
    _wait(lambda: "cannot be used" in recognizer.info()["gpu"])
    reason = "OSError(5, 'Input/output error')"
    assert recognizer.info()["gpu"] == f"the engines cannot be used: {reason}"
    assert f"the CPU goes on to answer: {reason}" in caplog.text
    assert "raise self.error" in caplog.text
    assert len(recognizer(frame_with_faces(2))) == 2


def test_closing_stops_a_build(on_gpu: Make, builder: Builder, driver: Driver, tmp_path: Path) -> None:
    recognizer = on_gpu(engines=tmp_path / "new", build="background")
    recognizer.close()
    assert not [t for t in threading.enumerate() if t.name == "fer_edge-engines"]
    assert builder.built == []
    assert driver.alive == {}


def test_block_waits_for_the_engines(on_gpu: Make, builder: Builder, tmp_path: Path) -> None:
    builder.go_on.set()
    recognizer = on_gpu(engines=tmp_path / "new", build="block")
    assert builder.built == ["expression", "detector"]
    assert recognizer.info()["backend"] == "tensorrt-rtx"


def test_block_raises_what_the_build_raises(
    on_gpu: Make, builder: Builder, tmp_path: Path, driver: Driver
) -> None:
    builder.error = ModelError("TensorRT cannot read this")
    builder.go_on.set()
    with pytest.raises(ModelError, match="TensorRT cannot read this"):
        on_gpu(engines=tmp_path / "new", build="block")
    assert driver.alive == {}


def test_engines_that_fit_are_not_built_again(on_gpu: Make, builder: Builder) -> None:
    recognizer = on_gpu(build="background")
    _wait(lambda: recognizer.info()["backend"] == "tensorrt-rtx")
    assert builder.built == []


def test_two_models_with_one_file_name_have_an_engine_each(
    on_gpu: Make,
    make_recognizer: Make,
    builder: Builder,
    detector_file: Path,
    expression_file: Path,
    tmp_path: Path,
) -> None:
    files = {}
    for role, file in (("detector", detector_file), ("model", expression_file)):
        files[role] = tmp_path / role / "model.onnx"
        files[role].parent.mkdir()
        files[role].write_bytes(file.read_bytes())
    builder.go_on.set()
    expected = make_recognizer()(frame_with_faces(3))
    for _ in range(2):
        recognizer = on_gpu(**files, engines=tmp_path / "new", build="block")
        assert recognizer(frame_with_faces(3)) == expected
        recognizer.close()
    # At the second start both were there.
    assert builder.built == ["model", "model"]


def test_an_unknown_way_to_build(on_gpu: Make) -> None:
    with pytest.raises(ValueError, match="build must be one of background, block, never, got 'later'"):
        on_gpu(build="later")


def test_many_threads_during_the_change(
    on_gpu: Make, make_recognizer: Make, builder: Builder, tmp_path: Path
) -> None:
    recognizer = on_gpu(engines=tmp_path / "new", build="background")
    frames = [frame_with_faces(n) for n in (1, 4, 9)]
    cpu = make_recognizer()
    expected = [cpu(frame) for frame in frames]
    wrong: list[int] = []

    def run(index: int) -> None:
        left, end = 5, time.monotonic() + 60
        while left:
            assert time.monotonic() < end, "the engines do not answer"
            left -= recognizer.info()["backend"] == "tensorrt-rtx"
            if recognizer(frames[index]) != expected[index]:
                wrong.append(index)

    threads = [threading.Thread(target=run, args=(i,)) for i in range(3)]
    for thread in threads:
        thread.start()
    builder.go_on.set()
    for thread in threads:
        thread.join()
    assert wrong == []

"""Real plans in the real runtime of TensorRT for RTX, as far as a machine without a GPU goes."""

import threading
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from fer_edge import Recognizer, models
from fer_edge.backends import gpu_networks, networks
from fer_edge.backends.cuda.device import DeviceError
from fer_edge.backends.engines.gpu import this_gpu
from fer_edge.backends.engines.plan_files import read_plan
from fer_edge.backends.engines.products import TENSORRT_RTX
from fer_edge.backends.trt_execution import Engine
from fer_edge.models import ModelError

pytestmark = [
    pytest.mark.engines,
    pytest.mark.skipif(this_gpu() is not None, reason="tests/gpu runs engines where there is a GPU"),
]


def test_the_runtime_refuses_a_plan_with_a_reason(tensorrt: ModuleType, built: Path) -> None:
    session: Any = SimpleNamespace()
    with pytest.raises(ModelError, match=r"face-luma.plan cannot be loaded: there is no GPU, or its driver"):
        Engine(session, tensorrt, read_plan(built, "face-luma"), None)  # type: ignore[arg-type]


def test_prepared_engines_are_taken_as_they_are(tensorrt: ModuleType, built: Path) -> None:
    request = networks.Request(
        detector=models.read(models.WEIGHTS / "face-luma.onnx"),
        expression=models.read(models.WEIGHTS / "tkfnet-nano-float32.onnx"),
        threads=None,
        engines=built,
        build="never",
        fallback=False,
    )
    for model in (request.detector, request.expression):
        plan = gpu_networks.plan_of(model, TENSORRT_RTX, request, None, threading.Event())
        assert plan.path == built / f"{model.path.stem}.plan"


@pytest.mark.parametrize("build", ["background", "block", "never"])
def test_a_gpu_backend_without_a_gpu_says_so_at_once(tensorrt: ModuleType, built: Path, build: Any) -> None:
    # pycuda is not installed here; with it, the missing driver is named.
    with pytest.raises((ImportError, DeviceError), match=r"needs pycuda|driver is missing|cannot be used"):
        Recognizer(backend="tensorrt-rtx", engines=built, build=build)

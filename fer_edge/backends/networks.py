"""The two networks of a Recognizer on ONNX Runtime or on a GPU, and the table from which one is chosen."""

import logging
import os
from collections.abc import Callable
from concurrent.futures import CancelledError
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from threading import Event
from typing import Any, Literal

from fer_edge import models
from fer_edge.arrays import U8
from fer_edge.backends.base import Networks
from fer_edge.backends.cuda.frame import DevicePlane
from fer_edge.backends.cuda.session import Session
from fer_edge.backends.engines import storage
from fer_edge.backends.engines.gpu import Gpu, this_gpu
from fer_edge.backends.engines.key import Options, key_for
from fer_edge.backends.engines.plan_files import Plan, UnusablePlanError
from fer_edge.backends.engines.plans import plan_for, ready_plan
from fer_edge.backends.engines.products import TENSORRT, TENSORRT_RTX, Product, load, target_for
from fer_edge.backends.warmup import warm_up
from fer_edge.models import ModelError, ModelFile

Build = Literal["background", "block", "never"]
BUILDS = ("background", "block", "never")
# One of these exists where an NVIDIA driver runs: on desktops and servers, and on a Jetson. CUDA itself is
# not asked, because a process that has initialised it can no longer be forked.
GPU_FILES = ("/dev/nvidia0", "/dev/nvhost-gpu")
_logger = logging.getLogger("fer_edge")


@dataclass(frozen=True, slots=True)
class Request:
    """What a Recognizer asks for; see there. The networks are loaded, with their roles checked."""

    detector: ModelFile
    expression: ModelFile
    threads: int | None
    engines: Path | None
    build: Build
    fallback: bool


def networks_for(backend: str, request: Request) -> Networks:
    """Returns the networks on the engine of this name.

    Raises:
        ValueError: the name is unknown, or a setting does not fit it.
        ImportError: the engine is not installed; the message has the command.
        ModelError: a network or plan cannot be used.
        DeviceError: the GPU cannot be used.
    """
    if backend not in _MAKERS:
        raise ValueError(f"backend must be one of {', '.join(_MAKERS)}, got {backend!r}")
    if request.build not in BUILDS:
        raise ValueError(f"build must be one of {', '.join(BUILDS)}, got {request.build!r}")
    if request.engines is not None and backend not in (*_ON_GPU, "auto"):
        raise ValueError(f"engines must be None with backend={backend!r}, got {str(request.engines)!r}")
    return _MAKERS[backend](request)


def model_for(backend: str, model: ModelFile) -> ModelFile:
    """Returns the file of a network that a backend takes: for GPUs, the float32 file beside an int8 one.

    TensorRT takes int8 only in another form than CPUs do (see engines.build).
    """
    twin = model.path.with_name(f"{model.path.stem}-float32.onnx")
    if backend not in _ON_GPU or model.precision != "int8" or not twin.is_file():
        return model
    _logger.info("%s is taken for the GPU: %s is int8 for CPUs", twin.name, model.path.name)
    return models.load(twin, model.spec.role)


class CpuNetworks:
    """On ONNX Runtime."""

    def __init__(self, request: Request, why: str = "") -> None:
        from fer_edge.backends.ort import OrtBackend

        self._why = why
        self.expression = OrtBackend(request.expression, request.threads)
        self.detector = OrtBackend(request.detector, request.threads)
        warm_up(self.expression, request.expression)
        warm_up(self.detector, request.detector)

    def plane(self, luma: U8) -> U8:
        return luma

    def plane_on_device(self, frame: Any, layout: str | None) -> None:
        return None

    def info(self) -> dict[str, object]:
        return self.expression.info() | ({"why": self._why} if self._why else {})

    def close(self) -> None:
        self.expression.close()
        self.detector.close()


class GpuNetworks:
    """On one GPU. The session is closed with them, and if they cannot be made.

    Args:
        session: the GPU.
        request: what is wanted.
        product: TensorRT or TensorRT for RTX.
        cancelled: set it to stop a build.

    Raises: as networks_for, and CancelledError.
    """

    def __init__(self, session: Session, request: Request, product: Product, cancelled: Event) -> None:
        from fer_edge.backends.trt import TrtBackend

        self.session = session
        self._opened: list[TrtBackend] = []
        try:
            bindings, gpu = load(product), this_gpu()
            for model in (request.expression, request.detector):
                plan = plan_of(model, product, request, gpu, cancelled)
                self._opened.append(TrtBackend(session, model, bindings, plan, gpu))
                warm_up(self._opened[-1], model)
                if cancelled.is_set():
                    raise CancelledError("the Recognizer was closed")
        except BaseException:
            self.close()
            raise
        self.expression, self.detector = self._opened

    def plane(self, luma: U8) -> DevicePlane:
        return self.session.plane(luma)

    def plane_on_device(self, frame: Any, layout: str | None) -> DevicePlane | None:
        return self.session.plane_on_device(frame, layout)

    def info(self) -> dict[str, object]:
        return self.expression.info()

    def close(self) -> None:
        with ExitStack() as stack:
            stack.callback(self.session.close)
            for network in self._opened:
                stack.callback(network.close)


def plan_of(model: ModelFile, product: Product, request: Request, gpu: Gpu | None, cancelled: Event) -> Plan:
    """The plan of a network: from the folder or the user's cache, else built there."""
    target = target_for("this", product.name)
    key = key_for(model, target, load(product).__version__, gpu, Options())
    folder = request.engines or storage.default_root() / key.environment()
    try:
        return ready_plan(model, product, folder, gpu)
    except UnusablePlanError as error:
        if request.build == "never":
            raise ModelError(f"{error}; run fer-edge build, or leave build='never' out") from error
    return plan_for(model, target, folder, cancelled=cancelled)


def _automatic(request: Request) -> Networks:
    return CpuNetworks(request, why_not_a_gpu())


def why_not_a_gpu() -> str:
    """Why backend="auto" takes no GPU. It will take one that was measured to be faster than the CPU."""
    if not any(Path(file).exists() for file in GPU_FILES):
        return "no NVIDIA GPU was found"
    return (
        "no GPU was measured to be faster than the CPU for these networks; ask for it by name, with "
        "backend='tensorrt' or 'tensorrt-rtx'"
    )


def _on_gpu(product: Product, request: Request) -> Networks:
    from fer_edge.backends.switching import SwitchingNetworks

    # What is missing is said now, also where the plans are built in the background.
    load(product)
    session = Session(in_place=os.environ.get("FER_EDGE_MAPPED_FRAMES") == "1")
    cancelled = Event()

    def make() -> GpuNetworks:
        return GpuNetworks(session, request, product, cancelled)

    if request.build == "background":
        return SwitchingNetworks(CpuNetworks(request), session, make, cancelled, fallback=request.fallback)
    networks = make()
    if not request.fallback:
        return networks
    return SwitchingNetworks(CpuNetworks(request), session, networks, cancelled, fallback=True)


_ON_GPU: dict[str, Callable[[Request], Networks]] = {
    product.name: partial(_on_gpu, product) for product in (TENSORRT, TENSORRT_RTX)
}
_MAKERS: dict[str, Callable[[Request], Networks]] = {
    "auto": _automatic,
    "onnxruntime": CpuNetworks,
    **_ON_GPU,
}

"""The two networks of a Recognizer on the CPU or on a GPU, and the table from which one is chosen."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

from fer_edge import backends, models
from fer_edge.arrays import U8
from fer_edge.backends.base import Networks
from fer_edge.backends.warmup import warm_up
from fer_edge.models import ModelError, ModelFile

Build = Literal["background", "block", "never"]
BUILDS = ("background", "block", "never")
ON_GPU = ("tensorrt", "tensorrt-rtx")
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
        ImportError: the engine is not installed; the message has the command.
        ModelError: a network or plan cannot be used.
        DeviceError: the GPU cannot be used.
    """
    return BACKENDS[backend](request)


def model_for(backend: str, model: ModelFile) -> ModelFile:
    """Returns the file of a network that a backend takes: for GPUs, the float32 file beside an int8 one.

    TensorRT takes int8 only in another form than CPUs do (see engines.build).
    """
    twin = model.path.with_name(f"{model.path.stem}-float32.onnx")
    if backend not in ON_GPU or model.precision != "int8" or not twin.is_file():
        return model
    _logger.info("%s is taken for the GPU: %s is int8 for CPUs", twin.name, model.path.name)
    return models.load(twin, model.spec.role)


class CpuNetworks:
    """On an engine of the CPU, from `backends.LOADERS`.

    Args:
        request: what is wanted.
        engine: name of the engine.
        why: why another one was not taken.

    Raises: ImportError and ModelError, as networks_for.
    """

    def __init__(self, request: Request, engine: str = "onnxruntime", why: str = "") -> None:
        opener = backends.opener_for(engine)
        self._why = why
        self.expression = opener(request.expression, request.threads)
        self.detector = opener(request.detector, request.threads)
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


def _automatic(request: Request) -> Networks:
    why = why_not_a_gpu()
    if (engine := backends.automatic()) != "onnxruntime":
        try:
            return CpuNetworks(request, engine, why)
        except (ImportError, ModelError) as error:
            _logger.warning("backend 'auto' runs on onnxruntime: %s", error)
    return CpuNetworks(request, "onnxruntime", why)


def why_not_a_gpu() -> str:
    """Why backend="auto" takes no GPU. It will take one that was measured to be faster than the CPU."""
    if not any(Path(file).exists() for file in GPU_FILES):
        return "no NVIDIA GPU was found"
    return (
        "no GPU was measured to be faster than the CPU for these networks; ask for it by name, with "
        "backend='tensorrt' or 'tensorrt-rtx'"
    )


def _on_gpu(product: str) -> Callable[[Request], Networks]:
    def make(request: Request) -> Networks:
        # Imported only where it is asked for.
        from fer_edge.backends.gpu_networks import on_gpu

        return on_gpu(product, request)

    return make


BACKENDS: dict[str, Callable[[Request], Networks]] = {
    "auto": _automatic,
    **{name: partial(CpuNetworks, engine=name) for name in backends.LOADERS},
    **{product: _on_gpu(product) for product in ON_GPU},
}

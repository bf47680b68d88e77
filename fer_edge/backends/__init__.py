"""The inference engines. A Recognizer takes both networks from `networks`; tools open one here."""

from collections.abc import Callable
from importlib.util import find_spec

from fer_edge.backends.base import Backend
from fer_edge.device.processor import has_amx_bfloat16
from fer_edge.models import ModelFile

# Opens a model with a number of threads (None: the default of the engine).
Opener = Callable[[ModelFile, int | None], Backend]


def _onnxruntime() -> Opener:
    from fer_edge.backends.ort import OrtBackend

    return OrtBackend


def _openvino() -> Opener:
    from fer_edge.backends.ov import OvBackend

    return OvBackend


# The engines of the CPU. A loader raises ImportError if its engine is not installed.
LOADERS: dict[str, Callable[[], Opener]] = {"onnxruntime": _onnxruntime, "openvino": _openvino}


def automatic() -> str:
    """Returns the engine of the CPU that "auto" takes: OpenVINO where it is installed and there is AMX."""
    return "openvino" if has_amx_bfloat16() and _is_installed("openvino") else "onnxruntime"


def _is_installed(module: str) -> bool:
    """Whether Python finds a package, and not only a folder of its name, which it would import as empty."""
    spec = find_spec(module)
    return spec is not None and spec.origin is not None


def opener_for(name: str) -> Opener:
    """Returns the function that opens models on an engine of the CPU, or on the one that "auto" takes.

    Raises:
        ValueError: the name is unknown.
        ImportError: the engine is not installed; the message has the pip command.
    """
    if name == "auto":
        return LOADERS[automatic()]()
    if name not in LOADERS:
        raise ValueError(f"backend must be one of auto, {', '.join(LOADERS)}, got {name!r}")
    return LOADERS[name]()

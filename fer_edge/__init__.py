"""Facial-expression recognition on the device: from a frame to faces with calibrated probabilities.

    import fer_edge

    recognizer = fer_edge.Recognizer()
    for face in recognizer(frame):          # uint8 [H, W, 3] BGR or [H, W] grey; NV12 with layout="nv12"
        print(face.label, face.confidence, face.box)

    with fer_edge.Stream(recognizer, source=0) as stream:   # camera, file, URL, folder or iterable
        for result in stream:                               # ids, steady expressions, events
            print(result.time, result.events)

Names are loaded on first use, so `import fer_edge` is fast and works without an inference engine.
"""

import zipimport

# Not that of typing, whose import takes longer than all of this package's start. Type checkers know the name.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from fer_edge import models
    from fer_edge.models import ModelError
    from fer_edge.recognizer import Recognizer
    from fer_edge.result import Face
    from fer_edge.stream.stream import Stream

if isinstance(__spec__.loader, zipimport.zipimporter):
    raise ImportError(
        f"fer_edge cannot be imported from the zip archive {__spec__.loader.archive}, because the compiled "
        "core and the networks must be files; install it with pip, or pack it with shiv, pex or "
        "PyInstaller, which unpack it"
    )

__version__ = "0.1.0"
__all__ = ["Face", "ModelError", "Recognizer", "Stream", "__version__", "models"]

_MODULES = {
    "Face": "fer_edge.result",
    "ModelError": "fer_edge.models",
    "Recognizer": "fer_edge.recognizer",
    "Stream": "fer_edge.stream.stream",
}


def __getattr__(name: str) -> object:
    import importlib

    if name == "models":
        return importlib.import_module("fer_edge.models")
    if name in _MODULES:
        return getattr(importlib.import_module(_MODULES[name]), name)
    raise AttributeError(f"module 'fer_edge' has no attribute {name!r}; it has {', '.join(__all__)}")


def __dir__() -> list[str]:
    return sorted(__all__)

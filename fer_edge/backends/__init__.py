"""The inference engines. A Recognizer takes both networks from `networks`; tools open one here."""

import logging
from collections.abc import Callable

from fer_edge.backends.base import Backend
from fer_edge.models import ModelFile

# Opens a model with a number of threads (None: the default of the engine).
Opener = Callable[[ModelFile, int | None], Backend]

_logger = logging.getLogger("fer_edge")


def _onnxruntime() -> Opener:
    from fer_edge.backends.ort import OrtBackend

    return OrtBackend


# name -> loader, in the order in which "auto" tries them. A loader raises ImportError if its engine is not
# installed.
LOADERS: dict[str, Callable[[], Opener]] = {"onnxruntime": _onnxruntime}


def opener_for(name: str) -> Opener:
    """Returns the function that opens models on an engine; "auto" takes the first installed engine.

    Raises:
        ValueError: the name is unknown.
        ImportError: the engine is not installed, or with "auto" none is; the message has the pip command.
    """
    if name != "auto":
        if name not in LOADERS:
            raise ValueError(f"backend must be one of auto, {', '.join(LOADERS)}, got {name!r}")
        return LOADERS[name]()
    missing: list[str] = []
    for candidate, loader in LOADERS.items():
        try:
            opener = loader()
        except ImportError as error:
            missing.append(f"{candidate}: {error}")
            continue
        if missing:
            _logger.warning("backend 'auto' runs on %s, because of %s", candidate, "; ".join(missing))
        return opener
    raise ImportError("no backend can run: " + "; ".join(missing))

"""The engines that can run a network, chosen once, from a table, when a Recognizer is made."""

import logging
from collections.abc import Callable

from fer_edge.backends.base import Backend
from fer_edge.models import ModelFile

# Opens a model with a number of threads (None: the engine's own choice for this machine).
Opener = Callable[[ModelFile, int | None], Backend]

_logger = logging.getLogger("fer_edge")


def _onnxruntime() -> Opener:
    from fer_edge.backends.ort import OrtBackend

    return OrtBackend


# name -> loader, in the order that "auto" tries them. A loader raises ImportError when its engine is not
# installed.
LOADERS: dict[str, Callable[[], Opener]] = {"onnxruntime": _onnxruntime}


def opener_for(name: str) -> Opener:
    """Returns what opens models on the named engine; "auto" takes the first engine that is installed.

    Raises:
        ValueError: an unknown name.
        ImportError: the engine, or with "auto" every engine, is not installed; the message has the pip line.
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

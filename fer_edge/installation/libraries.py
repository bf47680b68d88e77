"""Imports OpenCV and ONNX Runtime, which come in several distributions that overwrite each other.

A library that is missing, damaged, too old for the installed NumPy or left over from an uninstalled
distribution is one ImportError with the command that mends it. `fer_edge.installation.installed` finds this
command; it is imported only after a failure, because reading the metadata takes a tenth of a second.
"""

import contextlib
import importlib
import io
import os
import sys
import threading
from typing import Any

# import name -> an attribute that every working copy has. The folder of an uninstalled copy imports without
# an error, as an empty namespace package.
ATTRIBUTES = {"cv2": "imdecode", "onnxruntime": "InferenceSession", "numpy": "ndarray"}
# Variables that a library reads when it is imported. ONNX Runtime 1.32 would write an identifier and
# statistics of use into the user's cache folder, to send them.
ENVIRONMENT = {"onnxruntime": {"ORT_DISABLE_TELEMETRY": "1"}}
_importing = threading.Lock()


def load(name: str) -> Any:
    """Returns the module cv2, onnxruntime or numpy.

    Raises:
        ImportError: it cannot be used; the message has the reason and the command that mends it.
    """
    module, reason = attempt(name)
    if reason:
        from fer_edge.installation import installed

        command = installed.command_that_mends(name, reason)
        raise ImportError(f"{name} cannot be imported ({reason}); {command}")
    return module


def attempt(name: str) -> tuple[Any, str]:
    """Returns the module and "", or None and the reason why it cannot be used."""
    try:
        module = _imported(name)
    except (ImportError, AttributeError, RuntimeError, SystemError) as error:
        # ONNX Runtime raises an ImportError without a text where NumPy has printed the reason.
        return None, str(error).strip() or "it was built for another version of NumPy"
    if not hasattr(module, ATTRIBUTES[name]):
        return None, f"{_origin(module)} has no {name}.{ATTRIBUTES[name]}"
    return module, ""


def _imported(name: str) -> Any:
    """Imports a module without NumPy's forty lines on stderr about a module that was built for NumPy 1."""
    for variable, value in ENVIRONMENT.get(name, {}).items():
        os.environ.setdefault(variable, value)
    printed = io.StringIO()
    # redirect_stderr of two threads would restore each other's stream.
    with _importing, contextlib.redirect_stderr(printed):
        module = importlib.import_module(name)
    # Nothing failed, so the library's own words are passed on.
    if printed.getvalue() and sys.stderr is not None:
        sys.stderr.write(printed.getvalue())
    return module


def _origin(module: Any) -> str:
    """The file of a module, or the folder of a namespace package."""
    return str(getattr(module, "__file__", None) or next(iter(module.__path__)))

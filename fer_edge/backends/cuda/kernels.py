"""The extension with the CUDA kernels, which is built only where it was asked for."""

from typing import Any


def compiled_kernels() -> Any:
    """The extension `fer_edge._cuda`; None if it was not built."""
    try:
        from fer_edge import _cuda
    except ImportError:
        return None
    return _cuda

"""The precisions in which networks are trained, and in which teachers answer."""

import torch

PRECISIONS = ("float32", "bfloat16")


def autocast(device: torch.device, precision: str) -> torch.autocast:
    """Computes convolutions and matrix products in a precision.

    Raises ValueError for an unknown one.
    """
    if precision not in PRECISIONS:
        raise ValueError(f"precision must be one of {', '.join(PRECISIONS)}, got {precision!r}")
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16")


def default_precision(device: torch.device) -> str:
    """bfloat16 on a GPU; float32 on a CPU, because many compute bfloat16 more slowly."""
    return "bfloat16" if device.type == "cuda" else "float32"

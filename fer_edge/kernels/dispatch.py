"""Chooses the implementation of an operation.

| name | what | runs on | gradients |
| --- | --- | --- | --- |
| triton | compiled by Triton at the first call | CUDA devices; the CPU under TRITON_INTERPRET=1 | yes |
| cuda | the extension `fer_edge._cuda`, built with FER_EDGE_CUDA=1 | CUDA devices | no |
| reference | plain PyTorch | every device of PyTorch | yes |

"auto" takes the first implementation that can run; a name takes this implementation or raises.
"""

import functools
import importlib.util
import os
from collections.abc import Callable
from typing import Any, Literal, get_args

import torch

from fer_edge.installation.repair_commands import install_extra

Kernels = Literal["auto", "triton", "cuda", "reference"]
OPERATIONS = ("multi_branch_attention", "dcif", "filter_and_pool", "token_attention", "warp_normalize")
IMPLEMENTATIONS = ("triton", "cuda", "reference")
# Operations that an implementation lacks. The CUDA extension is for inference, filter_and_pool for training.
MISSING_OPERATIONS = {"cuda": ("filter_and_pool",)}


def active(device: torch.device | str | None = None) -> dict[str, str]:
    """The implementation that "auto" selects for each operation, without gradients.

    The default device is the current CUDA device, or the CPU if there is none.
    """
    kind = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu")).type
    return {operation: choose(operation, "auto", kind, gradients=False) for operation in OPERATIONS}


# The arguments are constants, so torch.compile calls this once and traces the chosen implementation.
@torch.compiler.assume_constant_result
def choose(operation: str, kernels: str, device: str, gradients: bool) -> str:
    """The name of the implementation that runs on a type of device ("cuda", "cpu").

    Raises:
        ValueError: the name is unknown, or the implementation lacks the operation or its gradients.
        ImportError: Triton or the extension was requested by name and is not installed.
        RuntimeError: the implementation is installed but cannot run on the device.
    """
    if kernels not in get_args(Kernels):
        raise ValueError(f"kernels must be one of {', '.join(get_args(Kernels))}, got {kernels!r}")
    if kernels != "auto":
        refusal = _refusal(operation, kernels, device, gradients)
        if refusal is not None:
            raise refusal
        return kernels
    return next(name for name in IMPLEMENTATIONS if _refusal(operation, name, device, gradients) is None)


def implementation(operation: str, kernels: str, device: str, gradients: bool) -> Callable[..., Any]:
    """The function that computes the operation; raises the errors of `choose`."""
    function: Callable[..., Any] = getattr(module(choose(operation, kernels, device, gradients)), operation)
    return function


def module(name: str) -> Any:
    """The module of an implementation, imported on first use.

    Its functions have the names of the operations and the arguments of the reference. It uses import
    statements because torch.compile can trace them, but not importlib.
    """
    if name == "triton":
        from . import triton_ops

        return triton_ops
    if name == "cuda":
        from . import cuda_ops

        return cuda_ops
    from . import reference

    return reference


def _refusal(operation: str, name: str, device: str, gradients: bool) -> Exception | None:
    """The error if the implementation cannot run, else None."""
    if name == "reference":
        return None
    if operation in MISSING_OPERATIONS.get(name, ()):
        return ValueError(f"kernels={name!r} has no {operation}; use triton or reference")
    if not installed(name):
        fix = {
            "triton": install_extra("kernels"),
            "cuda": "FER_EDGE_CUDA=1 pip install -e . in a checkout (see docs/kernels.md)",
        }[name]
        return ImportError(f"kernels={name!r} is not installed; {fix}")
    if name == "cuda" and gradients:
        return ValueError("kernels='cuda' computes no gradients; use triton, or torch.no_grad()")
    if device == "cuda" or (name == "triton" and interpreted()):
        return None
    hint = "; TRITON_INTERPRET=1 runs it on the CPU, very slowly" if name == "triton" else ""
    return RuntimeError(f"kernels={name!r} needs tensors on a CUDA device, got {device}; use reference{hint}")


def interpreted() -> bool:
    """Whether Triton runs kernels in its interpreter. Triton reads the variable when a kernel is defined."""
    return os.environ.get("TRITON_INTERPRET") == "1"


@functools.cache
def installed(name: str) -> bool:
    """Whether the package of an implementation is installed."""
    return importlib.util.find_spec({"triton": "triton", "cuda": "fer_edge._cuda"}[name]) is not None

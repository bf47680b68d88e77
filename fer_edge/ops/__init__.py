"""The three operations on pixels and network outputs. Their implementation is selected at import.

The compiled extension `fer_edge._core` has one target per instruction set, all bitwise equal to the NumPy
reference. Where it is not built, the target "opencv" uses OpenCV if that is installed; with_opencv.py states
its tolerance. `FER_EDGE_OPS` selects a target; the default is the best one for this machine.
"""

import os
from collections.abc import Sequence
from typing import Literal, Protocol

from fer_edge.arrays import F32, U8
from fer_edge.installation.repair_commands import REINSTALL, install_extra

from . import reference, with_opencv

__all__ = ["Operations", "decode_faces", "luma_from_bgr", "operations", "target", "targets", "warp_normalize"]


class Operations(Protocol):
    """The functions of every target; `reference` documents the arguments."""

    def luma_from_bgr(self, bgr: U8, out: U8 | None = None) -> U8: ...

    def warp_normalize(
        self,
        plane: U8,
        matrices: F32,
        out: F32,
        *,
        mean: float,
        scale: float,
        border: Literal["edge", "constant"] = "edge",
        fill: float = 0.0,
    ) -> None: ...

    def decode_faces(
        self, maps: Sequence[F32], *, threshold: float, overlap: float
    ) -> tuple[F32, F32, F32]: ...


def targets() -> list[str]:
    """The targets that this machine can run, best first; the last is always "reference"."""
    try:
        import fer_edge._core as core
    except ModuleNotFoundError:
        compiled = []
    else:
        compiled = core.targets()
    return [*compiled, *(["opencv"] if with_opencv.is_installed() else []), "reference"]


def operations(name: str) -> Operations:
    """The operations of one target.

    Raises:
        ImportError: the target is compiled, but the extension was not built; or it is "opencv", which is not
            installed. An OpenCV that is installed and broken raises it in the first call of an operation.
        ValueError: the target does not exist, or this machine cannot run it.
    """
    if name == "reference":
        return reference
    available = targets()
    if name == "opencv":
        if name not in available:
            raise ImportError(f"the target 'opencv' needs OpenCV; run `{install_extra('opencv')}`")
        return with_opencv
    if set(available) <= {"opencv", "reference"}:
        raise ImportError(f"the target {name!r} needs the extension, which was not built; run `{REINSTALL}`")
    if name not in available:
        raise ValueError(f"FER_EDGE_OPS must be one of {', '.join(available)} on this machine, got {name!r}")
    from .compiled import Compiled

    return Compiled(name)


target: str = os.environ.get("FER_EDGE_OPS") or targets()[0]
_selected = operations(target)
luma_from_bgr = _selected.luma_from_bgr
warp_normalize = _selected.warp_normalize
decode_faces = _selected.decode_faces

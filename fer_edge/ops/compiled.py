"""A compiled target with the signatures of the reference, which documents them.

The functions of the extension take positional arguments only, because pybind11 needs 0.1 us per keyword
argument; this class needs 0.1 us in total.
"""

from collections.abc import Sequence
from typing import Literal

from fer_edge import _core
from fer_edge.arrays import F32, U8


class Compiled:
    """The operations of the target `name`."""

    def __init__(self, name: str) -> None:
        self._table = _core.table(name)

    def luma_from_bgr(self, bgr: U8, out: U8 | None = None) -> U8:
        """See `reference.luma_from_bgr`."""
        return self._table.luma_from_bgr(bgr, out)

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
    ) -> None:
        """See `reference.warp_normalize`."""
        self._table.warp_normalize(plane, matrices, out, mean, scale, border, fill)

    def decode_faces(self, maps: Sequence[F32], *, threshold: float, overlap: float) -> tuple[F32, F32, F32]:
        """See `reference.decode_faces`."""
        return self._table.decode_faces(maps, threshold, overlap)

from collections.abc import Sequence
from typing import Literal

from fer_edge.arrays import F32, U8

class Table:
    @property
    def name(self) -> str: ...
    def luma_from_bgr(self, bgr: U8, out: U8 | None, /) -> U8: ...
    def warp_normalize(
        self,
        plane: U8,
        matrices: F32,
        out: F32,
        mean: float,
        scale: float,
        border: Literal["edge", "constant"],
        fill: float,
        /,
    ) -> None: ...
    def decode_faces(
        self, maps: Sequence[F32], threshold: float, overlap: float, /
    ) -> tuple[F32, F32, F32]: ...

def targets() -> list[str]: ...
def table(name: str) -> Table: ...

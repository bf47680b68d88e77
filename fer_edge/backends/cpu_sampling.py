"""The part that is the same for all backends whose network reads the CPU's memory."""

from fer_edge import ops
from fer_edge.arrays import F32
from fer_edge.backends.base import Plane, Sampling, plane_on_host


class SamplesOnCpu:
    """Samples pictures into the array of `reserve`."""

    def reserve(self, shape: tuple[int, ...]) -> F32:
        raise NotImplementedError

    def sample(self, plane: Plane, matrices: F32, sides: tuple[int, int], sampling: Sampling) -> None:
        out = self.reserve((len(matrices), 1, *sides))
        mean, scale, border, fill = sampling
        ops.warp_normalize(
            plane_on_host(plane), matrices, out, mean=mean, scale=scale, border=border, fill=fill
        )

    def changed(self) -> None:
        """The network reads the same memory."""

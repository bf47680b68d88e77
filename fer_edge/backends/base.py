"""The protocols of an inference engine, and of the two networks of a Recognizer on it."""

from typing import Any, Literal, NamedTuple, Protocol

import numpy as np

from fer_edge.arrays import F32, U8


class PlaneOnDevice(Protocol):
    """The luma plane of a frame, for the networks of a GPU."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Height and width."""

    def host(self) -> U8:
        """The plane on the CPU."""


# A luma plane uint8 [H, W], or what `Networks.plane` made of one.
Plane = U8 | PlaneOnDevice


def plane_on_host(plane: Plane) -> U8:
    """Returns the plane as an array."""
    return plane if isinstance(plane, np.ndarray) else plane.host()


class Sampling(NamedTuple):
    """The settings of `ops.warp_normalize`."""

    mean: float
    scale: float
    border: Literal["edge", "constant"]
    fill: float = 0.0


class Backend(Protocol):
    """One loaded network. Several threads may use it at once: each has its own input."""

    def reserve(self, shape: tuple[int, ...]) -> F32:
        """Returns an input array of this shape for the calling thread, valid until its next reserve.

        The values are undefined; the caller must set all of them.
        """

    def sample(self, plane: Plane, matrices: F32, sides: tuple[int, int], sampling: Sampling) -> None:
        """Makes the calling thread's input by `ops.warp_normalize`: one picture of these sides per matrix."""

    def sampled(self) -> F32:
        """Returns what `sample` made, on the CPU; `run` uses the changes that the caller makes to it.

        They must be announced by `changed`.
        """

    def changed(self) -> None:
        """Says that the array from `sampled` was changed."""

    def run(self) -> list[F32]:
        """Runs on the input that the calling thread made last; returns the outputs in order."""

    def close(self) -> None:
        """Releases the memory of the engine; `run` raises RuntimeError afterwards.

        No other thread is in `run`. May be called twice, also by a signal handler between two runs of a call.
        """

    def info(self) -> dict[str, object]:
        """Returns name, version, provider and threads in use."""


class Networks(Protocol):
    """The two networks of a Recognizer, on one machine."""

    @property
    def detector(self) -> Backend: ...
    @property
    def expression(self) -> Backend: ...

    def plane(self, luma: U8) -> Plane:
        """Begins a frame: returns its luma plane, for `Backend.sample`. The array must stay as it is."""

    def plane_on_device(self, frame: Any, layout: str | None) -> Plane | None:
        """The same for a frame that is in the memory of a GPU; None if it is not, or cannot be used there."""

    def info(self) -> dict[str, object]:
        """As `Backend.info`, and which of several engines answers."""

    def close(self) -> None:
        """Releases both networks; as `Backend.close`."""

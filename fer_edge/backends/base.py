"""The protocols of an inference engine, and of the two networks of a Recognizer on it."""

from typing import Any, Literal, NamedTuple, Protocol

from fer_edge.arrays import F32, U8


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

    def sample(self, plane: Any, matrices: F32, sides: tuple[int, int], sampling: Sampling) -> None:
        """Makes the calling thread's input by `ops.warp_normalize`: one picture of these sides per matrix.

        The plane is a luma plane, uint8 [H, W], or what `Networks.plane` made of one.
        """

    def sampled(self) -> F32:
        """Returns what `sample` made, on the CPU; `run` uses the changes that the caller makes to it.

        They must be announced by `changed`.
        """

    def changed(self) -> None:
        """Says that the array from `sampled` was changed."""

    def run(self) -> list[F32]:
        """Runs on the input that the calling thread made last; returns the outputs in order."""

    def close(self) -> None:
        """Releases the memory of the engine; the backend cannot be used afterwards."""

    def info(self) -> dict[str, object]:
        """Returns name, version, provider and threads in use."""


class Networks(Protocol):
    """The two networks of a Recognizer, on one machine."""

    @property
    def detector(self) -> Backend: ...
    @property
    def expression(self) -> Backend: ...

    def plane(self, luma: U8) -> Any:
        """Begins a frame: returns its luma plane, for `Backend.sample`. The array must stay as it is.

        It is the array itself or has `shape`, and `host()` for the array.
        """

    def plane_on_device(self, frame: Any, layout: str | None) -> Any:
        """The same for a frame that is in the memory of a GPU; None if it is not, or cannot be used there."""

    def info(self) -> dict[str, object]:
        """As `Backend.info`, and which of several engines answers."""

    def close(self) -> None:
        """Releases both networks; a second call does nothing."""

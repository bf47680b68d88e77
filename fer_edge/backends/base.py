"""The protocol of an inference engine."""

from typing import Protocol

from fer_edge.arrays import F32


class Backend(Protocol):
    """One loaded network. Several threads may use it at once: each has its own input."""

    def reserve(self, shape: tuple[int, ...]) -> F32:
        """Returns an input array of this shape for the calling thread, valid until its next reserve.

        The values are undefined; the caller must set all of them.
        """

    def run(self) -> list[F32]:
        """Runs on the input that the calling thread reserved last; returns the outputs in order."""

    def close(self) -> None:
        """Releases the memory of the engine; `run` raises RuntimeError afterwards.

        No other thread is in `run`. May be called twice, also by a signal handler between two runs of a call.
        """

    def info(self) -> dict[str, object]:
        """Returns name, version, provider and threads in use."""

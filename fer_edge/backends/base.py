"""What the stages ask of an engine: hand out its input, run, say what it is."""

from typing import Protocol

from fer_edge.arrays import F32


class Backend(Protocol):
    """One network, loaded. Several threads may use it at once: what one reserved belongs to it."""

    def reserve(self, shape: tuple[int, ...]) -> F32:
        """Returns the engine's input of that shape for the calling thread, valid until its next reserve.

        The values are undefined; the caller fills all of them.
        """

    def run(self) -> list[F32]:
        """Runs on what the calling thread reserved last and returns the outputs in the network's order."""

    def close(self) -> None:
        """Gives the engine's memory back; the backend is of no use afterwards."""

    def info(self) -> dict[str, object]:
        """Returns what really runs: name, version, provider, threads."""

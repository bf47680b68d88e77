"""What is timed in a scenario, with what its row says of it."""

from collections.abc import Callable
from dataclasses import dataclass, field

from fer_edge.benchmark.measure.loop import Subject
from fer_edge.benchmark.work.fresh_process import Settings
from fer_edge.models import ModelFile


@dataclass(frozen=True, slots=True)
class Variant:
    """An expression network on an engine."""

    model: ModelFile
    backend: str
    threads: int


@dataclass(frozen=True, slots=True)
class Candidate:
    """A subject of a scenario. The fields are those of the row (fer_edge.benchmark.result).

    Attributes:
        count: returns the faces of a frame, on average; called after the measurement.
        stages: measures milliseconds by stage in a second pass.
        fresh: what a fresh process needs to do the same, for its peak memory.
    """

    name: str
    subject: Subject
    model: str = ""
    precision: str = ""
    backend: str = ""
    threads: int = 1
    batch: int = 1
    input: str = ""
    count: Callable[[], float] = field(default=lambda: 1.0)
    stages: Callable[[], dict[str, float]] = field(default=dict)
    fresh: Settings | None = None

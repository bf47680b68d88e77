"""A clock that only moves when it is told to, for the timing loop, and made rows."""

from collections.abc import Callable
from dataclasses import replace

from fer_edge.benchmark.result import Row


class TickingClock:
    """Seconds that pass when work is done."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    def work(self, *milliseconds: float) -> Callable[[], None]:
        """A function that takes these times in turn, again and again."""
        calls = 0

        def run() -> None:
            nonlocal calls
            self.now += milliseconds[calls % len(milliseconds)] / 1e3
            calls += 1

        return run


ROW = Row(
    scenario="EndToEnd",
    subject="stream",
    model="tkfnet-nano",
    precision="int8",
    backend="onnxruntime",
    threads=1,
    batch=1,
    input="640x480, 1 face",
    faces=1.0,
    queries=400,
    seconds=4.0,
    ms={"p25": 9.0, "p50": 10.0, "p75": 11.0, "p90": 12.0, "p99": 14.0, "mean": 10.0},
    ms_95=dict.fromkeys(("p25", "p50", "p75", "p90", "p99", "mean"), (9.5, 12.5)),
    rate=100.0,
    rate_95=(98.0, 102.0),
    stages={"detect": 6.0, "infer": 3.0},
    peak_mb=70.0,
    watts=None,
    joules_per_face=None,
    unstable=(),
    turns_ms=((10.0, 10.0, 11.0), (9.0, 10.0, 10.0)),
)


def row(**changes: object) -> Row:
    """A row of a stream with one face, with changes."""
    return replace(ROW, **changes)


CONTEXT = {
    "processor": "Made CPU",
    "instruction_sets": ["avx2"],
    "cores": 2,
    "ops": "avx2",
    "fer_edge": "0.1.0",
    "commit": None,
    "packages": {"numpy": "2.0"},
    "load_average": 0.25,
    "load_average_after": 1.0,
    "board": {"model": None, "power_mode": None},
}

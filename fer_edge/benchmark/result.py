"""The result of a run, as it is written to and read from JSON.

The format has a version, which changes when a reader of the old one would misread the new one.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from fer_edge.atomic_file import atomic_write
from fer_edge.benchmark.measure.loop import Turns
from fer_edge.benchmark.measure.statistics import rounded
from fer_edge.models import ModelError
from fer_edge.records import decode

FORMAT, VERSION = "fer_edge benchmark", 1
Scenario = Literal["SingleStream", "MultiStream", "Offline", "EndToEnd", "ColdStart"]
# What a scenario is judged by, as in MLPerf Inference: a percentile of the milliseconds of a query, or the
# rate.
HEADLINES: Mapping[str, str] = {
    "SingleStream": "p90",
    "MultiStream": "p99",
    "Offline": "rate",
    "EndToEnd": "rate",
    "ColdStart": "p50",
}
RATE_UNITS = {"EndToEnd": "frames/s"}
# At most this many turns of a row, and calls of a turn, are kept for comparisons, evenly chosen.
KEPT_TURNS, KEPT_CALLS = 100, 20


@dataclass(frozen=True, slots=True)
class Row:
    """What was measured of one subject in one scenario.

    Attributes:
        subject: "network", "each frame searched", "stream", "fresh process", or the name of a peer.
        model, precision, backend, threads: what ran; "" where it does not apply.
        batch: faces a query.
        input: what a query shows, as "640x480, 4 faces"; "" for a network.
        faces: found in a frame, on average; for a network its batch.
        queries, seconds: that were counted.
        ms: milliseconds of a query: "p25", "p50", "p75", "p90", "p99", "mean".
        ms_95: the ends of the 95 % interval of each.
        rate, rate_95: faces a second, for EndToEnd frames a second, with the ends of its interval.
        stages: milliseconds of a query by stage, medians; for a stream means over its frames.
        peak_mb: largest resident memory of a fresh process that does only this; None for peers.
        watts, joules_per_face: of the whole module while only this ran; None without a power meter.
        unstable: why the figures should not be trusted; empty if they may be.
        turns_ms: a part of the single times, by turn, for comparisons.
    """

    scenario: Scenario
    subject: str
    model: str
    precision: str
    backend: str
    threads: int
    batch: int
    input: str
    faces: float
    queries: int
    seconds: float
    ms: dict[str, float]
    ms_95: dict[str, tuple[float, ...]]
    rate: float
    rate_95: tuple[float, ...]
    stages: dict[str, float]
    peak_mb: float | None
    watts: float | None
    joules_per_face: float | None
    unstable: tuple[str, ...]
    turns_ms: tuple[tuple[float, ...], ...]

    @property
    def key(self) -> tuple[object, ...]:
        """What another run of the same subject shares."""
        names = ("scenario", "subject", "model", "precision", "backend", "threads", "batch", "input")
        return tuple(getattr(self, name) for name in names)

    @property
    def rate_unit(self) -> str:
        """Of `rate`."""
        return RATE_UNITS.get(self.scenario, "faces/s")


@dataclass(frozen=True, slots=True)
class Result:
    """All rows of a run, with the context of the measurement and the settings of the run."""

    context: dict[str, Any]
    settings: dict[str, Any]
    rows: tuple[Row, ...]


def kept(turns: Turns) -> tuple[tuple[float, ...], ...]:
    """The part of the times that a result keeps."""
    chosen = _evenly(turns, KEPT_TURNS)
    return tuple(tuple(rounded(time) for time in _evenly(turn, KEPT_CALLS)) for turn in chosen)


def write_result(result: Result, path: Path) -> None:
    """Writes a result as JSON, completely or not at all; raises OSError."""
    content = {"format": FORMAT, "version": VERSION, "context": result.context, "settings": result.settings}
    # One line a row, so that the file can be read and compared by line.
    rows = ",\n".join(json.dumps(asdict(row)) for row in result.rows)
    text = json.dumps(content, indent=2).removesuffix("\n}") + f',\n  "rows": [\n{rows}\n]\n}}\n'
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as partial:
        partial.write_text(text, encoding="utf-8")


def read_result(path: Path) -> Result:
    """Reads a result.

    Raises:
        OSError: the file cannot be read.
        ModelError: it is no result of `fer-edge benchmark`, or one of another version.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ModelError(f"{path} is no JSON ({error}); give a file that --json wrote") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise ModelError(f'{path} has no "format": "{FORMAT}"; give a file that --json wrote')
    if content.get("version") != VERSION:
        raise ModelError(
            f"{path}: version must be {VERSION}, got {content.get('version')!r}; measure again, or use the "
            "fer_edge that wrote it"
        )
    for name, kind in (("context", dict), ("settings", dict), ("rows", list)):
        if not isinstance(content.get(name), kind):
            raise ModelError(f"{path}: {name} is missing or no {kind.__name__}; measure again")
    rows = tuple(decode(Row, row, f"{path}: rows[{i}]") for i, row in enumerate(content["rows"]))
    return Result(content["context"], content["settings"], rows)


def _evenly(values: Iterable[Any], count: int) -> list[Any]:
    values = list(values)
    if len(values) <= count:
        return values
    return [values[index * len(values) // count] for index in range(count)]

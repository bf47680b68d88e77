"""ColdStart: import, constructor and first result in fresh processes, the variants in turn."""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from fer_edge.benchmark.measure.loop import Subject, Turns
from fer_edge.benchmark.work.candidate import Candidate, Variant
from fer_edge.benchmark.work.clips import drawn_clip
from fer_edge.benchmark.work.frames import frame_settings
from fer_edge.benchmark.work.fresh_process import STAGES, FreshProcess, Settings, run_fresh

FRAME = (640, 480)  # that is recognised first, with one face


@dataclass(slots=True)
class ColdStart:
    """The starts of one variant."""

    candidate: Candidate
    settings: Settings
    processes: list[FreshProcess] = field(default_factory=list)

    @property
    def turns(self) -> Turns:
        """The whole of each start in milliseconds."""
        return [[sum(process.stages_ms)] for process in self.processes]

    @property
    def stages(self) -> dict[str, float]:
        """Median milliseconds of each stage."""
        columns = zip(*(process.stages_ms for process in self.processes), strict=True)
        return {stage: statistics.median(column) for stage, column in zip(STAGES, columns, strict=True)}

    @property
    def peak_mb(self) -> float:
        """Median peak of the memory, after some frames."""
        return statistics.median(process.peak_mb for process in self.processes)


def cold_starts(
    variants: Sequence[Variant],
    detector: str,
    folder: Path,
    processes: int,
    on_progress: Callable[[float], None],
) -> list[ColdStart]:
    """Starts so many processes of each variant, after one that is not counted."""
    frame, clip = folder / "frame.npy", drawn_clip(1, *FRAME)
    np.save(frame, clip.frames[0])
    starts = [
        ColdStart(_candidate(variant, clip.name), frame_settings(variant, detector, frame))
        for variant in variants
    ]
    for number in range(processes + 1):
        for start in starts:
            process = run_fresh(start.settings)
            if number:
                start.processes.append(process)
        on_progress((number + 1) / (processes + 1))
    return starts


def _candidate(variant: Variant, shown: str) -> Candidate:
    return Candidate(
        name="fresh process",
        subject=Subject(lambda: None),
        model=variant.model.spec.name,
        precision=variant.model.precision,
        backend=variant.backend,
        threads=variant.threads,
        input=shown,
    )

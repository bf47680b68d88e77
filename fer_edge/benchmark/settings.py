"""What a run measures: the settings of `fer-edge benchmark`, checked."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import get_args

from fer_edge.benchmark.measure.loop import Limits
from fer_edge.benchmark.result import Scenario
from fer_edge.benchmark.work.peers.expression import PeerInput
from fer_edge.settings import MAX_THREADS

SCENARIOS: tuple[Scenario, ...] = get_args(Scenario)
# Smallest number of queries by scenario, so that the percentile it is judged by is known. MLPerf's LoadGen
# wants 1024 for SingleStream, and 662 for the p99 of MultiStream.
QUERIES = {"SingleStream": 1024, "MultiStream": 662, "Offline": 100, "EndToEnd": 300}
PROCESSES = 10  # of ColdStart
QUICK_SHARE, QUICK_SECONDS = 0.1, 0.3
MAX_FACES_DRAWN = 32


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of a run, all of which are written into its result.

    Attributes:
        models: embedded names or paths of expression networks.
        seconds: smallest duration of a row. queries: smallest number of queries, None: by scenario.
        threads, batches, faces: a row for each. batches are those of Offline.
        frame: (width, height) of drawn frames.
        video, photo: replace the drawn frames.
        quick: a tenth of the queries, for a first look.
        yunet, peer, peer_input: peers.
    """

    scenarios: Sequence[Scenario] = SCENARIOS
    models: Sequence[str] = ("tkfnet-nano", "tkfnet-nano-float32")
    detector: str = "face-luma"
    backends: Sequence[str] = ("auto",)
    threads: Sequence[int] = (1,)
    batches: Sequence[int] = (1, 8, 32)
    faces: Sequence[int] = (0, 1, 4, 16)
    frame: tuple[int, int] = (640, 480)
    video: Path | None = None
    photo: Path | None = None
    seconds: float = 3.0
    queries: int | None = None
    quick: bool = False
    yunet: Path | None = None
    peer: Path | None = None
    peer_input: PeerInput = field(default=PeerInput(224, 3, 127.5, 1 / 127.5))

    def __post_init__(self) -> None:
        for name, values, low, high in (
            ("threads", self.threads, 1, MAX_THREADS),
            ("batch", self.batches, 1, 1024),
            ("faces", self.faces, 0, MAX_FACES_DRAWN),
            ("frame", self.frame, 64, 8192),
        ):
            if wrong := [value for value in values if not low <= value <= high]:
                raise ValueError(f"--{name} must be from {low} to {high}, got {wrong[0]}")
        if not 0 < self.seconds <= 3600:
            raise ValueError(f"--seconds must be from 0 to 3600, got {self.seconds:g}")
        if self.queries is not None and self.queries < 1:
            raise ValueError(f"--queries must be at least 1, got {self.queries}")
        if self.video is not None and self.photo is not None:
            raise ValueError("--video and --photo exclude each other; give one")

    def limits(self, scenario: Scenario) -> Limits:
        """When a scenario is complete."""
        if scenario == "ColdStart":
            return Limits(max(2, round(PROCESSES * self._share)), self.seconds, warm_up=1)
        queries = self.queries or max(1, round(QUERIES[scenario] * self._share))
        seconds = min(self.seconds, QUICK_SECONDS) if self.quick else self.seconds
        return Limits(queries, seconds, warm_up=20)

    @property
    def _share(self) -> float:
        return QUICK_SHARE if self.quick else 1.0

"""EndToEnd: from a BGR frame in memory to faces with expressions. Decoding a video is not part of it."""

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from fer_edge import models
from fer_edge.benchmark.measure.loop import Clock, Subject
from fer_edge.benchmark.work.candidate import Candidate, Variant
from fer_edge.benchmark.work.clips import Clip
from fer_edge.benchmark.work.fresh_process import Settings
from fer_edge.benchmark.work.stages import FRAMES, stage_medians
from fer_edge.recognizer import Recognizer
from fer_edge.stream import Stream


class Frames:
    """Recognisers of all variants on one clip. `close` frees them.

    Args:
        detector: name or path of the detector.
        folder: for the frame that fresh processes read.
    """

    def __init__(
        self, variants: Sequence[Variant], detector: str, clip: Clip, folder: Path, clock: Clock
    ) -> None:
        self._opened = ExitStack()
        self._clip, self._clock = clip, clock
        frame = folder / f"frame-{len(list(folder.iterdir()))}.npy"
        np.save(frame, clip.frames[0])
        self.candidates: list[Candidate] = []
        for variant in variants:
            recognizer = Recognizer(
                variant.model.path, detector=detector, backend=variant.backend, threads=variant.threads
            )
            self._opened.enter_context(recognizer)
            fresh = frame_settings(variant, detector, frame)
            self.candidates += [
                self._candidate(variant, Searched(recognizer, clip), clock, fresh),
                self._candidate(variant, Streamed(recognizer, clip), clock, fresh),
            ]

    def _candidate(
        self, variant: Variant, player: "Searched | Streamed", clock: Clock, fresh: Settings
    ) -> Candidate:
        return Candidate(
            name=player.name,
            subject=Subject(player),
            model=variant.model.spec.name,
            precision=variant.model.precision,
            backend=player.backend,
            threads=variant.threads,
            input=self._clip.name,
            count=player.mean_faces,
            stages=lambda: player.stages(clock),
            fresh=fresh,
        )

    def close(self) -> None:
        """Releases the recognisers."""
        self._opened.close()


class Searched:
    """Each call searches the next frame as a whole."""

    name = "each frame searched"

    def __init__(self, recognizer: Recognizer, clip: Clip) -> None:
        self._recognizer, self._frames = recognizer, clip.endless()
        self.backend = str(recognizer.info()["backend"])
        self._faces = self._calls = 0

    def __call__(self) -> None:
        self._faces += len(self._recognizer(next(self._frames)[1]))
        self._calls += 1

    def mean_faces(self) -> float:
        """Faces of a frame."""
        return self._faces / max(1, self._calls)

    def stages(self, clock: Clock) -> dict[str, float]:
        """Median milliseconds by stage."""
        return stage_medians(self._recognizer, self, clock)


class Streamed:
    """Each call takes the next frame of a stream with default settings, which follows faces."""

    name = "stream"

    def __init__(self, recognizer: Recognizer, clip: Clip) -> None:
        self._stream = Stream(recognizer, clip.endless())
        self.backend = str(recognizer.info()["backend"])
        self._faces = self._calls = 0
        self._timings: dict[str, float] = {}

    def __call__(self) -> None:
        result = next(self._stream)
        self._timings = dict(result.timings)
        self._faces += len(result.faces)
        self._calls += 1

    def mean_faces(self) -> float:
        """Faces of a frame."""
        return self._faces / max(1, self._calls)

    def stages(self, clock: Clock) -> dict[str, float]:
        """Mean milliseconds by stage, because many frames do without a search; the stream times itself."""
        sums: dict[str, float] = {}
        for _ in range(FRAMES):
            self()
            for stage, milliseconds in self._timings.items():
                if stage not in ("read", "total"):
                    sums[stage] = sums.get(stage, 0.0) + milliseconds
        return {stage: milliseconds / FRAMES for stage, milliseconds in sums.items()}


def frame_settings(variant: Variant, detector: str, frame: Path) -> Settings:
    """What a fresh process needs to recognise the faces of a frame."""
    return {
        "work": "frame",
        "model": str(variant.model.path.absolute()),
        "detector": str(models.path_of(detector).absolute()),
        "backend": variant.backend,
        "threads": variant.threads,
        "frame": str(frame),
    }

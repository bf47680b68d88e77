"""The stages of a recogniser, timed at the calls that it makes.

The time of a stage is measured in a pass of its own, so that the clock is not part of the total.
"""

import statistics
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from fer_edge.benchmark.measure.loop import Clock
from fer_edge.recognizer import Recognizer
from fer_edge.stages import expressions, image

FRAMES = 60


def stage_medians(recognizer: Recognizer, query: Callable[[], object], clock: Clock) -> dict[str, float]:
    """Median milliseconds of each stage over some queries; a stage that does not run has no entry."""
    with timed_stages(recognizer, clock) as times:
        for _ in range(FRAMES):
            query()
    return {stage: statistics.median(values) for stage, values in times.items() if values}


@contextmanager
def timed_stages(recognizer: Recognizer, clock: Clock) -> Iterator[dict[str, list[float]]]:
    """Within it, each stage adds its milliseconds to its list. For one thread."""
    times: dict[str, list[float]] = {}
    calls: tuple[tuple[object, str, str], ...] = (
        (image, "luma_from_frame", "luma"),
        (recognizer, "_detect", "detect"),
        (expressions, "matrices_from_landmarks", "align"),
        (expressions, "sample_from_frame", "preprocess"),
        (recognizer._networks.expression, "run", "infer"),
    )
    before = [(owner, name, vars(owner).get(name)) for owner, name, _ in calls]
    for owner, name, stage in calls:
        setattr(owner, name, _timed(getattr(owner, name), times.setdefault(stage, []), clock))
    try:
        yield times
    finally:
        for owner, name, own in before:
            # A method of the class, which the instance did not have itself.
            if own is None:
                delattr(owner, name)
            else:
                setattr(owner, name, own)


def _timed(call: Callable[..., object], times: list[float], clock: Clock) -> Callable[..., object]:
    def timed(*args: object, **settings: object) -> object:
        start = clock()
        result = call(*args, **settings)
        times.append((clock() - start) * 1e3)
        return result

    return timed

"""The timing loop: all subjects of a scenario in turns, so that each meets the same load of the machine.

A turn takes about TURN_S, whatever the subject takes, so that all have about the same time. The order is
drawn anew for each round, because the previous subject decides what is in the caches. The first call of a
turn fills the caches and is not counted.
"""

import random
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

# Seconds, as time.perf_counter.
Clock = Callable[[], float]
# Milliseconds of the calls of each turn.
Turns = list[list[float]]

TURN_S = 0.05
MAX_CALLS = 1000  # of a turn, for subjects that take no measurable time
# With fewer calls a turn, a call takes 10 ms and more. Then cold caches do not matter, and an uncounted call
# would cost too much.
MIN_CALLS_FOR_UNCOUNTED = 5
MIN_ROUNDS = 6
# A slow machine need not reach the number of queries: it stops after this multiple of the duration.
MAX_STRETCH = 10


@dataclass(frozen=True, slots=True)
class Limits:
    """When a measurement is complete: both the number of queries and the seconds of each subject."""

    queries: int
    seconds: float
    warm_up: int = 20  # queries that are not counted

    @property
    def max_seconds(self) -> float:
        """Seconds of a subject after which it ends without its number of queries."""
        return self.seconds * MAX_STRETCH


@dataclass(frozen=True, slots=True)
class Subject:
    """What is timed: `run` answers one query. `prepare` is called before each turn, outside the time."""

    run: Callable[[], object]
    prepare: Callable[[], object] = lambda: None


def measure_in_turns(
    subjects: Sequence[Subject],
    limits: Limits,
    clock: Clock = time.perf_counter,
    on_progress: Callable[[float], None] = lambda share: None,
) -> list[Turns]:
    """Returns the times of each subject in milliseconds, by turn; `on_progress` gets the share done."""
    calls = [_warm_up(subject, limits.warm_up, clock) for subject in subjects]
    times: list[Turns] = [[] for _ in subjects]
    seconds = [0.0] * len(subjects)
    order = list(range(len(subjects)))
    shuffle = random.Random(0).shuffle
    while (share := _share_done(times, seconds, limits)) < 1:
        on_progress(share)
        shuffle(order)
        for index in order:
            turn = _turn(subjects[index], calls[index], clock)
            times[index].append(turn)
            seconds[index] += sum(turn) / 1e3
    return times


def _warm_up(subject: Subject, queries: int, clock: Clock) -> int:
    """Runs the first queries; returns the number of calls of a turn."""
    subject.prepare()
    times = []
    for _ in range(max(1, queries)):
        start = clock()
        subject.run()
        times.append(clock() - start)
    # The later half, because the first calls are slower.
    typical = statistics.median(times[len(times) // 2 :])
    return max(1, min(MAX_CALLS, round(TURN_S / max(typical, 1e-9))))


def _turn(subject: Subject, calls: int, clock: Clock) -> list[float]:
    subject.prepare()
    run = subject.run
    if calls >= MIN_CALLS_FOR_UNCOUNTED:
        run()
    times = []
    for _ in range(calls):
        start = clock()
        run()
        times.append((clock() - start) * 1e3)
    return times


def _share_done(times: Sequence[Turns], seconds: Sequence[float], limits: Limits) -> float:
    """The share of the subject that is furthest from its end; 1: all are complete."""
    return min(map(lambda turns, spent: _share_of_one(turns, spent, limits), times, seconds), default=1.0)


def _share_of_one(turns: Turns, spent: float, limits: Limits) -> float:
    queries = sum(map(len, turns))
    wanted = min(queries / limits.queries, spent / limits.seconds)
    return min(len(turns) / MIN_ROUNDS, max(wanted, spent / limits.max_seconds))

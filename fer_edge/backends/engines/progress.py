"""Progress and cancellation of a build, through TensorRT's progress monitor.

The builder reports nested phases with a known number of steps each, from several threads. It asks after each
step whether to go on. An exception cannot pass through it, so one of the caller's is kept until it returns.
"""

import threading
import time
from collections.abc import Callable
from concurrent.futures import CancelledError, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

from fer_edge.backends.engines.surface import Bindings

Result = TypeVar("Result")
# Below this share of the work, the time left is a guess.
_KNOWN_FROM = 0.05


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a build is.

    Attributes:
        share: of the steps that are known so far, in [0, 1]; it never falls.
        phase: the builder's name of the innermost phase.
        elapsed_s: seconds since the build began.
        left_s: estimate of the seconds that are left; None while it is too early to say.
    """

    share: float
    phase: str
    elapsed_s: float
    left_s: float | None


@dataclass(slots=True)
class _Phase:
    parent: str | None
    steps: int
    done: int = 0


class Phases:
    """Counts the steps of nested phases. Thread-safe."""

    def __init__(self, report: Callable[[Progress], None]) -> None:
        self._report = report
        self._running: dict[str, _Phase] = {}
        self._lock = threading.Lock()
        self._start = time.monotonic()
        self._share = 0.0
        self.error: BaseException | None = None

    def started(self, name: str, parent: str | None, steps: int) -> None:
        """A phase begins."""
        with self._lock:
            self._running[name] = _Phase(parent, steps)
            self._tell(name)

    def advanced(self, name: str, step: int) -> None:
        """A step of a phase is complete; the first is 0."""
        with self._lock:
            if phase := self._running.get(name):
                phase.done = max(phase.done, step + 1)
                self._tell(name)

    def finished(self, name: str) -> None:
        """A phase ends; steps that were not reported are not needed."""
        with self._lock:
            if phase := self._running.get(name):
                phase.done = phase.steps
                self._tell(name)
                del self._running[name]

    def _tell(self, name: str) -> None:
        self._share = max(self._share, self._share_of_all(name))
        elapsed = time.monotonic() - self._start
        known = self._share >= _KNOWN_FROM
        left = elapsed * (1 - self._share) / self._share if known else None
        try:
            self._report(Progress(self._share, name, elapsed, left))
        except BaseException as error:  # noqa: BLE001, raised again by build_with_progress
            self.error = self.error or error

    def _share_of_all(self, name: str) -> float:
        """The share of the outermost phase, counting the part of its current step that `name` has done."""
        share, phase = 0.0, self._running.get(name)
        while phase:
            share = min(1.0, (phase.done + share) / max(1, phase.steps)) if phase.steps else share
            phase = self._running.get(phase.parent) if phase.parent else None
        return share


def build_with_progress(
    bindings: Bindings,
    build: Callable[[object], Result],
    report: Callable[[Progress], None],
    cancelled: threading.Event,
) -> Result:
    """Runs ``build``, which gets a progress monitor, and returns its result.

    The build runs in a thread of its own, so that this thread stays free to see Ctrl-C.

    Raises:
        CancelledError: ``cancelled`` was set.
        KeyboardInterrupt: Ctrl-C was pressed; the builder has ended.
    """
    phases = Phases(report)
    monitor = _monitor_class(bindings)(phases, cancelled)
    with ThreadPoolExecutor(1, "fer_edge-build") as pool:
        future = pool.submit(build, monitor)
        try:
            result = future.result()
        finally:
            # Ctrl-C interrupts this thread while the builder runs.
            if not future.done():
                cancelled.set()
    if phases.error:
        raise phases.error
    if cancelled.is_set():
        raise CancelledError("the build was cancelled")
    return result


def _monitor_class(bindings: Bindings) -> Any:
    base: Any = bindings.IProgressMonitor

    class Monitor(base):  # type: ignore[misc]
        """Passes the builder's calls on."""

        def __init__(self, phases: Phases, cancelled: threading.Event) -> None:
            base.__init__(self)
            self._phases = phases
            self._cancelled = cancelled

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            self._phases.started(phase_name, parent_phase, num_steps)

        def step_complete(self, phase_name: str, step: int) -> bool:
            self._phases.advanced(phase_name, step)
            return not (self._cancelled.is_set() or self._phases.error)

        def phase_finish(self, phase_name: str) -> None:
            self._phases.finished(phase_name)

    return Monitor

"""Timers: CUDA events on a GPU, and a dry timer for the CPU that only shows that the benchmark runs."""

import statistics
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, Protocol

import torch

MIN_SAMPLES = 20
Work = Callable[[], object]


@dataclass(frozen=True, slots=True)
class Timing:
    """Microseconds per call: median, 10th and 90th percentile of the samples."""

    median_us: float
    p10_us: float
    p90_us: float
    samples: int


def timing_from_samples(samples_us: list[float]) -> Timing:
    """The statistics of at least two samples."""
    tenths = statistics.quantiles(samples_us, n=10)
    return Timing(statistics.median(samples_us), tenths[0], tenths[-1], len(samples_us))


class Timer(Protocol):
    """Times a function that launches work: called directly, and recorded in a CUDA graph."""

    device: torch.device

    def eager(self, work: Work) -> Timing: ...

    def graph(self, work: Work) -> Timing: ...

    def facts(self) -> dict[str, Any]: ...


class CudaTimer:
    """Times ``calls`` launches between two events, at most ``samples`` times and, from 20 samples on, for at
    most ``seconds``, on the current device.

    Raises RuntimeError if there is no CUDA device.
    """

    def __init__(self, samples: int = 200, calls: int = 20, seconds: float = 0.4) -> None:
        if not torch.cuda.is_available():
            raise RuntimeError("there is no CUDA device; --dry-run runs the same code on the CPU")
        self.device = torch.device("cuda", torch.cuda.current_device())
        self.samples, self.calls, self.seconds = samples, calls, seconds

    def eager(self, work: Work) -> Timing:
        """Launches from Python, one call at a time."""
        for _ in range(3):
            work()
        return self._timed(work)

    def graph(self, work: Work) -> Timing:
        """Replays the same launches from a CUDA graph."""
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(3):
                work()
        side.synchronize()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            for _ in range(self.calls):
                work()
        return self._timed(graph.replay, calls=1, per_call=self.calls)

    def _timed(self, work: Work, calls: int | None = None, per_call: int = 1) -> Timing:
        calls, samples, started = calls or self.calls, [], time.monotonic()
        while len(samples) < self.samples:
            if len(samples) >= MIN_SAMPLES and time.monotonic() - started > self.seconds:
                break
            first, last = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
            first.record()
            for _ in range(calls):
                work()
            last.record()
            last.synchronize()
            samples.append(1000 * first.elapsed_time(last) / (calls * per_call))
        return timing_from_samples(samples)

    def facts(self) -> dict[str, Any]:
        """The GPU, its driver and clocks, and measured peak bandwidth and arithmetic, for rooflines."""
        properties = torch.cuda.get_device_properties(self.device)
        return {
            "gpu": properties.name,
            "capability": f"{properties.major}.{properties.minor}",
            "multiprocessors": properties.multi_processor_count,
            "cuda": torch.version.cuda,
            "cudnn": torch.backends.cudnn.version(),
            "torch": torch.__version__,
            "triton": version("triton"),
            "nvidia_smi": _nvidia_smi(),
            "bandwidth_gb_s": self._bandwidth() / 1e9,
            "float16_tflop_s": self._arithmetic() / 1e12,
        }

    def _bandwidth(self) -> float:
        """Bytes read and written per second when copying 1 GiB."""
        source = torch.empty(1 << 30, dtype=torch.uint8, device=self.device)
        target = torch.empty_like(source)
        return 2 * source.numel() / (self.eager(lambda: target.copy_(source)).median_us * 1e-6)

    def _arithmetic(self) -> float:
        """Operations per second of an 8192 x 8192 float16 matrix product."""
        a = torch.randn(8192, 8192, dtype=torch.float16, device=self.device)
        return 2 * 8192**3 / (self.eager(lambda: a @ a).median_us * 1e-6)


class DryTimer:
    """Calls everything twice on the CPU. Its times are not measurements."""

    device = torch.device("cpu")

    def eager(self, work: Work) -> Timing:
        """Two calls."""
        samples = []
        for _ in range(2):
            started = time.perf_counter()
            work()
            samples.append(1e6 * (time.perf_counter() - started))
        return timing_from_samples(samples)

    def graph(self, work: Work) -> Timing:
        """The same as `eager`: there are no graphs on a CPU."""
        return self.eager(work)

    def facts(self) -> dict[str, Any]:
        """States that this is not a measurement."""
        return {
            "gpu": None,
            "dry_run": "on the CPU, kernels in Triton's interpreter; the times are not measurements",
        }


def _nvidia_smi() -> str:
    """Driver, clocks, power limit and temperature from nvidia-smi; empty without it."""
    query = "driver_version,clocks.sm,clocks.mem,clocks.max.sm,power.limit,temperature.gpu"
    try:
        done = subprocess.run(
            ["nvidia-smi", f"--query-gpu={query}", "--format=csv"],
            capture_output=True,
            text=True,
            check=False,
        )
    except FileNotFoundError:
        return ""
    return done.stdout.strip()

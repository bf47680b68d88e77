"""Timers: CUDA events on a GPU; without one a stand-in, which shows that the benchmark runs and no more."""

import statistics
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, Protocol

import torch

Work = Callable[[], object]


@dataclass(frozen=True, slots=True)
class Timing:
    """Microseconds a call: the median over the samples, and their 10th and 90th percentiles."""

    median_us: float
    p10_us: float
    p90_us: float
    samples: int


def timing_from_samples(samples_us: list[float]) -> Timing:
    """At least two samples."""
    tenths = statistics.quantiles(samples_us, n=10)
    return Timing(statistics.median(samples_us), tenths[0], tenths[-1], len(samples_us))


class Timer(Protocol):
    """Times a call that launches work: as it is, and recorded in a CUDA graph."""

    device: torch.device

    def eager(self, work: Work) -> Timing: ...

    def graph(self, work: Work) -> Timing: ...

    def facts(self) -> dict[str, Any]: ...


class CudaTimer:
    """Times ``calls`` launches between two events, ``samples`` times, on the current device.

    Raises RuntimeError when there is no CUDA device.
    """

    def __init__(self, samples: int = 200, calls: int = 20) -> None:
        if not torch.cuda.is_available():
            raise RuntimeError("there is no CUDA device here; --dry-run goes through the motions on the CPU")
        self.device = torch.device("cuda", torch.cuda.current_device())
        self.samples, self.calls = samples, calls

    def eager(self, work: Work) -> Timing:
        """Launches one by one from Python."""
        for _ in range(3):
            work()
        return self._timed(work)

    def graph(self, work: Work) -> Timing:
        """The same launches, recorded once and replayed."""
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
        calls, samples = calls or self.calls, []
        for _ in range(self.samples):
            first, last = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
            first.record()
            for _ in range(calls):
                work()
            last.record()
            last.synchronize()
            samples.append(1000 * first.elapsed_time(last) / (calls * per_call))
        return timing_from_samples(samples)

    def facts(self) -> dict[str, Any]:
        """The GPU, its driver and clocks, and the two peaks that rooflines are made of, measured here."""
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
        """Bytes a second, read and written, of copying 1 GiB."""
        source = torch.empty(1 << 30, dtype=torch.uint8, device=self.device)
        target = torch.empty_like(source)
        return 2 * source.numel() / (self.eager(lambda: target.copy_(source)).median_us * 1e-6)

    def _arithmetic(self) -> float:
        """Operations a second of an 8192 x 8192 product in float16."""
        a = torch.randn(8192, 8192, dtype=torch.float16, device=self.device)
        return 2 * 8192**3 / (self.eager(lambda: a @ a).median_us * 1e-6)


class DryTimer:
    """Calls everything twice on the CPU. Its times mean nothing and are not to be quoted."""

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
        """There are no graphs on a CPU."""
        return self.eager(work)

    def facts(self) -> dict[str, Any]:
        """That this was no measurement."""
        return {"gpu": None, "dry_run": "on the CPU, kernels in Triton's interpreter; no time means anything"}


def _nvidia_smi() -> str:
    """Driver, clocks, power limit and temperature as the vendor's tool says them, empty without it."""
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

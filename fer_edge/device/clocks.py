"""Whether the clocks of a Jetson are locked: jetson_clocks sets the lowest frequency to the highest."""

from dataclasses import dataclass

from fer_edge.device.files import Files

CPUS = ("sys/devices/system/cpu/cpu[0-9]*/cpufreq",)
# Orin: 17000000.gpu or 17000000.ga10b; Thor: gpu-gpc-0. No other units: reading the state of one that sleeps
# could wake it.
GPUS = ("sys/class/devfreq/*.gpu", "sys/class/devfreq/*.ga10b", "sys/class/devfreq/gpu-gpc-*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Clocks:
    """The clocks of the CPU cores and the GPU.

    Attributes:
        locked: whether none of them can change.
        cpu_mhz: lowest and highest frequency over the cores; None if it is not known.
        gpu_mhz: the same of the GPU.
    """

    locked: bool
    cpu_mhz: tuple[int, int] | None
    gpu_mhz: tuple[int, int] | None


def read_clocks(files: Files) -> Clocks | None:
    """The clocks; None if the files do not say them."""
    # cpufreq counts in kHz, devfreq in Hz.
    cpu = _limits(files, CPUS, "scaling_min_freq", "scaling_max_freq", per_mhz=1000)
    gpu = _limits(files, GPUS, "min_freq", "max_freq", per_mhz=10**6)
    if not cpu and not gpu:
        return None
    return Clocks(
        locked=all(lowest == highest for lowest, highest in cpu + gpu),
        cpu_mhz=_range(cpu),
        gpu_mhz=_range(gpu),
    )


def _limits(
    files: Files, patterns: tuple[str, ...], lowest: str, highest: str, per_mhz: int
) -> list[tuple[int, int]]:
    """Lowest and highest frequency of each unit, MHz."""
    units = [unit for pattern in patterns for unit in files.matching(pattern)]
    pairs = [(files.number(f"{unit}/{lowest}"), files.number(f"{unit}/{highest}")) for unit in units]
    return [(low // per_mhz, high // per_mhz) for low, high in pairs if low is not None and high is not None]


def _range(limits: list[tuple[int, int]]) -> tuple[int, int] | None:
    return (min(low for low, _ in limits), max(high for _, high in limits)) if limits else None

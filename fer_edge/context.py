"""The context of a measurement: machine, versions and commit, so that figures can be compared."""

import os
import platform
import subprocess
from pathlib import Path

import fer_edge
from fer_edge import ops
from fer_edge.installation import installed

# The instruction sets that decide the speed of a network, by Linux's names: float32, int8, bfloat16.
INSTRUCTION_SETS = (
    "avx2",
    "avx512f",
    "avx_vnni",
    "avx512_vnni",
    "avx512_bf16",
    "amx_int8",
    "asimd",
    "asimddp",
)


def context(checkout: Path | None = None) -> dict[str, object]:
    """Processor, system, versions, commit, kernel target and load at the time of the call.

    Args:
        checkout: folder whose commit is stated; None: the current one.
    """
    return {
        "processor": _processor(),
        "instruction_sets": _instruction_sets(),
        "cores": len(os.sched_getaffinity(0)),
        "system": platform.platform(),
        "python": platform.python_version(),
        "fer_edge": fer_edge.__version__,
        "commit": _commit(checkout),
        "ops": ops.target,
        "packages": {
            owner.name: owner.version
            for module in installed.REQUIREMENTS
            for owner in installed.owners(module)
        },
        "load_average": os.getloadavg()[0],
        "stolen_percent": _stolen_percent(),
    }


def _processor() -> str:
    return _cpuinfo("model name") or platform.processor() or platform.machine()


def _instruction_sets() -> list[str]:
    """Those of INSTRUCTION_SETS that the processor has; Arm's entry in /proc/cpuinfo is called Features."""
    found = (_cpuinfo("flags") or _cpuinfo("Features")).split()
    return [name for name in INSTRUCTION_SETS if name in found]


def _cpuinfo(entry: str) -> str:
    """The first value of an entry of /proc/cpuinfo, empty if there is none."""
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text(encoding="utf-8").splitlines():
            if line.startswith(entry):
                return line.split(":", 1)[1].strip()
    return ""


def _commit(checkout: Path | None) -> str:
    command = ["git", "describe", "--always", "--dirty"]
    try:
        done = subprocess.run(command, cwd=checkout, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        # A device without git.
        return "unknown"
    return done.stdout.strip() or "unknown"


def _stolen_percent() -> float | None:
    """Percentage of processor time since boot that the hypervisor gave to other guests; None if unknown."""
    stat = Path("/proc/stat")
    if not stat.exists():
        return None
    ticks = [int(t) for t in stat.read_text(encoding="utf-8").split("\n", 1)[0].split()[1:9]]
    return round(100 * ticks[7] / sum(ticks), 1)

"""The context of a measurement: machine, versions and commit, so that figures can be compared."""

import os
import platform
import subprocess
from pathlib import Path

import fer_edge
from fer_edge import ops
from fer_edge.device.processor import instruction_sets, processor
from fer_edge.installation import installed


def context(checkout: Path | None = None) -> dict[str, object]:
    """Processor, system, versions, commit, kernel target and load at the time of the call.

    Args:
        checkout: folder whose commit is stated; None: the current one.
    """
    return {
        "processor": processor() or platform.processor() or platform.machine(),
        "instruction_sets": instruction_sets(),
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

"""What the machine says of itself beyond the context of a measurement: board, power mode, clocks and heat."""

from pathlib import Path
from typing import Any

from fer_edge import models
from fer_edge.benchmark.measure.context import context

ROOT = Path("/")
PACKAGE = models.WEIGHTS.parent


def machine(root: Path = ROOT) -> dict[str, Any]:
    """The context of a measurement. What the machine does not say is None."""
    checkout = PACKAGE.parent
    is_checkout = (checkout / "pyproject.toml").exists()
    # An installed package may lie inside of another project's repository.
    found = context(checkout) if is_checkout else context() | {"commit": None}
    return found | {"board": board(root)}


def board(root: Path = ROOT) -> dict[str, Any]:
    """Board, power mode of a Jetson, governor and clocks of the first core, temperatures (Celsius)."""
    cpu = root / "sys/devices/system/cpu/cpu0/cpufreq"
    return {
        "model": _text(root / "proc/device-tree/model"),
        # What nvpmodel was set to last, as "pmode:0002".
        "power_mode": _text(root / "var/lib/nvpmodel/status"),
        "governor": _text(cpu / "scaling_governor"),
        "clock_mhz": _megahertz(cpu / "scaling_cur_freq"),
        "max_clock_mhz": _megahertz(cpu / "scaling_max_freq"),
        "temperatures": _temperatures(root),
    }


def _temperatures(root: Path) -> dict[str, float]:
    found = {}
    for zone in sorted((root / "sys/class/thermal").glob("thermal_zone*")):
        name, millidegrees = _text(zone / "type"), _text(zone / "temp")
        if name and millidegrees:
            found[name] = int(millidegrees) / 1e3
    return found


def _megahertz(path: Path) -> float | None:
    kilohertz = _text(path)
    return int(kilohertz) / 1e3 if kilohertz else None


def _text(path: Path) -> str | None:
    try:
        # Strings of the device tree end with a zero byte.
        return path.read_text(encoding="utf-8").strip().strip("\0") or None
    except OSError:
        return None

"""The power mode of a Jetson, as nvpmodel keeps it.

The number of the fastest mode differs between boards: 0 on AGX Orin, Orin NX and Thor, 2 on Orin Nano. So the
modes are compared by name: MAXN has no limits, the others are named by watts and sometimes by cores.
"""

import re
from dataclasses import dataclass

from fer_edge.device.files import Files

MODES = "etc/nvpmodel.conf"
STATUS = "var/lib/nvpmodel/status"


@dataclass(frozen=True, slots=True)
class PowerMode:
    """A power mode.

    Attributes:
        number: as in `nvpmodel -m`.
        name: "MAXN", "15W"; empty if the configuration does not name this number.
    """

    number: int
    name: str


def read_power_mode(files: Files) -> PowerMode | None:
    """The mode in use; None if the files do not say it."""
    status = re.search(r"pmode:(\d{1,4})", files.text(STATUS))
    default = re.search(r"<\s*PM_CONFIG\s+DEFAULT=(\d{1,4})", files.text(MODES))
    if not (found := status or default):
        return None
    number = int(found[1])
    return next((mode for mode in read_modes(files) if mode.number == number), PowerMode(number, ""))


def fastest_mode(files: Files) -> PowerMode | None:
    """The mode with the highest limits; None if the names do not say which it is."""
    modes = [mode for mode in read_modes(files) if _limits(mode.name)]
    return max(modes, key=lambda mode: _limits(mode.name), default=None)


def read_modes(files: Files) -> list[PowerMode]:
    """All modes that the board has."""
    lines = re.findall(r"<\s*POWER_MODEL\s+ID=(\d{1,4})\s+NAME=([^\s>]+)", files.text(MODES))
    return [PowerMode(int(number), name) for number, name in lines]


def _limits(name: str) -> tuple[float, ...]:
    """Watts and cores of a mode by its name, for comparisons; empty if it says none."""
    if "MAXN" in name:
        return (float("inf"),)
    # "15W", "MODE_15W", "MODE_15W_6CORE"
    return tuple(float(number) for number in re.findall(r"(\d{1,9})(?:W|CORE)", name))

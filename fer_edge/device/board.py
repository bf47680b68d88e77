"""The board of a Jetson, from its device tree, and the memory that its CPU and GPU share."""

import re
from dataclasses import dataclass

from fer_edge.device.files import Files

MODELS = ("proc/device-tree/model", "sys/firmware/devicetree/base/model", "sys/devices/soc0/machine")
COMPATIBLE = ("proc/device-tree/compatible", "sys/firmware/devicetree/base/compatible")
# Name of the processor in a device tree -> generation, compute capability of its GPU:
# https://developer.nvidia.com/cuda-gpus
PROCESSORS = {
    "tegra264": ("Thor", 110),
    "tegra234": ("Orin", 87),
    "tegra194": ("Xavier", 72),
    "tegra186": ("TX2", 62),
    "tegra210": ("Nano", 53),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """A Jetson.

    Attributes:
        model: as the device tree names it.
        generation: "Orin" and the like; empty if it is not known.
        compute_capability: of its GPU, 87 stands for 8.7; None if it is not known.
    """

    model: str
    generation: str
    compute_capability: int | None


def read_board(files: Files) -> Board | None:
    """The Jetson that the files are of; None for another machine."""
    model = _first_text(files, MODELS)
    generation, capability = _processor(_first_text(files, COMPATIBLE), model)
    # Docker hides the device tree, and NVIDIA's container runtime shows this file.
    is_jetson = files.has("etc/nv_tegra_release") or "jetson" in model.lower()
    if not generation and not is_jetson:
        return None
    return Board(
        model=model or "a Jetson of unknown model", generation=generation, compute_capability=capability
    )


def read_memory_gib(files: Files) -> float | None:
    """The memory that the system can use, in GiB. It is about 0.4 GiB less than what is on the board."""
    found = re.search(r"^MemTotal:\s+(\d{1,15}) kB", files.text("proc/meminfo"), re.MULTILINE)
    return int(found[1]) / 2**20 if found else None


def _processor(compatible: str, model: str) -> tuple[str, int | None]:
    for name, (generation, capability) in PROCESSORS.items():
        # Makers of carrier boards write their own model; the name of the processor is always NVIDIA's.
        if f"nvidia,{name}" in compatible.splitlines() or re.search(f"Jetson (AGX )?{generation}", model):
            return generation, capability
    return "", None


def _first_text(files: Files, paths: tuple[str, ...]) -> str:
    return next((text for path in paths if (text := files.text(path))), "")

"""NVIDIA's driver and the GPUs that it found, from /proc/driver/nvidia; GPUs without it, from the PCI bus."""

import re
from dataclasses import dataclass

from fer_edge.device.files import Files

VERSION = "proc/driver/nvidia/version"
GPUS = "proc/driver/nvidia/gpus/*/information"
PCI_DEVICES = "sys/bus/pci/devices/*"
NVIDIA = "0x10de"
# Class of a display controller: VGA 0x0300.., 3D 0x0302..
DISPLAY = "0x03"
# Under the Windows Subsystem for Linux, the driver is that of Windows.
WSL_DRIVER = "usr/lib/wsl/lib/libcuda.so.1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Driver:
    """What the machine says of its GPUs.

    Attributes:
        version: of NVIDIA's driver, "580.95.05"; empty without one, and under Windows.
        of_windows: whether the driver is that of Windows.
        gpus: names of the GPUs; without a driver, how many NVIDIA GPUs there are is all that is known.
    """

    version: str
    of_windows: bool
    gpus: tuple[str, ...]


def read_driver(files: Files) -> Driver:
    """The driver and the GPUs. A Jetson's GPU is not among them: it is part of the board."""
    # "NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.14  Thu ..."
    found = re.search(
        r"^NVRM version:.*?\s(\d{1,9}\.[\d.]{1,20})\s", files.text(VERSION) + "\n", re.MULTILINE
    )
    names = [re.search(r"^Model:\s*(.+)$", files.text(path), re.MULTILINE) for path in files.matching(GPUS)]
    gpus = tuple(name[1].strip() for name in names if name)
    return Driver(
        version=found[1] if found else "",
        of_windows=files.has(WSL_DRIVER),
        gpus=gpus or ("NVIDIA GPU",) * _pci_gpus(files),
    )


def _pci_gpus(files: Files) -> int:
    return sum(
        files.text(f"{path}/vendor") == NVIDIA and files.text(f"{path}/class").startswith(DISPLAY)
        for path in files.matching(PCI_DEVICES)
    )

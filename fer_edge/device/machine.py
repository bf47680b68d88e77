"""All that the files of a machine say."""

import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from fer_edge.device.board import Board, read_board, read_memory_gib
from fer_edge.device.clocks import Clocks, read_clocks
from fer_edge.device.cuda_toolkit import read_cuda
from fer_edge.device.debian_packages import read_packages
from fer_edge.device.driver import Driver, read_driver
from fer_edge.device.files import Files
from fer_edge.device.jetpack import JetPack, read_jetpack
from fer_edge.device.power_mode import PowerMode, fastest_mode, read_power_mode
from fer_edge.device.python_packages import read_distributions

# Where the Python of Debian and Ubuntu, and so of JetPack, imports packages from.
SYSTEM_PACKAGES = ("usr/local/lib/python3*/dist-packages", "usr/lib/python3*/dist-packages")


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What decides which networks run on the GPU of a machine, and how fast.

    Attributes:
        system: ID of the distribution, "ubuntu"; empty if it is not known.
        board: of a Jetson; None for another machine.
        jetpack: only if there is a board.
        packages: name -> version of what apt installed.
        distributions: name -> version of what Python imports.
        system_distributions: the same for the system's own Python, which a virtual environment may hide.
        cuda: version of the CUDA toolkit; empty without one.
        memory_gib: memory that the system can use.
    """

    system: str
    board: Board | None
    jetpack: JetPack | None
    power_mode: PowerMode | None
    fastest_mode: PowerMode | None
    clocks: Clocks | None
    driver: Driver
    cuda: str
    packages: dict[str, str]
    distributions: dict[str, str]
    system_distributions: dict[str, str]
    memory_gib: float | None

    @property
    def has_gpu(self) -> bool:
        """Whether there is an NVIDIA GPU, with or without a driver."""
        return self.board is not None or bool(self.driver.gpus) or self.driver.of_windows


def read_machine(root: Path = Path("/"), python_path: Iterable[Path] | None = None) -> Machine:
    """Reads the files of a machine below a root folder; never raises.

    Args:
        root: "/" is this machine.
        python_path: the folders that Python imports from; None: those of this process for "/", those of the
            system's Python for another root.
    """
    files = Files(root)
    packages = read_packages(files)
    board = read_board(files)
    system = [root / path for pattern in SYSTEM_PACKAGES for path in files.matching(pattern)]
    if python_path is None:
        python_path = system if root != Path("/") else [Path(folder) for folder in sys.path]
    return Machine(
        system=_distribution_id(files),
        board=board,
        jetpack=read_jetpack(files, packages) if board else None,
        power_mode=read_power_mode(files) if board else None,
        fastest_mode=fastest_mode(files) if board else None,
        clocks=read_clocks(files) if board else None,
        driver=read_driver(files),
        cuda=read_cuda(files, packages),
        packages=packages,
        distributions=read_distributions(python_path),
        system_distributions=read_distributions(system),
        memory_gib=read_memory_gib(files),
    )


def _distribution_id(files: Files) -> str:
    lines = files.text("etc/os-release").splitlines()
    return next((line.removeprefix("ID=").strip('"') for line in lines if line.startswith("ID=")), "")

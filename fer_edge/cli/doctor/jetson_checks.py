"""What `fer-edge doctor` says of a Jetson: board, JetPack, TensorRT, power mode and clocks."""

import re
from collections.abc import Iterator

from fer_edge.backends.engines.products import TENSORRT, Product, version_numbers
from fer_edge.cli.doctor.check import Check
from fer_edge.device.debian_packages import upstream_version
from fer_edge.device.machine import Machine

# The first Jetson Linux with a TensorRT that is supported: JetPack 6.1.
LEAST_LINUX = (36, 4)
# The oldest GPU for which there is such a JetPack: Orin.
LEAST_CAPABILITY = 87
SOURCES = "/etc/apt/sources.list.d/nvidia-l4t-apt-source.list"
UPGRADE = f"sudo sed -i 's/r36\\.[0-9]*/r36.4/' {SOURCES} && sudo apt update && sudo apt dist-upgrade"
FLASH = "flash JetPack 6.1 or later: https://developer.nvidia.com/embedded/jetpack"
INSTALL_JETPACK = "sudo apt update && sudo apt install nvidia-jetpack"
# The Python of the system, because TensorRT's bindings are for its version.
MAKE_ENVIRONMENT = "/usr/bin/python3 -m venv --system-site-packages .venv"


def jetson_checks(machine: Machine) -> Iterator[Check]:
    """The findings on everything but TensorRT."""
    yield _board(machine)
    yield _jetpack(machine)
    if machine.driver.version:
        yield Check("driver", "ok", machine.driver.version)
    yield from _power_mode(machine)
    yield from _clocks(machine)


def jetson_tensorrt(machine: Machine) -> Check:
    """The finding on TensorRT, which comes with JetPack."""
    assert machine.board is not None
    name = TENSORRT.name
    capability = machine.board.compute_capability
    if capability is not None and capability < LEAST_CAPABILITY:
        return Check(name, "absent", "no supported version runs on this board; the CPU answers")
    if version := machine.distributions.get("tensorrt"):
        if is_supported(TENSORRT, version):
            return Check(name, "ok", version)
        return Check(name, "absent", unsupported(TENSORRT, version), _newer_jetpack(machine) or FLASH)
    if fix := _newer_jetpack(machine):
        return Check(name, "absent", "this JetPack has none that is supported; the CPU answers", fix)
    if hidden := _of_the_system(machine):
        detail = (
            f"{hidden} is installed for the system's Python, which this one does not see; the CPU answers"
        )
        return Check(name, "absent", detail, MAKE_ENVIRONMENT)
    if any(re.fullmatch(r"libnvinfer\d+", package) for package in machine.packages):
        detail = "installed without its Python bindings; the CPU answers"
        return Check(name, "absent", detail, "sudo apt install python3-libnvinfer")
    return Check(name, "absent", "not installed; the CPU answers", INSTALL_JETPACK)


def is_supported(product: Product, version: str) -> bool:
    """Whether engines can be built and run with this version."""
    return product.least <= version_numbers(version) < product.below


def unsupported(product: Product, version: str) -> str:
    """Says which versions are supported instead."""
    least, below = (".".join(map(str, numbers)) for numbers in (product.least, product.below))
    return f"{version} is not supported, {least} or later and below {below} is; the CPU answers"


def _board(machine: Machine) -> Check:
    board = machine.board
    assert board is not None
    parts = [board.model]
    if board.compute_capability is not None:
        parts[0] += f" ({board.generation}, compute capability {board.compute_capability / 10})"
    if machine.memory_gib is not None:
        parts.append(f"{machine.memory_gib:.1f} GiB of memory for CPU and GPU together")
    return Check("board", "ok", ", ".join(parts))


def _jetpack(machine: Machine) -> Check:
    jetpack = machine.jetpack
    assert jetpack is not None
    detail = f"{jetpack.version or 'unknown'} (Jetson Linux {jetpack.linux or 'unknown'})"
    if not jetpack.installed:
        detail += "; the package nvidia-jetpack is not installed"
    return Check("jetpack", "ok", detail)


def _power_mode(machine: Machine) -> Iterator[Check]:
    mode, fastest = machine.power_mode, machine.fastest_mode
    if mode is None:
        return
    detail = f"{mode.name or 'unnamed'} (mode {mode.number})"
    if fastest is None or not mode.name:
        yield Check("power mode", "ok", detail)
    elif mode == fastest:
        yield Check("power mode", "ok", f"{detail}, the fastest of this board")
    else:
        detail += f"; {fastest.name} (mode {fastest.number}) is the fastest of this board"
        yield Check("power mode", "slow", detail, f"sudo nvpmodel -m {fastest.number}")


def _clocks(machine: Machine) -> Iterator[Check]:
    clocks = machine.clocks
    if clocks is None:
        return
    units = [("CPU", clocks.cpu_mhz), ("GPU", clocks.gpu_mhz)]
    if clocks.locked:
        detail = ", ".join(f"{unit} {mhz[1]} MHz" for unit, mhz in units if mhz)
        yield Check("clocks", "ok", f"locked: {detail}")
    else:
        detail = ", ".join(f"{unit} {mhz[0]} to {mhz[1]} MHz" for unit, mhz in units if mhz)
        yield Check("clocks", "slow", f"not locked: {detail}", "sudo jetson_clocks")


def _newer_jetpack(machine: Machine) -> str:
    """How to get a JetPack whose TensorRT is supported; empty if this one is new enough or unknown."""
    linux = version_numbers(machine.jetpack.linux) if machine.jetpack else ()
    if not linux or linux >= LEAST_LINUX:
        return ""
    # Within a major version, apt upgrades.
    return UPGRADE if linux[0] == LEAST_LINUX[0] else FLASH


def _of_the_system(machine: Machine) -> str:
    """The version of TensorRT's bindings for the system's Python; empty if they are not installed."""
    package = upstream_version(machine.packages.get("python3-libnvinfer", ""))
    return machine.system_distributions.get("tensorrt", package)

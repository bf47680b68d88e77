"""What `fer-edge doctor` says of the GPU: what there is, and the next command.

No finding is a failure: without a GPU, or with one that is not set up, the CPU answers.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from fer_edge.backends.engines.products import TENSORRT, TENSORRT_RTX, Product, version_numbers
from fer_edge.cli.doctor.check import Check
from fer_edge.cli.doctor.jetson_checks import is_supported, jetson_checks, jetson_tensorrt, unsupported
from fer_edge.device.files import Files
from fer_edge.device.machine import Machine
from fer_edge.installation.repair_commands import install_extra

# Pattern of the GPU's name -> target of `fer-edge build`, "" if the GPU is too old. GPUs of data centres have
# other names and take "this". Source: the support matrix of TensorRT for RTX, see products.py.
TARGETS = (
    (r"GeForce RTX 20\d\d|GTX 16\d\d|Quadro (RTX|T\d)|TITAN RTX|\bT\d{3,4}\b", "turing"),
    (r"GTX|Quadro|TITAN|GeForce (GT|MX)|Tesla [KMP]", ""),
    (r"GeForce|RTX|^NVIDIA GPU$", "rtx"),
)
# CUDA 13, with which the wheels of TensorRT for RTX are built, needs this driver:
# https://docs.nvidia.com/cuda/cuda-toolkit-release-notes
LEAST_DRIVER = 580
INSTALL_DRIVER = {
    "ubuntu": "sudo ubuntu-drivers install && sudo reboot",
    "debian": "sudo apt install nvidia-driver && sudo reboot",
}
DRIVER_PAGE = "install the driver from https://www.nvidia.com/drivers"
MODELS = "face-luma tkfnet-nano-float32"
# A board with 4 GB shows less; the builder's default is for 8 GB.
SMALL_MEMORY_GIB, SMALL_WORKSPACE_MIB = 5.0, 512


def device_checks(machine: Machine, engines: Path | None, *, here: bool = True) -> Iterator[Check]:
    """The findings on a machine; `engines` is the folder of its engines, None if it is not known.

    ``here`` says whether it is the machine that looks, with this installation.
    """
    if not machine.has_gpu:
        yield Check("gpu", "ok", "no NVIDIA GPU; the CPU answers")
        return
    target = "this"
    if machine.board is None:
        target = _target(machine)
        yield from _desktop_checks(machine, target)
    else:
        yield from jetson_checks(machine)
    yield from _toolkit_checks(machine)
    product = _product_check(machine, target, here)
    yield product
    if product.state == "ok":
        yield _pycuda(machine, here)
        yield _engines(machine, engines, target)


def _target(machine: Machine) -> str:
    name = next(iter(machine.driver.gpus), "NVIDIA GPU")
    return next((target for pattern, target in TARGETS if re.search(pattern, name)), "this")


def _desktop_checks(machine: Machine, target: str) -> Iterator[Check]:
    driver = machine.driver
    names = ", ".join(driver.gpus) or "that of Windows"
    yield Check("gpu", "ok", names)
    install = INSTALL_DRIVER.get(machine.system, DRIVER_PAGE)
    if driver.of_windows:
        yield Check("driver", "ok", "that of Windows")
    elif not driver.version:
        yield Check("driver", "absent", "not installed or not loaded; the CPU answers", install)
    elif target in ("rtx", "turing") and version_numbers(driver.version) < (LEAST_DRIVER,):
        detail = (
            f"{driver.version} is too old for TensorRT for RTX, which needs {LEAST_DRIVER}; the CPU answers"
        )
        yield Check("driver", "absent", detail, install)
    else:
        yield Check("driver", "ok", driver.version)


def _toolkit_checks(machine: Machine) -> Iterator[Check]:
    # Without a toolkit, the line of pycuda says what to install.
    if machine.cuda:
        yield Check("cuda", "ok", machine.cuda)


def _product_check(machine: Machine, target: str, here: bool) -> Check:
    if machine.board is not None:
        return jetson_tensorrt(machine)
    if not target:
        return Check("tensorrt", "absent", "no supported version runs on this GPU; the CPU answers")
    if target == "this":
        return _installed(machine, TENSORRT, ("tensorrt",), "pip install --upgrade 'tensorrt>=10.3,<12'")
    names = ("tensorrt-rtx-cu13-bindings", "tensorrt-rtx")
    return _installed(machine, TENSORRT_RTX, names, install_extra("rtx", here=here))


def _installed(machine: Machine, product: Product, names: tuple[str, ...], fix: str) -> Check:
    version = next((machine.distributions[name] for name in names if name in machine.distributions), "")
    if not version:
        return Check(product.name, "absent", "not installed; the CPU answers", fix)
    if not is_supported(product, version):
        return Check(product.name, "absent", unsupported(product, version), fix)
    return Check(product.name, "ok", version)


def _pycuda(machine: Machine, here: bool) -> Check:
    if version := machine.distributions.get("pycuda"):
        return Check("pycuda", "ok", version)
    fix = install_extra("gpu", here=here)
    detail = "not installed; engines can be built but not run"
    if not machine.cuda:
        detail += "; its installation needs the headers of CUDA, which are not here"
        toolkit = "nvidia-cuda-toolkit" if machine.board is None else "nvidia-jetpack"
        fix = f"sudo apt install {toolkit} && {fix}"
    return Check("pycuda", "absent", detail, fix)


def _engines(machine: Machine, folder: Path | None, target: str) -> Check:
    if folder is not None:
        files = Files(folder)
        # The user's cache has a folder for each kind of machine.
        found = files.matching("*.plan") + files.matching("*/*.plan")
        if found:
            return Check("engines", "ok", f"{len(found)} in {folder}; fer-edge engines verify checks them")
    command = f"fer-edge build {MODELS} --for {target}"
    if machine.memory_gib is not None and machine.memory_gib < SMALL_MEMORY_GIB:
        command += f" --workspace {SMALL_WORKSPACE_MIB}"
    if folder is None:
        return Check("engines", "absent", "not looked for; --engines FOLDER says where they are", command)
    return Check("engines", "absent", f"none in {folder}", f"{command} --out {folder}")

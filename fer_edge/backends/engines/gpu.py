"""The GPU of this machine, as the CUDA driver describes it. Needs the driver's library only, no package."""

import ctypes
from dataclasses import dataclass

LIBRARY = "libcuda.so.1"
# CUdevice_attribute of cuda.h
MULTIPROCESSORS, CAPABILITY_MAJOR, CAPABILITY_MINOR = 16, 75, 76


@dataclass(frozen=True, slots=True, kw_only=True)
class Gpu:
    """What decides which compiled code a GPU can run, and which runs best on it."""

    name: str
    compute_capability: int  # 87 stands for 8.7
    multiprocessors: int
    driver: str  # newest CUDA version that the driver supports: "12.6"

    def describe(self) -> str:
        """The GPU as one line of text."""
        return (
            f"{self.name} (compute capability {self.compute_capability / 10}, "
            f"{self.multiprocessors} multiprocessors, CUDA driver {self.driver})"
        )


def this_gpu() -> Gpu | None:
    """The first GPU that CUDA shows; None without a driver or a GPU."""
    try:
        driver = ctypes.CDLL(LIBRARY)
    except OSError:
        return None
    device = ctypes.c_int()
    if driver.cuInit(0) or driver.cuDeviceGet(ctypes.byref(device), 0):
        return None
    name = ctypes.create_string_buffer(256)
    version = ctypes.c_int()
    if driver.cuDeviceGetName(name, len(name), device) or driver.cuDriverGetVersion(ctypes.byref(version)):
        return None
    return Gpu(
        name=name.value.decode(errors="replace"),
        compute_capability=10 * _attribute(driver, CAPABILITY_MAJOR, device)
        + _attribute(driver, CAPABILITY_MINOR, device),
        multiprocessors=_attribute(driver, MULTIPROCESSORS, device),
        driver=f"{version.value // 1000}.{version.value % 1000 // 10}",
    )


def _attribute(driver: ctypes.CDLL, attribute: int, device: ctypes.c_int) -> int:
    value = ctypes.c_int()
    if error := driver.cuDeviceGetAttribute(ctypes.byref(value), attribute, device):
        raise RuntimeError(f"the CUDA driver does not say attribute {attribute} of the GPU: error {error}")
    return value.value

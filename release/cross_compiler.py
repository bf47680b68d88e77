"""The compiler of the wheels: Clang of the package `ziglang`, for each architecture and an old glibc.

It brings the headers and stubs of every glibc since 2.17 and links libc++ statically, so one machine builds
for both architectures and for old systems, and a wheel needs no libstdc++.
"""

import shlex
from pathlib import Path

import ziglang

MACHINES = ("x86_64", "aarch64")
# The oldest that the compiler offers, and older than what the wheels of NumPy and ONNX Runtime need.
GLIBC = "2.17"


def extension_suffix(machine: str, version: str) -> str:
    """The end of an extension's file name that CPython looks for, as ".cpython-312-aarch64-linux-gnu.so"."""
    return f".cpython-{version.replace('.', '')}-{machine}-linux-gnu.so"


def environment(machine: str, version: str) -> dict[str, str]:
    """The variables with which setuptools builds for a machine and a version of CPython ("3.12").

    Clang optimises for the first processors of the architecture; setup.py adds the flags of each target.
    """
    zig = shlex.quote(str(Path(ziglang.__file__).parent / "zig"))
    target = f"-target {machine}-linux-gnu.{GLIBC}"
    # -s: the static libc++ has symbols that nobody needs.
    link = f"{zig} c++ {target} -shared -s"
    return {
        "CC": f"{zig} cc {target}",
        "CXX": f"{zig} c++ {target}",
        "LDSHARED": link,
        "LDCXXSHARED": link,
        "SETUPTOOLS_EXT_SUFFIX": extension_suffix(machine, version),
        # What sysconfig.get_platform returns, for setup.py and for the tag of the wheel.
        "_PYTHON_HOST_PLATFORM": f"linux-{machine}",
    }

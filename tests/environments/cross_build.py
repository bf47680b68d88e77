"""Compiles the package for aarch64 by setup.py, with a cross compiler and another system's Python headers.

    python -m tests.environments.cross_build SYSTEM FOLDER

SYSTEM is the root folder of the other system, FOLDER takes the package. setup.py selects the targets by the
machine that Python names, and setuptools the compiler and the name of the extension by the environment and
sysconfig: they are told about the other machine.
"""

import os
import platform
import runpy
import sys
import sysconfig
from pathlib import Path

COMPILER = "aarch64-linux-gnu"


def main() -> None:
    system, folder = (Path(path).resolve() for path in sys.argv[1:3])
    (headers,) = (system / "usr/include").glob("python3.*")
    version = headers.name.removeprefix("python")
    platform.machine = lambda: "aarch64"
    os.environ |= {
        "CC": f"{COMPILER}-gcc",
        "CXX": f"{COMPILER}-g++",
        "LDSHARED": f"{COMPILER}-g++ -shared",
        "_PYTHON_HOST_PLATFORM": "linux-aarch64",
        # Python's headers first; those of the other C library last, because a part of pyconfig.h is there.
        "CPPFLAGS": f"-I{headers} -idirafter {system / 'usr/include'}",
    }
    suffix = f".cpython-{version.replace('.', '')}-{COMPILER}.so"
    sysconfig.get_config_vars()["EXT_SUFFIX"] = suffix
    sys.argv = [
        "setup.py",
        "--quiet",
        "build",
        "--build-base",
        str(system / "tmp/build"),
        "--build-lib",
        str(folder),
    ]
    runpy.run_path("setup.py", run_name="__main__")


if __name__ == "__main__":
    main()

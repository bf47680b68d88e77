"""Finds the Pythons on this machine whose headers the wheels are compiled against.

Each version needs its own headers, because pybind11 uses more of CPython than the stable ABI. One
architecture is enough: pyconfig.h of CPython is the same on x86-64 and aarch64 Linux in everything that an
extension reads (both have 64-bit longs and pointers, a 4-byte wchar_t and a 16-byte long double).
"""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

_VERSION = "import sys; print('%d.%d' % sys.version_info[:2], sys.implementation.name)"
_HEADERS = "import sysconfig; print(sysconfig.get_path('include'))"


def interpreter_from_version(version: str) -> Path:
    """Returns the path of CPython `version` ("3.12") with its headers.

    It looks for `python3.12` on PATH, then in pyenv, then in /opt/python of the manylinux images.

    Raises:
        FileNotFoundError: there is none, or it has no headers.
    """
    tried = []
    for path in _candidates(version):
        if _output(path, _VERSION) == f"{version} cpython":
            if (Path(_output(path, _HEADERS)) / "Python.h").is_file():
                return path
            tried.append(f"{path} (no Python.h)")
    found = f", found only {', '.join(tried)}" if tried else ""
    raise FileNotFoundError(
        f"CPython {version} with its headers must be on PATH, in pyenv or in /opt/python{found}; "
        f"install it (`pyenv install {version}`), or name other versions with --python"
    )


def _candidates(version: str) -> Iterator[Path]:
    name = f"python{version}"
    on_path = shutil.which(name)
    if on_path:
        yield Path(on_path)
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    yield from sorted(pyenv.glob(f"versions/{version}.*/bin/{name}"), reverse=True)
    yield from Path("/opt/python").glob(f"cp{version.replace('.', '')}-cp*/bin/{name}")


def _output(python: Path, code: str) -> str:
    """What a program prints; nothing if it fails, as pyenv's shim of a version that is not active does."""
    done = subprocess.run([python, "-I", "-c", code], capture_output=True, text=True, check=False)
    return done.stdout.strip()

"""Another Python of this machine, beside the one that runs this."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

# The newest that the package names first.
VERSIONS = ("3.13", "3.12", "3.11", "3.10")


def other_python() -> Path | None:
    """The newest other Python on the path or among those of pyenv; None if there is none."""
    versions = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"), "versions")
    for version in VERSIONS:
        if version == f"{sys.version_info.major}.{sys.version_info.minor}":
            continue
        installed = sorted(versions.glob(f"{version}.*/bin/python{version}"))
        for found in filter(None, [shutil.which(f"python{version}"), *installed]):
            if _runs(found):
                return Path(found)
    return None


def version_of(python: Path) -> str:
    """Such as 3.13.0."""
    code = "import platform; print(platform.python_version())"
    return subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def _runs(python: object) -> bool:
    """False for a shim of pyenv whose version is not selected, and for a Python without venv."""
    command = [str(python), "-c", "import ensurepip, ssl, venv"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0

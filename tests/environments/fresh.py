"""Fresh virtual environments with the wheel of this project, as a user would make them."""

import email.parser
import os
import platform
import sys
import zipfile
from pathlib import Path

from packaging.requirements import Requirement

from release import building

# Variables that would change what an installed program finds.
_LEFT_OUT = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "FER_EDGE_OPS")


class Environment:
    """A virtual environment of a Python, by default the one that runs this; an older one in the same folder
    is removed.
    """

    def __init__(self, folder: Path, python: Path | str = sys.executable) -> None:
        self.folder = folder.resolve()
        run(python, "-m", "venv", "--clear", self.folder)

    def command(self, name: str) -> Path:
        """The path of an installed command."""
        return self.folder / "bin" / name

    def pip(self, *arguments: object) -> str:
        """Runs pip; returns its output."""
        options = ("--disable-pip-version-check", "--quiet")
        return run(self.command("python"), "-m", "pip", *options, *arguments)

    def install(self, *requirements: object) -> None:
        """Installs without byte code, which takes a third of the time."""
        self.pip("install", "--no-compile", "--prefer-binary", *requirements)

    def python(self, code: str, *arguments: object) -> str:
        """Runs a program in a folder where nothing can be imported by accident; returns its output."""
        return run(self.command("python"), "-c", code, *arguments, cwd=self.folder)

    def version(self, distribution: str) -> str:
        """The installed version of a distribution."""
        return self.python(f"import importlib.metadata as m; print(m.version({distribution!r}))").strip()


def run(*command: object, cwd: Path | None = None) -> str:
    """Runs a command and returns its output; prints the output and ends the program if the command fails."""
    environment = {name: value for name, value in os.environ.items() if name not in _LEFT_OUT}
    return building.run(*command, variables=environment, folder=cwd)


def lower_bounds(wheel: Path, python: str = platform.python_version()) -> dict[str, str]:
    """The lowest release of each library that the wheel and its extra `opencv` allow on a Python."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        metadata = email.parser.Parser().parsestr(archive.read(name).decode())
    major, minor, _ = python.split(".")
    where = {"python_version": f"{major}.{minor}", "python_full_version": python}
    bounds: dict[str, str] = {}
    for line in metadata.get_all("Requires-Dist", []):
        requirement = Requirement(line)
        extra_of_users = "opencv" if requirement.name.startswith("opencv") else ""
        if requirement.marker is None or requirement.marker.evaluate(where | {"extra": extra_of_users}):
            (specifier,) = requirement.specifier
            assert specifier.operator == ">=", line
            # The bounds of a later Python stand below those of the earlier ones in pyproject.toml.
            bounds[requirement.name] = specifier.version
    return bounds

"""Made-up installations: distributions and modules in a folder at the front of sys.path."""

import importlib
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

WORKING_CV2 = "__version__ = '9.8.7'\ndef imdecode(): pass\n"


class Site:
    """A folder like site-packages. Its copy of a module hides the true one until the test ends."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder, self._monkeypatch = folder, monkeypatch
        folder.mkdir()
        monkeypatch.syspath_prepend(str(folder))

    def hide_others(self) -> None:
        """Takes other site-packages from sys.path, which a folder without __init__.py does not hide."""
        others = [path for path in sys.path if "-packages" not in path]
        self._monkeypatch.setattr(sys, "path", [str(self.folder), *others])

    def add(self, name: str, version: str, module: str) -> None:
        """Adds a distribution that owns a module, without the module."""
        info = self.folder / f"{name.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        (info / "top_level.txt").write_text(f"{module}\n")

    def add_module(self, name: str, files: Mapping[str, str]) -> None:
        """Adds a folder with files that hides the module of this name."""
        (self.folder / name).mkdir()
        for file, content in files.items():
            (self.folder / name / file).write_text(content)
        self._monkeypatch.delitem(sys.modules, name, raising=False)
        importlib.invalidate_caches()

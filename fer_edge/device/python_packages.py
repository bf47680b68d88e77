"""The distributions in folders that Python imports from, by the names of their metadata."""

import re
from collections.abc import Iterable
from pathlib import Path

# "tensorrt-10.3.0.dist-info", "pycuda-2024.1-py3.10.egg-info"
_METADATA = re.compile(r"(?P<name>.+?)-(?P<version>\d[^-]*)(-py3\.\d+)?\.(dist|egg)-info")


def read_distributions(folders: Iterable[Path]) -> dict[str, str]:
    """Normalised name -> version; of several versions, the one that Python finds first."""
    found: dict[str, str] = {}
    for folder in folders:
        for name in _names(folder):
            if metadata := _METADATA.fullmatch(name):
                found.setdefault(re.sub(r"[-_.]+", "-", metadata["name"]).lower(), metadata["version"])
    return found


def _names(folder: Path) -> list[str]:
    try:
        return [path.name for path in folder.iterdir()]
    except OSError:
        # A folder that does not exist, or a zip archive.
        return []

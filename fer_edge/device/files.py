"""The text files of a machine, below a root folder: "/", or a copy of another machine's files."""

import re
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Files:
    """Reads files below `root`. One that is missing or may not be read has no text; nothing raises."""

    root: Path = Path("/")

    def text(self, path: str) -> str:
        """The text of a file, without the zero bytes that end the strings of a device tree."""
        try:
            data = (self.root / path).read_bytes()
        except OSError:
            return ""
        return data.replace(b"\0", b"\n").decode(errors="replace").strip()

    def number(self, path: str) -> int | None:
        """The number that a file contains; None if there is none."""
        text = self.text(path)
        return int(text) if re.fullmatch(r"[0-9]{1,18}", text) else None

    def has(self, path: str) -> bool:
        """Whether there is such a file or folder."""
        try:
            return (self.root / path).exists()
        except OSError:
            return False

    def matching(self, pattern: str) -> list[str]:
        """The paths, relative to the root and sorted, that match a glob pattern."""
        try:
            return sorted(str(path.relative_to(self.root)) for path in self.root.glob(pattern))
        except OSError:
            return []

"""Files of machines, as texts in tests/device/recorded: `== PATH`, then the content of the file.

This project has none of these boards. What is read from the files is what owners of such machines have
published in issues and reports: releases, device trees, versions of packages, power modes, frequencies. The
other lines, such as the numbers of builds, are made up.
"""

import re
from collections.abc import Iterator
from pathlib import Path

RECORDED = Path(__file__).parent / "device" / "recorded"
NAMES = tuple(sorted(path.stem for path in RECORDED.glob("*.txt")))


def write_machine(name: str, root: Path) -> Path:
    """Writes the files of a recorded machine below a folder and returns the folder."""
    for path, content in _files((RECORDED / f"{name}.txt").read_text(encoding="utf-8")):
        write_file(root, path, content)
    return root


def write_file(root: Path, path: str, content: str) -> None:
    """Writes a file as a kernel shows it: the strings of a device tree end with a zero byte."""
    if "device-tree" in path:
        content = content.replace("\n", "\0")
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(content, encoding="utf-8")


def _files(text: str) -> Iterator[tuple[str, str]]:
    for path, content in re.findall(r"^== (.+)\n((?:(?!== ).*\n)*)", text, re.MULTILINE):
        # cpu{0..5} stands for six files with one content, as in a shell.
        if numbers := re.search(r"\{(\d+)\.\.(\d+)\}", path):
            for number in range(int(numbers[1]), int(numbers[2]) + 1):
                yield path.replace(numbers[0], str(number)), content
        else:
            yield path, content

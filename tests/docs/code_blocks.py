"""The Python code blocks of the documentation.

A block that the tests cannot run has a line above it that says so to the reader, with the reason:

    *Not run by the tests: needs an NVIDIA GPU.*
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "docs" / "examples"
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]

MARK = re.compile(r"^\*Not run by the tests: (?P<reason>.*)\.\*$", re.MULTILINE)
_FENCE = re.compile(r"^```(?P<language>\w*)[^\n]*\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)


class CodeBlock(NamedTuple):
    """One block.

    Attributes:
        text: without the fences.
        line: of its first line in the page, from 1.
        reason: why the tests do not run it; None if they do.
    """

    text: str
    line: int
    reason: str | None


def blocks_of_page(page: str) -> Iterator[CodeBlock]:
    """Yields the Python blocks of the text of a page, in order."""
    for fence in _FENCE.finditer(page):
        if fence["language"] == "python":
            before = page[: fence.start()].rstrip().rpartition("\n")[2]
            mark = MARK.fullmatch(before)
            line = page.count("\n", 0, fence.start("text")) + 1
            yield CodeBlock(fence["text"], line, mark and mark["reason"])


def examples() -> dict[str, str]:
    """Returns the programs of docs/examples, name -> text."""
    return {path.name: path.read_text(encoding="utf-8") for path in sorted(EXAMPLES.glob("*.py"))}

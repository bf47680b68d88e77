"""The README's example is among the lines whose types `make lint` checks."""

import re
from pathlib import Path

import fer_edge

ROOT = Path(__file__).parents[2]


def test_the_readmes_example_is_type_checked() -> None:
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    assert len(blocks) == 1
    checked = [line.strip() for line in Path(__file__).with_name("usage.py").read_text().splitlines()]
    lines = [line.strip() for line in blocks[0].splitlines() if line]
    assert lines[0] == f"import {fer_edge.__name__}"
    assert [line for line in lines if line not in checked] == []

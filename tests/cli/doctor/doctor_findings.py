"""What `fer-edge doctor` found on a recorded machine, read back from what it prints."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import pytest
from recorded_machines import write_file, write_machine

from fer_edge.cli import main

BUILD = "fer-edge build face-luma tkfnet-nano-float32 --for"
NO_GPU = "no NVIDIA GPU; the CPU answers"


class Finding(NamedTuple):
    """A finding as printed."""

    state: str
    detail: str
    fix: str


Examine = Callable[..., dict[str, Finding]]


def findings(
    name: str,
    changes: Mapping[str, str | None],
    folder: Path,
    engines: Path,
    capsys: pytest.CaptureFixture[str],
) -> dict[str, Finding]:
    """Runs doctor on a recorded machine, written to a folder with some files changed; None removes a file."""
    root = write_machine(name, folder)
    for path, content in changes.items():
        if content is None:
            (root / path).unlink()
            if not list((root / path).parent.iterdir()):
                (root / path).parent.rmdir()
        else:
            write_file(root, path, content)
    assert main(["doctor", "--root", str(root), "--engines", str(engines)]) == 0
    found: dict[str, Finding] = {}
    for line in capsys.readouterr().out.splitlines():
        if fix := re.fullmatch(r" {24}fix: (.+)", line):
            last = list(found)[-1]
            found[last] = found[last]._replace(fix=fix[1])
        else:
            found[line[11:23].rstrip()] = Finding(line[2:9].rstrip(), line[24:], "")
    return found


def fixes(found: Mapping[str, Finding]) -> dict[str, str]:
    """The commands by finding; each finding that is not ok must have one."""
    assert all((finding.fix != "") == (finding.state != "ok") for finding in found.values())
    return {name: finding.fix for name, finding in found.items() if finding.fix}

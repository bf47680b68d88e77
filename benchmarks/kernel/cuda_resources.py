"""Registers and spills of every CUDA kernel on every architecture, from the log of ptxas:
``python -m benchmarks.kernel.cuda_resources --json benchmarks/results/cuda_resources.json``.

No GPU is needed. A spilled register costs a store and a load, so the tests require that no kernel spills.
"""

import argparse
import json
import re
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from csrc.cuda import toolkit
from fer_edge.benchmark.measure.context import context

FOLDER = Path("build/cuda")
# The three lines that ptxas -v prints for a kernel.
REPORT = re.compile(
    r"Compiling entry function '(?P<kernel>\w+)' for 'sm_(?P<architecture>\w+)'\n"
    r".*?Function properties for (?P=kernel)\n"
    r"\s*(?P<stack>\d+) bytes stack frame, "
    r"(?P<stored>\d+) bytes spill stores, (?P<loaded>\d+) bytes spill loads\n"
    r".*?Used (?P<registers>\d+) registers"
)


class Resources(NamedTuple):
    """Registers, stack and spills per thread of one kernel on one architecture."""

    kernel: str
    architecture: str
    registers: int
    stack_bytes: int
    spilled_bytes: int


def resources_of(log: str) -> list[Resources]:
    """Every kernel in a log of nvcc."""
    found = [
        Resources(
            match["kernel"],
            match["architecture"],
            int(match["registers"]),
            int(match["stack"]),
            int(match["stored"]) + int(match["loaded"]),
        )
        for match in REPORT.finditer(log)
    ]
    announced = log.count("Compiling entry function")
    if len(found) != announced:
        raise ValueError(
            f"log must have {announced} kernels, got {len(found)}; the format of ptxas may have changed"
        )
    return found


def demangle(names: Iterable[str]) -> list[str]:
    """Demangled C++ names without namespaces and parameters."""
    asked = "\n".join(names)
    shown = subprocess.run(["c++filt"], input=asked, capture_output=True, text=True, check=True).stdout
    short = re.sub(r"\bfer_edge::cuda::|\(anonymous namespace\)::|^void ", "", shown, flags=re.MULTILINE)
    return [re.sub(r"\(.*", "", line).replace("(bool)1", "true") for line in short.splitlines()]


def report(found: dict[str, list[Resources]]) -> dict[str, dict[str, object]]:
    """By source and kernel: registers by architecture, and maximum spills and stack."""
    table: dict[str, dict[str, object]] = {}
    for source, resources in found.items():
        shown = dict(zip(names := sorted({r.kernel for r in resources}), demangle(names), strict=True))
        for kernel in names:
            mine = sorted((r for r in resources if r.kernel == kernel), key=lambda r: int(r.architecture))
            table[f"{source}: {shown[kernel]}"] = {
                "registers": {r.architecture: r.registers for r in mine},
                "spilled_bytes": max(r.spilled_bytes for r in mine),
                "stack_bytes": max(r.stack_bytes for r in mine),
            }
    return table


def main() -> None:
    """Compiles, prints a line per kernel, and writes the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, required=True, help="file to write")
    path = parser.parse_args().json
    sources, targets = toolkit.sources(), toolkit.architectures()
    logs = [compiled.log for compiled in toolkit.compile_sources(sources, FOLDER, targets)]
    table = report({source.stem: resources_of(log) for source, log in zip(sources, logs, strict=True)})
    for kernel, row in table.items():
        print(f"{kernel}: {row['registers']} registers, {row['spilled_bytes']} bytes spilled")
    nvcc = subprocess.run(
        [toolkit.find() / "bin/nvcc", "--version"], capture_output=True, text=True, check=True
    )
    where = {**context(), "nvcc": nvcc.stdout.splitlines()[-1]}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"context": where, "kernels": table}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

"""The documents' figures of bulk jobs, from benchmarks/results."""

import json
import statistics
from pathlib import Path
from typing import Any

from benchmarks.figures.latency import described_machine

RESULT = Path(__file__).parents[1] / "results" / "bulk.json"


def jobs() -> str:
    """Jobs beside a plain loop, with what they were measured on."""
    result = json.loads(RESULT.read_text(encoding="utf-8"))
    return (
        f"{described_machine(result['context'])}; {result['pictures']} pictures, medians of "
        f"{len(result['loop'])} runs, and the range in brackets.\n\n{job_table(result)}"
    )


def job_table(result: dict[str, Any]) -> str:
    """The figures as Markdown: medians, and the range in brackets."""
    per_picture = 1e3 / result["pictures"]
    head = ["", "ms a picture", "CPU ms a picture", "start and end, s", "start and end, CPU s"]
    loop = [[per_picture * value for value in column] for column in zip(*result["loop"], strict=True)]
    lines = [head, ["---"] * len(head), ["plain loop", *map(_shown, loop), "", ""]]
    for workers, times in result["jobs"].items():
        cells = [
            _shown([per_picture * (long[column] - short[column]) for short, long in times])
            for column in range(2)
        ]
        cells += [_shown([2 * short[column] - long[column] for short, long in times]) for column in range(2)]
        lines.append([f"job, {workers} worker{'s' * (int(workers) > 1)}", *cells])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _shown(values: list[float]) -> str:
    return f"{statistics.median(values):.1f} ({min(values):.1f} to {max(values):.1f})"

"""The tables of `fer-edge benchmark` for docs/benchmarks.md, from benchmarks/results/benchmark.json."""

from pathlib import Path

from fer_edge.benchmark.report.tables import markdown_report
from fer_edge.benchmark.result import read_result

RESULT = Path(__file__).parents[1] / "results" / "benchmark.json"


def scenarios() -> str:
    """All tables of the run, with its machine."""
    if not RESULT.exists():
        return "Not measured yet on a quiet machine. `make bench-documents` measures and writes the tables."
    picture = "![The figure that each scenario is judged by, as bars](images/benchmark.svg)"
    return f"{picture}\n\n{markdown_report(read_result(RESULT))}"

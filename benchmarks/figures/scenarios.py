"""The tables of `fer-edge benchmark` for docs/benchmarks.md, from benchmarks/results."""

from pathlib import Path

from fer_edge.benchmark.report.tables import markdown_report
from fer_edge.benchmark.result import read_result

RESULTS = Path(__file__).parents[1] / "results"


def scenarios() -> str:
    """All tables of the run, with its machine."""
    picture = "![The figure that each scenario is judged by, as bars](images/benchmark.svg)"
    return f"{picture}\n\n{markdown_report(read_result(RESULTS / 'benchmark.json'))}"


def peers() -> str:
    """The tables of the run beside other software."""
    return markdown_report(read_result(RESULTS / "peers.json"))


def two_threads() -> str:
    """Our networks on both engines, with two threads on two cores."""
    return markdown_report(read_result(RESULTS / "two-threads.json"))


def peers_with_avx2() -> str:
    """The same on a processor without AVX-512, with the networks of that time."""
    return markdown_report(read_result(RESULTS / "peers-avx2.json"))

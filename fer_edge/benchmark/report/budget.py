"""How many faces a machine reads at a rate of frames: an answer from the rows of EndToEnd.

A rate is held if nine of ten frames are done in time (p90). Between two measured numbers of faces the time is
taken to be linear; beyond the largest one nothing is said.
"""

from itertools import groupby

from fer_edge.benchmark.report.tables import number, row_name
from fer_edge.benchmark.result import Result, Row


def check_rate(fps: float) -> None:
    """Raises ValueError if the rate is not positive."""
    if not fps > 0:
        raise ValueError(f"--budget must be a positive number of frames a second, got {fps:g}")


def budget_lines(result: Result, fps: float) -> list[str]:
    """One line for each subject of EndToEnd.

    Raises:
        ValueError: the rate is not positive, or the result has no such rows.
    """
    check_rate(fps)
    rows = [row for row in result.rows if row.scenario == "EndToEnd"]
    if not rows:
        raise ValueError("--budget needs rows of EndToEnd; measure with --scenario EndToEnd")
    budget_ms = 1e3 / fps
    lines = [f"At {fps:g} frames a second, {number(budget_ms)} ms a frame, in nine of ten frames:"]
    named = sorted(rows, key=row_name)
    for name, group in groupby(named, row_name):
        points = sorted(group, key=lambda row: row.faces)
        mark = " (unstable)" if any(row.unstable for row in points) else ""
        lines.append(f"  {name}: {_answer(points, budget_ms)}{mark}")
    return lines


def _answer(points: list[Row], budget_ms: float) -> str:
    """In words, from rows by rising number of faces."""
    within: Row | None = None
    for row in points:
        if row.ms["p90"] > budget_ms:
            return _below(within, row, budget_ms)
        within = row
    largest = points[-1]
    return (
        f"at least {largest.faces:g} faces ({number(largest.ms['p90'])} ms), the most that were measured; "
        "--faces measures more"
    )


def _below(within: Row | None, beyond: Row, budget_ms: float) -> str:
    if within is None:
        shown = f"{beyond.faces:g} face{'s' * (beyond.faces != 1)}"
        return f"none; a frame with {shown} takes {number(beyond.ms['p90'])} ms"
    if beyond.faces == within.faces:
        # The detector found as many in both.
        return f"about {within.faces:g} faces ({number(within.ms['p90'])} to {number(beyond.ms['p90'])} ms)"
    slope = (beyond.ms["p90"] - within.ms["p90"]) / (beyond.faces - within.faces)
    faces = int(within.faces + (budget_ms - within.ms["p90"]) / slope)
    return (
        f"{faces} faces (measured: {within.faces:g} in {number(within.ms['p90'])} ms, "
        f"{beyond.faces:g} in {number(beyond.ms['p90'])} ms)"
    )

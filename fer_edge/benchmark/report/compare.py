"""Two results side by side: the ratio of each row with its 95 % interval.

The interval is that of the bootstrap over the turns of both runs (measure.statistics). It does not cover what
differs from run to run, as the temperature or another guest of the host: repeat both runs, in turn, before a
small difference is believed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fer_edge.benchmark.measure.statistics import figures, figures_for, interval_of, resampled
from fer_edge.benchmark.report.tables import Cells, row_name
from fer_edge.benchmark.result import HEADLINES, Result, Row

# Of the context; the others differ between any two runs.
COMPARED = (
    "processor",
    "instruction_sets",
    "cores",
    "system",
    "python",
    "fer_edge",
    "commit",
    "ops",
    "packages",
)


@dataclass(frozen=True, slots=True)
class Ratio:
    """Time of the second run over that of the first: below 1, the second is faster."""

    row: Row
    figure: str
    ratio: float
    interval: tuple[float, float]
    unstable: bool

    @property
    def verdict(self) -> str:
        """What the interval says."""
        low, high = self.interval
        verdict = "faster" if high < 1 else "slower" if low > 1 else "no difference seen"
        return f"{verdict}, unstable" if self.unstable else verdict


def ratios(first: Result, second: Result) -> list[Ratio]:
    """The rows that both results have, in the order of the first."""
    others = {row.key: row for row in second.rows}
    return [_ratio(row, others[row.key]) for row in first.rows if row.key in others]


def ratio_cells(found: Sequence[Ratio]) -> list[Cells]:
    """The ratios as cells of a table."""
    return [
        {
            "scenario": ratio.row.scenario,
            "input": ratio.row.input or "-",
            "subject": row_name(ratio.row),
            "of": ratio.figure,
            "time, second / first": f"{ratio.ratio:.3f}",
            "95 %": f"{ratio.interval[0]:.3f} to {ratio.interval[1]:.3f}",
            "second is": ratio.verdict,
        }
        for ratio in found
    ]


def only_in_one(first: Result, second: Result) -> list[str]:
    """The rows that cannot be compared, in words."""
    keys = [{row.key for row in result.rows} for result in (first, second)]
    return [
        f"only in the {name}: {row.scenario}, {row_name(row)}{', ' * bool(row.input)}{row.input}"
        for name, result, other in (("first", first, keys[1]), ("second", second, keys[0]))
        for row in result.rows
        if row.key not in other
    ]


def context_differences(first: dict[str, Any], second: dict[str, Any]) -> list[str]:
    """What of the machines and versions differs, in words."""
    return [
        f"{name}: {first.get(name)} and {second.get(name)}"
        for name in COMPARED
        if first.get(name) != second.get(name)
    ]


def _ratio(first: Row, second: Row) -> Ratio:
    name = HEADLINES[first.scenario]
    times = [np.array(row.turns_ms) for row in (first, second)]
    # A rate is compared by the mean time; p99 by p90 where too few times were kept.
    wanted = "mean" if name == "rate" else name
    figure = wanted if wanted in figures_for(min(part.size for part in times)) else "p90"
    values = [float(figures(part.reshape(1, -1), [figure])[figure][0]) for part in times]
    # Different seeds, because the runs are independent.
    draws = [resampled(part, [figure], seed)[figure] for seed, part in enumerate(times)]
    return Ratio(
        row=first,
        figure=figure,
        ratio=values[1] / values[0],
        interval=interval_of(draws[1] / draws[0]),
        unstable=bool(first.unstable or second.unstable),
    )

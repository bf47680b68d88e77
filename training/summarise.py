"""Mean and standard deviation over the seeds of a model: ``python -m training.summarise
runs/nano-*/evaluation``.

Takes folders with a metrics.json of training.evaluate or, for a run without an evaluation, the log.jsonl of
training.train, of which the last line counts. ``--row NAME`` prints one line for an ablation table.
"""

import argparse
import json
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path

from training.command_line import exit_on_error
from training.evaluation.markdown import table

# In the order of the columns; a measure that a run does not have is left out.
MEASURES = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "calibration_error": "ECE",
    "accuracy_on_fer2013_labels": "accuracy on the second labels",
    "accuracy_unaligned": "accuracy of whole pictures",
    "valid_accuracy": "accuracy on valid",
    "valid_balanced_accuracy": "balanced accuracy on valid",
    "valid_loss": "loss on valid",
}
NO_SHARES = ("calibration_error", "valid_loss")  # which are not in per cent


def metrics_of_run(folder: Path) -> tuple[dict[str, float], str]:
    """The metrics of one run, and what identifies it, so that no run is counted twice.

    Raises:
        FileNotFoundError: there is no metrics.json, evaluation/metrics.json or log.jsonl.
    """
    for path in (folder / "metrics.json", folder / "evaluation" / "metrics.json"):
        if path.exists():
            result = json.loads(path.read_text(encoding="utf-8"))
            return _known(result), str(result["context"]["model"]["sha256"])
    log = folder / "log.jsonl"
    if not log.exists():
        raise FileNotFoundError(
            f"{folder} must hold metrics.json or log.jsonl, got neither; run python -m training.evaluate"
        )
    last = log.read_text(encoding="utf-8").splitlines()[-1]
    return _known(json.loads(last)), last


def _known(result: Mapping[str, object]) -> dict[str, float]:
    return {name: float(result[name]) for name in MEASURES if isinstance(result.get(name), int | float)}  # type: ignore[arg-type]


def summary_of_runs(folders: Sequence[Path]) -> dict[str, tuple[float, float | None]]:
    """Mean and standard deviation (of a sample; None for one run) of the measures that all runs have.

    Raises:
        ValueError: a run is given twice, or the runs share no measure.
    """
    runs, seen = [], {}
    for folder in folders:
        metrics, identity = metrics_of_run(folder)
        if identity in seen:
            raise ValueError(
                f"runs must differ, got the same one in {seen[identity]} and {folder}; leave one out, "
                "a repeat of one seed makes the deviation too small"
            )
        seen[identity] = folder
        runs.append(metrics)
    shared = [name for name in MEASURES if all(name in metrics for metrics in runs)]
    if not shared:
        raise ValueError(
            f"runs must share a measure, got none in {', '.join(map(str, folders))}; "
            "evaluate all of them with python -m training.evaluate"
        )
    values = {name: [metrics[name] for metrics in runs] for name in shared}
    return {
        name: (statistics.mean(column), statistics.stdev(column) if len(column) > 1 else None)
        for name, column in values.items()
    }


def cell(name: str, mean: float, deviation: float | None) -> str:
    """Mean ± deviation; shares in per cent."""
    factor, digits = (1, 4) if name in NO_SHARES else (100, 2)
    spread = "" if deviation is None else f" ± {factor * deviation:.{digits}f}"
    return f"{factor * mean:.{digits}f}{spread}{'' if name in NO_SHARES else ' %'}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", type=Path, nargs="+", metavar="DIR", help="one for each seed")
    parser.add_argument("--row", metavar="NAME", help="print one line with this name, for an ablation table")
    args = parser.parse_args()
    with exit_on_error(parser):
        summary = summary_of_runs(args.folders)
    cells = {MEASURES[name]: cell(name, *metrics) for name, metrics in summary.items()}
    seeds = len(args.folders)
    if args.row:
        print(table([{"": args.row, "seeds": seeds, **cells}]), end="")
    else:
        rows = [{"measure": name, f"mean ± deviation, runs: {seeds}": value} for name, value in cells.items()]
        print(table(rows), end="")


if __name__ == "__main__":
    main()

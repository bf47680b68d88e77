"""The metrics of an evaluation as a Markdown page with pictures; parts that were not evaluated are left
out.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from training.evaluation.markdown import percent, table, text

Result = Mapping[str, Any]


def report_from_result(result: Result, folder: Path) -> str:
    """The page for the content of metrics.json; ``folder`` is where the pictures are."""
    title = f"# {result['context']['model']['file']} on {result['context']['data']}\n"
    parts = [title]
    for needed, part, pictures in PARTS:
        if needed in result:
            shown = [f"![{alt}]({name})\n" for name, alt in pictures.items() if (folder / name).exists()]
            parts += [part(result), *shown]
    return "\n".join(parts)


def _headline(result: Result) -> str:
    rows = [
        {"measure": title, "value": percent(result[name], result.get(f"{name}_95"))}
        for name, title in SHARES.items()
        if name in result
    ]
    rows += [{"measure": title, "value": text(result[name])} for name, title in NUMBERS.items()]
    is_whole = result["context"].get("limit") is None
    return (
        f"{'All' if is_whole else 'A dry run on'} {result['rows']} rows of the test split, scored once; "
        "arg-max, single image, no test-time tricks. Temperatures are fitted on the validation split. "
        "Intervals: 95 %, bootstrap over rows.\n\n"
    ) + table(rows)


def _classes(result: Result) -> str:
    rows = [
        {
            "expression": name,
            "rows": count,
            "recall": percent(result["recall"][name], result["recall_95"][name]),
            "precision": percent(result["precision"][name], result["precision_95"][name]),
        }
        for name, count in result["counts"].items()
    ]
    return "## By expression\n\n" + table(rows)


def _vote_shares(result: Result) -> str:
    shares = result["vote_shares"]
    rows = [
        {
            "expression": name,
            "mean predicted": percent(shares["predicted"][name]),
            "mean actual": percent(shares["actual"][name]),
            "mean absolute error": shares["error"][name],
            "correlation": shares["correlation"][name],
        }
        for name in shares["predicted"]
    ]
    return (
        "## Predicted and actual vote shares\n\n"
        f"Mean absolute error of a share {shares['mean_error']:.4f}; at the temperature of the "
        f"confidence {shares['mean_error_of_confidence']:.4f}.\n\n"
    ) + table(rows)


def _abstention(result: Result) -> str:
    figures = result["abstention"]
    lines = [
        "## Abstention\n",
        f"{figures['target_accuracy']:.0%} of the accepted labels are right on valid from a confidence of "
        f"**{figures['min_confidence']:.4f}** on.\n",
        table(
            [
                {
                    "split": name,
                    "coverage": percent(figures[name]["coverage"]),
                    "accuracy of these": percent(figures[name]["accuracy"], figures[name]["accuracy_95"]),
                    "area under risk-coverage": figures["risk_coverage_area"][name],
                }
                for name in ("valid", "test")
            ]
        ),
        table(figures["by_confidence"]),
        "On valid, by turn of the head (0 frontal, 1 about 45 degrees):\n",
        table(figures["by_turn"]),
    ]
    return "\n".join(lines)


def _limits(result: Result) -> str:
    limits = result["limits"]
    lines = [
        "## Limits of the picture, on valid\n",
        "Pictures shrunk to an eye distance, where a face was found:\n",
        table(limits["by_eye_distance"]),
        "Pictures blurred (standard deviation in px of 48), with quantiles of the sharpness:\n",
        table(limits["by_blur"]),
    ]
    return "\n".join(lines)


def _files(result: Result) -> str:
    rows = [
        {
            "file": row["file"],
            "precision": row["precision"],
            "backend": " ".join(str(v) for v in row["backend"].values()),
            "accuracy": percent(row["accuracy"], row["accuracy_95"]),
            "balanced": percent(row["balanced_accuracy"], row["balanced_accuracy_95"]),
            "ECE": row["calibration_error"],
            "temperature": row["confidence_temperature"],
            "largest difference": row["max_probability_difference"],
            "changed labels": percent(row["changed_labels"]),
        }
        for row in result["files"]
    ]
    return (
        "## By backend and precision\n\n"
        "Each file with its own temperature. Differences are of probabilities, against the first, both at "
        "the first one's temperature.\n\n"
    ) + table(rows)


def _robustness(result: Result) -> str:
    lines = [
        f"## Robustness, on {result['robustness_rows']} test rows\n",
        "Pictures are changed before the runtime's alignment. *left in the crop*: the change is not "
        "corrected, as with inexact landmarks; *aligned by landmarks*: the undistorted picture's landmarks "
        "are used. *lost*: accuracy lost against the undistorted rows, paired. The two most important:\n",
        table(_most_important(result["robustness"])),
    ]
    for name, curve in result["robustness"].items():
        for case, levels in curve["cases"].items():
            rows = [
                {
                    curve["unit"]: row["level"],
                    "accuracy": percent(row["accuracy"], row["accuracy_95"]),
                    "balanced": percent(row["balanced_accuracy"], row["balanced_accuracy_95"]),
                    "lost": percent(row["lost"], row["lost_95"]),
                }
                for row in levels
            ]
            lines += [f"### {name}, {case}\n", table(rows)]
    return "\n".join(lines)


def _most_important(curves: Mapping[str, Any]) -> list[dict[str, str]]:
    """The accuracy lost to a roll of 20 degrees that the alignment missed, and to faces of 24 px."""
    asked = (("rotation", "left in the crop", (-20, 20)), ("face size", "aligned by landmarks", (24,)))
    return [
        {
            "distortion": f"{name} {row['level']} {curves[name]['unit']}",
            "lost": percent(row["lost"], row["lost_95"]),
        }
        for name, case, levels in asked
        if name in curves
        for row in curves[name]["cases"][case]
        if row["level"] in levels
    ]


def _protocol(result: Result) -> str:
    figures = result["protocol"]
    verdict = "holds" if figures["holds"] else "**is broken: the metrics are not valid for single faces**"
    rows = [{"measure": name, "value": text(value)} for name, value in figures.items() if name != "holds"]
    return f"## Protocol\n\nIndependence of the batch {verdict}.\n\n" + table(rows)


def _context(result: Result) -> str:
    rows = [{"": name, "value": text(value)} for name, value in _flat(result["context"]).items()]
    return "## How it was measured\n\n" + table(rows)


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested names joined by a full stop."""
    flat: dict[str, Any] = {}
    for name, value in values.items():
        flat |= _flat(value, f"{prefix}{name}.") if isinstance(value, Mapping) else {f"{prefix}{name}": value}
    return flat


def _attention(result: Result) -> str:
    return (
        f"## Where the blocks look\n\nMaps: {', '.join(result['attention_maps']) or 'none'}. They say where "
        "a block's output is large, not what caused the label. Each map is stretched to the range below it.\n"
    )


def _features(result: Result) -> str:
    return (
        f"## Features\n\nt-SNE of the features before the head, {result['feature_rows']} test rows. Near "
        "points are similar faces; distances between groups have no meaning.\n"
    )


SHARES = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy (mean recall)",
    "accuracy_on_fer2013_labels": "accuracy on the second labels (FER2013's own)",
    "accuracy_unaligned": "accuracy without alignment (whole pictures)",
    "mirror_agreement": "same label for the mirrored picture",
    "aligned_share": "rows in which a face was found",
}
NUMBERS = {
    "confidence_temperature": "temperature of the confidence",
    "share_temperature": "temperature of the probabilities",
    "calibration_error_before": "expected calibration error at temperature 1",
    "calibration_error": "expected calibration error",
}
# Key that must be in the result, part of the page, its pictures with their captions; in the page's order.
PARTS: tuple[tuple[str, Callable[[Result], str], dict[str, str]], ...] = (
    ("accuracy", _headline, {}),
    (
        "counts",
        _classes,
        {"confusion.png": "Confusion matrix", "reliability.png": "Reliability: accuracy against confidence"},
    ),
    ("files", _files, {}),
    ("abstention", _abstention, {"risk_coverage.png": "Accuracy against coverage"}),
    ("limits", _limits, {}),
    ("vote_shares", _vote_shares, {"vote_shares.png": "Predicted and actual vote shares"}),
    ("robustness", _robustness, {"robustness.png": "Accuracy under distortion"}),
    (
        "attention_maps",
        _attention,
        {
            "attention_mean.png": "Mean of many faces",
            "attention.png": "Faces of the data set: check its licence before publishing",
        },
    ),
    ("feature_rows", _features, {"features.png": "Features of test faces"}),
    ("protocol", _protocol, {}),
    ("context", _context, {}),
)

"""Figures of the cards of the expression networks, from docs/models/metrics and the shipped files."""

from pathlib import Path
from typing import Any

from benchmarks.figures.expressions import read_metrics, share_with_interval
from fer_edge import models
from training.evaluation.markdown import percent, table, text


def headline(network: str = "tkfnet-nano") -> str:
    measured = read_metrics(network)
    measures = (
        ("accuracy", "accuracy"),
        ("balanced_accuracy", "balanced accuracy (mean recall)"),
        ("accuracy_on_fer2013_labels", "accuracy against FER2013's own labels"),
        ("accuracy_unaligned", "accuracy without alignment (whole pictures)"),
        ("mirror_agreement", "same label for the mirrored picture"),
        ("aligned_share", "rows in which a face was found"),
    )
    rows = [{"measure": title, "value": share_with_interval(measured, name)} for name, title in measures]
    rows += [
        {
            "measure": "expected calibration error of the confidence",
            "value": f"{measured['calibration_error']:.4f}",
        },
        {"measure": "the same at temperature 1", "value": f"{measured['calibration_error_before']:.4f}"},
        {
            "measure": "mean absolute error of a vote share",
            "value": f"{measured['vote_shares']['mean_error']:.4f}",
        },
    ]
    return table(rows)


def classes(network: str = "tkfnet-nano") -> str:
    measured = read_metrics(network)
    return table(
        [
            {
                "expression": name,
                "test rows": count,
                "recall": percent(measured["recall"][name], measured["recall_95"][name]),
                "precision": percent(measured["precision"][name]),
            }
            for name, count in measured["counts"].items()
        ]
    )


def temperatures() -> str:
    rows = []
    for file in read_metrics("tkfnet-nano")["files"]:
        spec = models.read(models.WEIGHTS / file["file"]).spec
        rows.append(
            {
                "file": f"`{Path(file['file']).stem}`",
                "temperature of the probabilities": f"{spec.temperature:.4f}",
                "temperature of the confidence": f"{spec.confidence_temperature:.4f}",
                "min_confidence": f"{spec.min_confidence:.4f}",
            }
        )
    return table(rows)


def vote_shares() -> str:
    shares = read_metrics("tkfnet-nano")["vote_shares"]
    return table(
        [
            {
                "expression": name,
                "mean predicted share": percent(shares["predicted"][name]),
                "mean share of the votes": percent(shares["actual"][name]),
                "mean absolute error": f"{shares['error'][name]:.4f}",
                "correlation": f"{shares['correlation'][name]:.3f}",
            }
            for name in shares["predicted"]
        ]
    )


def robustness(network: str = "tkfnet-nano") -> str:
    measured = read_metrics(network)
    rows = [
        {
            "change": f"{name}, {curve['unit']}, {way}",
            "accuracy in % by level": ", ".join(
                f"{row['level']}: {100 * row['accuracy']:.1f}" for row in levels
            ),
        }
        for name, curve in measured["robustness"].items()
        for way, levels in curve["cases"].items()
    ]
    return f"{table(rows)}\nMeasured on {measured['robustness_rows']:,} test rows."


def threshold() -> str:
    figures = read_metrics("tkfnet-nano")["abstention"]
    valid, test = figures["valid"], figures["test"]
    return (
        f"The default file's threshold is {figures['min_confidence']:.4f}. On the validation split, where it "
        f"was chosen, {valid['coverage']:.2%} of the rows reach it and {valid['accuracy']:.2%} of their "
        f"labels are correct; on the test split {test['coverage']:.2%} and {test['accuracy']:.2%} "
        f"({test['accuracy_95'][0]:.1%} to {test['accuracy_95'][1]:.1%})."
    )


def crop_check() -> str:
    """What the crop check withholds on the validation splits."""
    report = read_metrics("tkfnet-nano-crop-check")
    rows = [
        {
            "faces": kind,
            "count": row["faces"],
            "called covered": f"{row['covered']:.1%}",
            "called rolled": f"{row['rolled']:.1%}",
        }
        for kind, row in report["valid"].items()
    ]
    limits = " and ".join(f"{limit:.3f} ({name})" for name, limit in report["limits"].items())
    return f"Limits: {limits}.\n\n{table(rows)}"


def logit_adjustment() -> str:
    """What each strength of the logit adjustment costs on the validation split."""
    report = read_metrics("tkfnet-nano-logit-adjustment")
    rows = [
        {name: value if name == "strength" else percent(value) for name, value in row.items()}
        for row in report["valid"]
    ]
    return f"Chosen: {report['strength']}.\n\n{table(rows)}"


def by_confidence() -> str:
    return _plain_table(read_metrics("tkfnet-nano")["abstention"]["by_confidence"])


def by_turn() -> str:
    return _plain_table(read_metrics("tkfnet-nano")["abstention"]["by_turn"])


def by_eye_distance() -> str:
    return _plain_table(read_metrics("tkfnet-nano")["limits"]["by_eye_distance"])


def by_blur() -> str:
    return _plain_table(read_metrics("tkfnet-nano")["limits"]["by_blur"])


def _plain_table(rows: list[dict[str, Any]]) -> str:
    """Shares to four digits, intervals to three."""
    shown = [
        {
            name: " to ".join(f"{v:.3f}" for v in value) if isinstance(value, list) else text(value)
            for name, value in row.items()
            if name not in ("valid_accuracy_95", "test_accuracy_95")
        }
        for row in rows
    ]
    return table(shown)

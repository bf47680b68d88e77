"""Figures of the expression networks for README.md and docs/results.md."""

import json
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.figures.detector import detector_rows
from benchmarks.figures.latency import described_machine
from fer_edge import models
from training.evaluation.markdown import percent, table
from training.summarise import MEASURES, cell, summary_of_runs

DOCS = Path(__file__).parents[2] / "docs" / "models"
ROW_NOTE = "FER+ test, all {rows:,} rows, arg-max of eight, single image, no copies in training"
# name in docs/models/metrics -> (name in the table, multiply-adds, time of training)
NETWORKS = {
    "tkfnet-18-slim": ("tkfnet-18-slim, float32", "0.45 G", "15 epochs, 40 min"),
    "conv-cut-atto": ("conv-cut-atto, float32", "0.10 G", "12 epochs, 41 min on one core"),
}
TRAINING_OF_NANO = "60 epochs, 24 min"
SEEDS = (0, 1, 2)
# The logs of these runs are in docs/models/metrics/blocks: (network, change of its config, name of the runs).
WITHOUT_A_BLOCK = (
    ("tkfnet-nano", "", "nano"),
    ("without TAFE", "--set options.tafe=none", "nano-no-tafe"),
    ("without DCIF", "--set options.dcif=false", "nano-no-dcif"),
    ("conv-cut-atto", "", "conv-cut"),
    ("without attention", "--set options.attention=false", "conv-cut-no-attention"),
)


def quality() -> str:
    """Metrics of the embedded default files, for the README."""
    nano = read_metrics("tkfnet-nano")
    note = ROW_NOTE.format(rows=nano["rows"])
    rows = [
        ("expression: accuracy", share_with_interval(nano, "accuracy"), note),
        (
            "expression: balanced accuracy",
            share_with_interval(nano, "balanced_accuracy"),
            "the same rows; contempt and disgust are rarely predicted, see the model card",
        ),
        (
            "expression: calibration error",
            f"{nano['calibration_error']:.3f}",
            "the same rows; fitted on validation",
        ),
        *detector_rows(),
    ]
    named = [dict(zip(("quality", "value", "measured on"), row, strict=True)) for row in rows]
    return (
        "Of the embedded default files, `tkfnet-nano` (int8) and `face-luma` (float32); intervals: 95 %, "
        "bootstrap.\n\n" + table(named)
    )


def networks() -> str:
    """All networks that were trained, on test."""
    nano = read_metrics("tkfnet-nano")
    rows = [_network_row(_title(file), file, "0.06 G", TRAINING_OF_NANO) for file in nano["files"]]
    for name, (title, operations, training) in NETWORKS.items():
        result = read_metrics(name)
        about = {"weights": result["context"]["model"]["parameters"]}
        rows.append(_network_row(title, result | about, operations, training))
    return table(rows)


def targets() -> str:
    """The targets that were set for nano, and the values that its default file reaches."""
    nano = read_metrics("tkfnet-nano")
    rare = ", ".join(f"{name} {nano['recall'][name]:.0%}" for name in ("contempt", "disgust", "fear"))
    lost = _points_lost(nano)
    values: Sequence[tuple[str, float, float, bool, str]] = (
        ("accuracy, % (at least)", 100 * nano["accuracy"], 85.0, True, ""),
        ("balanced accuracy, % (at least)", 100 * nano["balanced_accuracy"], 70.0, True, rare),
        ("calibration error (at most)", nano["calibration_error"], 0.02, False, ""),
        (
            "accuracy on FER2013's own labels, % (at least)",
            100 * nano["accuracy_on_fer2013_labels"],
            69.0,
            True,
            "",
        ),
        *(
            (
                f"points lost at {title} (at most)",
                lost[key],
                3.0,
                False,
                f"{nano['robustness_rows']} rows",
            )
            for title, key in (
                ("-20 degrees", "rotation -20"),
                ("+20 degrees", "rotation 20"),
                ("24 px", "face size 24"),
            )
        ),
    )
    rows = [
        {
            "tkfnet-nano, default file": name,
            "target": f"{target:g}",
            "reached": f"{reached:.4g}",
            "": "met" if (reached >= target) == at_least else "**missed**",
            "note": note,
        }
        for name, reached, target, at_least, note in values
    ]
    return table(rows)


def seeds() -> str:
    """The recipe of nano with several seeds, float32, on test; the first is the shipped one."""
    columns: dict[str, list[float]] = {}
    for seed in SEEDS:
        result = read_metrics(f"tkfnet-nano-seed-{seed}")
        lost = _points_lost(result)
        measures = {
            "accuracy, %": 100 * result["accuracy"],
            "balanced, %": 100 * result["balanced_accuracy"],
            "ECE": result["calibration_error"],
            "mirrored picture, same label, %": 100 * result["mirror_agreement"],
            "points lost at -20 degrees": lost["rotation -20"],
            "at +20 degrees": lost["rotation 20"],
            "at 24 px": lost["face size 24"],
        }
        for name, value in measures.items():
            columns.setdefault(name, []).append(value)
    digits = {name: 4 if name == "ECE" else 2 for name in columns}
    rows = [
        {"seed": str(seed)} | {name: f"{values[k]:.{digits[name]}f}" for name, values in columns.items()}
        for k, seed in enumerate(SEEDS)
    ]
    spread = {
        name: f"{statistics.mean(values):.{digits[name]}f} ± {statistics.stdev(values):.{digits[name]}f}"
        for name, values in columns.items()
    }
    return table([*rows, {"seed": "mean, deviation"} | spread])


def blocks() -> str:
    """Each network whole and without one of its blocks, after short runs of one length, on valid."""
    rows = []
    for name, change, run in WITHOUT_A_BLOCK:
        folders = sorted((DOCS / "metrics" / "blocks").glob(f"{run}-[0-9]"))
        cells = {MEASURES[k]: cell(k, *values) for k, values in summary_of_runs(folders).items()}
        rows.append({"": name, "change": f"`{change}`" if change else "", "seeds": str(len(folders))} | cells)
    return table(rows)


def precisions() -> str:
    """Both embedded expression files, with the numbers in their metadata."""
    rows = []
    for file in read_metrics("tkfnet-nano")["files"]:
        spec = models.read(models.WEIGHTS / file["file"]).spec
        rows.append(
            {
                "file": f"`{spec.name}`",
                "precision": file["precision"],
                "accuracy": percent(file["accuracy"]),
                "balanced": percent(file["balanced_accuracy"]),
                "ECE": f"{file['calibration_error']:.4f}",
                "confidence_temperature": f"{spec.confidence_temperature:.4f}",
                "min_confidence": f"{spec.min_confidence:.4f}",
                "numbers in the file": f"{file['parameters']:,}",
            }
        )
    return table(rows)


def int8_latency() -> str:
    """Times and probabilities of the int8 file beside the float32 file, from its certificate."""
    certificate = json.loads((DOCS / "tkfnet-nano-int8.json").read_text(encoding="utf-8"))
    rows = [
        {
            "batch": pairs["batch"],
            "float32, ms": f"{pairs['first_ms']:.2f}",
            "int8, ms": f"{pairs['second_ms']:.2f}",
            "int8 / float32": f"{pairs['ratio']:.2f} ({pairs['ratio_25']:.2f} to {pairs['ratio_75']:.2f})",
        }
        for pairs in certificate["latency"]
    ]
    return (
        "Medians and quartiles of interleaved pairs, one thread: "
        f"{described_machine(certificate['context'])}.\n\n{table(rows)}\n"
        f"Over {certificate['pictures']:,} validation rows, none of which calibrated the int8 file or chose "
        f"its parts, the probabilities differ by {certificate['largest_difference']:.3f} at most and "
        f"{certificate['mean_difference']:.4f} on average; {certificate['changed_labels']:.2%} of the labels "
        "change."
    )


def copies() -> str:
    """How many pictures of FER+ are in more than one split."""
    audit = json.loads((DOCS / "metrics" / "ferplus-audit.json").read_text(encoding="utf-8"))
    rows = []
    for name, found in audit["across"].items():
        everything, labelled = found["all pictures"], found["labelled pictures"]
        rows.append(
            {"pictures of": name} | {kind: f"{everything[kind]} ({labelled[kind]})" for kind in everything}
        )
    return table(rows)


def _points_lost(result: dict[str, Any]) -> dict[str, float]:
    """Percentage points of accuracy that a turn and a small face cost, by change and level."""
    return {
        f"{name} {row['level']}": 100 * row["lost"]
        for name, way in (("rotation", "left in the crop"), ("face size", "aligned by landmarks"))
        for row in result["robustness"][name]["cases"][way]
    }


def _title(file: dict[str, Any]) -> str:
    spec = models.read(models.WEIGHTS / file["file"]).spec
    return f"{spec.name} {spec.version}, {file['precision']}"


def _network_row(title: str, result: dict[str, Any], operations: str, training: str) -> dict[str, str]:
    return {
        "network": title,
        "multiply-adds": operations,
        "accuracy": share_with_interval(result, "accuracy"),
        "balanced": share_with_interval(result, "balanced_accuracy"),
        "ECE": f"{result['calibration_error']:.4f}",
        "FER2013's own labels": share_with_interval(result, "accuracy_on_fer2013_labels"),
        "training (on two cores unless said)": training,
    }


def share_with_interval(result: dict[str, Any], name: str) -> str:
    low_high = result.get(f"{name}_95")
    value = f"{result[name]:.1%}"
    return f"{value} ({low_high[0]:.1%} to {low_high[1]:.1%})" if low_high else value


def read_metrics(name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((DOCS / "metrics" / f"{name}.json").read_text(encoding="utf-8"))
    return content

"""The figures of docs/exporting.md, from the certificates in docs/models/exports."""

import json
from pathlib import Path
from typing import Any

from benchmarks.figures.latency import described_machine
from export.blocks import FLAVOURS
from export.precisions import PRECISIONS
from training.evaluation.markdown import table

MODELS = Path(__file__).parents[2] / "docs" / "models"
CERTIFICATES = MODELS / "exports"
ON_OPENVINO = MODELS / "openvino"


def certificates() -> list[dict[str, Any]]:
    """All certificates, by network, precision and flavour."""
    found = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(CERTIFICATES.glob("*.json"))]
    return sorted(
        found,
        key=lambda c: (c["model"], PRECISIONS.index(c["precision"]), FLAVOURS.index(c["flavour"])),
    )


def expression_exports() -> str:
    """What each precision changes of the expression networks."""
    rows = [
        {
            "network": f"{c['model']} {c['model_version']}",
            "precision": c["precision"],
            "flavour": c["flavour"],
            "file, kB": f"{c['file_bytes'] / 1000:,.0f}",
            "faces": c["pictures"],
            "labels changed": f"{c['changed_labels']:.2%}",
            "accuracy": f"{c['accuracy_before']:.2%} -> {c['accuracy_after']:.2%}",
            "largest difference": f"{c['largest_difference']:.1e}",
            "mean difference": f"{c['mean_difference']:.1e}",
            "crop check": "-" if (check := c.get("largest_check_difference")) is None else f"{check:.1e}",
            "calibration": c.get("calibration", "-"),
        }
        for c in certificates()
        if c["accuracy_before"] is not None
    ]
    return table(rows)


def on_openvino() -> str:
    """What changes against the float32 file when OpenVINO computes the embedded networks."""
    found = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(ON_OPENVINO.glob("*.json"))]
    rows = [
        {
            "network": f"{c['model']} {c['model_version']}",
            "file": c["precision"],
            "computed in": {"bf16": "bfloat16", "int8-cpu": "int8, other layers bfloat16"}[c["arithmetic"]],
            "labels (faces) changed": f"{c['changed_labels']:.2%}",
            "allowed": f"{c['limits']['changed_labels']:.1%}",
            "accuracy": "-"
            if c["accuracy_before"] is None
            else f"{c['accuracy_before']:.2%} -> {c['accuracy_after']:.2%}",
            "largest difference of a probability": f"{c['largest_difference']:.1e}",
            "mean difference": f"{c['mean_difference']:.1e}",
            "pictures": c["pictures"],
        }
        for c in found
    ]
    return f"{described_machine(found[0]['context'])}.\n\n{table(rows)}"


def detector_exports() -> str:
    """What each precision changes of the detectors."""
    rows = [
        {
            "network": f"{c['model']} {c['model_version']}",
            "precision": c["precision"],
            "file, kB": f"{c['file_bytes'] / 1000:,.0f}",
            "faces lost or new": f"{c['changed_labels']:.2%}",
            "mean difference of a score": f"{c['mean_difference']:.1e}",
            "photographs": c["pictures"],
            "calibration": c.get("calibration", "-"),
        }
        for c in certificates()
        if c["accuracy_before"] is None
    ]
    return table(rows)


def calibrations() -> str:
    """The mean difference by each calibration of int8 for TensorRT, on the pictures that choose."""
    rows = [
        {
            "network": f"{c['model']} {c['model_version']}",
            **{
                method: f"**{mean:.5f}**" if method == c["calibration"] else f"{mean:.5f}"
                for method, mean in c["mean_difference_by_calibration"].items()
            },
        }
        for c in certificates()
        if c["precision"] == "int8-trt" and c["flavour"] == "plain"
    ]
    return table(rows)

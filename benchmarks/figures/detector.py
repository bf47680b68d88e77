"""The documents' figures of the face detector, from docs/models/metrics/face-luma.json."""

import json
from pathlib import Path
from typing import Any

from benchmarks.figures.latency import described_machine
from training.evaluation.markdown import table

FOLDER = Path(__file__).parents[2] / "docs" / "models" / "metrics"
METRICS, SEARCH = FOLDER / "face-luma.json", FOLDER / "face-luma-search.json"
MEASURES = {
    "threshold": "threshold",
    "precision": "precision",
    "recall_10_16": "recall, faces of 10 to 16 px",
    "recall_16_32": "recall, 16 to 32 px",
    "recall_32_64": "recall, 32 to 64 px",
    "recall_64_up": "recall, 64 px and more",
    "recall_12_24": "recall, 12 to 24 px",
    "recall_24_up": "recall, 24 px and more",
    "false_positives_per_empty_picture": "false positives per picture without a face",
    "landmark_error_median": "median landmark error, share of the eye distance",
}
TEACHERS = {"yunet": "YuNet", "centerface": "CenterFace", "retinaface": "RetinaFace"}
COLUMNS = {"face-luma": "face-luma", **TEACHERS}


def detector_rows() -> list[tuple[str, str, str]]:
    """(quality, value, measured on) for the README."""
    result = _result()
    ours, teacher = result["face-luma"], result["yunet"]
    return [
        (
            "detector: recall, 24 px and more",
            f"{ours['recall_24_up']:.1%}",
            f"{result['test_pictures']} held-out photographs marked by three detectors in twice-enlarged "
            f"pictures, of which YuNet itself finds {teacher['recall_24_up']:.1%} at their own size",
        ),
        ("detector: precision", f"{ours['precision']:.1%}", "the same photographs"),
    ]


def detector() -> str:
    result = _result()
    return table(
        [
            {
                "measure": measure,
                "face-luma": f"{result['face-luma'][name]:.3f}",
                **{title: f"{result[teacher][name]:.3f}" for teacher, title in TEACHERS.items()},
            }
            for name, measure in MEASURES.items()
        ]
    )


def landmarks() -> str:
    """Landmark errors against the mean of the teachers, or of the other teachers."""
    rows = []
    for truth, errors in _result()["landmark_errors"].items():
        row: dict[str, object] = {"truth: the mean of": truth, "faces": errors["faces"]}
        for name, title in COLUMNS.items():
            known = f"{name} median" in errors
            row[title] = f"{errors[f'{name} median']:.1%} / {errors[f'{name} p90']:.1%}" if known else "-"
        rows.append(row)
    return f"Median / 90th percentile, share of the eye distance.\n\n{table(rows)}"


def turned() -> str:
    """Portraits that are missed when they are turned or cut."""
    missed = _result()["missed_portraits"]
    rows = [
        {"portraits": change, **{title: len(names[name]) for name, title in COLUMNS.items()}}
        for change, names in missed.items()
    ]
    return table(rows)


def time() -> str:
    result = _result()
    rows = [
        {
            "input": size,
            "face-luma, ms": f"{times['face-luma']:.2f}",
            "YuNet, ms": f"{times['yunet']:.2f}",
            "ratio": f"{times['face-luma'] / times['yunet']:.2f}",
        }
        for size, times in result["milliseconds"].items()
    ]
    machine = described_machine(result["context"])
    return f"The networks alone, one thread, interleaved: {machine}.\n\n{table(rows)}"


def search() -> str:
    """Recall by the face's share of the long side, for each search of photographs of groups."""
    result = json.loads(SEARCH.read_text(encoding="utf-8"))
    rows = []
    for parts, found in result["searches"].items():
        row: dict[str, object] = {"smallest face": f"1/{parts}"}
        for low, high in (("1.25", "2.5"), ("2.5", "5"), ("5", "10")):
            faces = found[f"faces_{low}_{high}"]
            row[f"{low} to {high} % ({faces} faces)"] = f"{found[f'recall_{low}_{high}']:.1%}"
        row["precision"] = f"{found['precision']:.1%}"
        row["ms"] = f"{found['milliseconds']:.0f}"
        rows.append(row)
    side, machine = result["long_px"], described_machine(result["context"])
    return (
        f"{result['photos']} mosaics of {side} x {side} px. One thread of a machine that had other work, so "
        f"times are only to be compared with each other: {machine}.\n\n{table(rows)}"
    )


def sides() -> str:
    """Recall of large faces that were resized, by their side in the network's input."""
    result = json.loads(SEARCH.read_text(encoding="utf-8"))["by_side"]
    row = {str(found["side"]): f"{found['recall']:.0%}" for found in result}
    return f"{table([{'px': 'found'} | row])}\n{result[0]['faces']} faces."


def photos() -> str:
    photos = _result()["photos"]
    found = sum(count > 0 for count in photos["portraits"].values())
    silent = sum(count == 0 for count in photos["no_face"].values())
    return (
        f"{found} of {len(photos['portraits'])} portraits were found, and nothing in {silent} of "
        f"{len(photos['no_face'])} pictures without a face."
    )


def _result() -> dict[str, Any]:
    content: dict[str, Any] = json.loads(METRICS.read_text(encoding="utf-8"))
    return content

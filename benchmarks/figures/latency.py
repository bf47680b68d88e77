"""The documents' figures of time and memory, from benchmarks/results."""

import json
from pathlib import Path
from typing import Any

from training.evaluation.markdown import table

RESULTS = Path(__file__).parents[1] / "results"


def latency() -> str:
    """Milliseconds by stage on one thread, with what they were measured on."""
    result = _read("latency.json")
    inputs = ", ".join(f"{size} for a {frame} frame" for frame, size in result["detector_inputs"].items())
    return (
        f"Milliseconds on one thread: {described_machine(result['context'])}. Totals: {result['runs']} "
        "frames per line. Stages: medians of a second pass; on a shared machine they need not add up to the "
        "total. "
        f"{result['faces']} The detector's input is {inputs}.\n\n" + frame_table(result["threads_1"])
    )


def start_up() -> str:
    """Start, memory, and the cost of running without the extension."""
    result = _read("latency.json")
    start, reference = result["start_up"], result["start_up_reference_ops"]
    return (
        f"Import {start['import_ms']:.1f} ms, constructor {start['constructor_ms']:.0f} ms, first frame "
        f"{start['first_result_ms']:.1f} ms, resident memory {start['resident_mb']:.0f} MB, wheel "
        f"{result['wheel_mb']:.2f} MB. With NumPy alone (`FER_EDGE_OPS=reference`) a 640x480 "
        f"frame with one face takes {reference['frame_ms']:.1f} ms instead of {start['frame_ms']:.1f} ms. "
        "Medians on the same machine; a shared host varies from run to run."
    )


def operations() -> str:
    """The compiled operations beside OpenCV."""
    result = _read("ops.json")
    rows = []
    for name, (ours, theirs) in result["us"].items():
        operation, target = name.rsplit(", ", 1)
        rows.append(
            {
                "operation": operation,
                "target": target,
                "fer_edge, us": f"{ours['p50']:.1f} ({ours['p25']:.1f} to {ours['p75']:.1f})",
                "OpenCV (and NumPy), us": f"{theirs['p50']:.1f} ({theirs['p25']:.1f} to {theirs['p75']:.1f})",
                "OpenCV / fer_edge": f"{theirs['p50'] / ours['p50']:.2g}",
            }
        )
    machine = described_machine(result["context"])
    return f"Medians and quartiles on one thread: {machine}.\n\n{table(rows)}"


def frame_table(frames: dict[str, dict[str, dict[str, float]]]) -> str:
    """One line a frame: the median of each stage, and the percentiles of the total."""
    stages = ("detect", "align", "preprocess", "infer")
    rows = [
        {
            "frame": name,
            **{stage: f"{times[stage]['p50']:.2f}" if stage in times else "-" for stage in stages},
            # No p99 where a slow machine ended before enough frames.
            **{
                f"total {p}": f"{times['total'][p]:.2f}" if p in times["total"] else "-"
                for p in ("p50", "p90", "p99")
            },
        }
        for name, times in frames.items()
    ]
    return table(rows)


def described_machine(context: dict[str, Any]) -> str:
    """Processor, cores, kernel target, versions and commit in one phrase."""
    packages, sets = context["packages"], ", ".join(context["instruction_sets"])
    return (
        f"{context['processor']} ({sets}), {context['cores']} cores of a virtual machine, {context['ops']} "
        f"kernels, ONNX Runtime {packages['onnxruntime']}, NumPy {packages['numpy']}, "
        f"commit {context['commit']}"
    )


def _read(name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((RESULTS / name).read_text(encoding="utf-8"))
    return content

"""The figures of docs/kernels.md, from benchmarks/results/kernels.json."""

import json
from pathlib import Path
from typing import Any

from training.evaluation.markdown import table

RESULTS = Path(__file__).parents[1] / "results"
WAYS = {
    "eager": "PyTorch eager, us",
    "eager_graph": "eager in a CUDA graph",
    "triton_graph": "Triton in a CUDA graph",
    "cuda_graph": "extension in a CUDA graph",
}


def kernels() -> str:
    """Medians of each operation and network on a GPU, with what they were measured on."""
    result = json.loads((RESULTS / "kernels.json").read_text(encoding="utf-8"))
    context = result["context"]
    return (
        f"Microseconds per call, medians of CUDA events, float16: {context['gpu']}, "
        f"PyTorch {context['torch']}, Triton {context['triton']}, {context['bandwidth_gb_s']:.0f} GB/s and "
        f"{context['float16_tflop_s']:.0f} TFLOP/s measured, commit {context['commit']}.\n\n"
        + table([_row(row) for row in result["rows"]])
    )


def _row(row: dict[str, Any]) -> dict[str, object]:
    times = row["times"]
    share = row.get("roofline_share")
    return {
        "case": row["case"],
        "images": row["images"],
        **{title: f"{times[way]['median_us']:.1f}" if way in times else "-" for way, title in WAYS.items()},
        "speed-up": f"{max(row['speed_up'].values()):.2f}",
        "roofline share of Triton": "-" if share is None else f"{share:.1%}",
    }

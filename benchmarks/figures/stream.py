"""The documents' figures of streams, from benchmarks/results."""

import json
from pathlib import Path
from typing import Any

from benchmarks.figures.latency import described_machine
from training.evaluation.markdown import table

RESULT = Path(__file__).parents[1] / "results" / "stream.json"


def speed() -> str:
    """Times beside a full search of each frame, with what they were measured on."""
    result = _result()
    load = result["context"]["load_average"]
    return (
        f"One thread: {described_machine(result['context'])}; load average {load} at the start, so "
        "the ratios say more than the times. Milliseconds are of the processor, means over all frames.\n\n"
        + speed_table(result["speed"])
    )


def labels() -> str:
    """Labels and landmarks beside a search and a reading of each frame."""
    return table(_result()["labels"])


def following() -> str:
    """The ways to follow a face."""
    return table(_result()["following"])


def smoothing() -> str:
    """Steadiness and delay by the time constant."""
    return table(_result()["smoothing"])


def speed_table(videos: dict[str, dict[str, Any]]) -> str:
    """One line a video."""
    return table([_speed_row(name, timed) for name, timed in videos.items()])


def _speed_row(name: str, timed: dict[str, Any]) -> dict[str, str]:
    return {
        "video": name,
        "faces a frame": f"{timed['faces'] / timed['frames']:.1f}",
        "full search, ms": f"{timed['search_ms']:.2f}",
        "stream, ms": f"{timed['stream_ms']:.2f}",
        "ratio": f"{timed['search_ms'] / timed['stream_ms']:.2f}",
        "ratio, wall": f"{timed['search_wall_ms'] / timed['stream_wall_ms']:.2f}",
        "frames/s": f"{1e3 / timed['stream_ms']:.0f}",
        "frames/s, wall": f"{1e3 / timed['stream_wall_ms']:.0f}",
        "frames searched": f"{timed['searched']:.0%}",
        "faces found again": f"{timed['found_again']:.0%}",
        "faces read": f"{timed['read']:.0%}",
    }


def _result() -> dict[str, Any]:
    content: dict[str, Any] = json.loads(RESULT.read_text(encoding="utf-8"))
    return content

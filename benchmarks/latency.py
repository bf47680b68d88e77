"""Latency by stage, start-up, memory and size: ``python -m benchmarks.latency --json build/latency.json``.

The figures of the README. It measures with fer_edge.benchmark, as `fer-edge benchmark` does, and adds what
needs a checkout: the size of the wheel, and the cost of running without the compiled extension.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.figures.latency import frame_table
from fer_edge import models, ops
from fer_edge.benchmark.measure.context import context
from fer_edge.benchmark.result import Row
from fer_edge.benchmark.run import measured
from fer_edge.benchmark.settings import Settings
from fer_edge.benchmark.work.candidate import Variant
from fer_edge.benchmark.work.cold_start import cold_starts
from fer_edge.benchmark.work.frames import Searched
from fer_edge.detection.detect import letterbox
from fer_edge.detection.scales import scales_from_frame

SIZES = ((480, 640), (720, 1280))  # rows, columns
COUNTS = (0, 1, 4, 16)
THREADS = (1, 2)
MODEL, DETECTOR = "tkfnet-nano", "face-luma"
PROCESSES = 7
FACES = "The faces are drawn, and move."


def time_frames(threads: int, runs: int) -> dict[str, dict[str, dict[str, float]]]:
    """Times of each stage in ms as percentiles, by frame ("640x480, 1 face")."""
    results = {}
    for height, width in SIZES:
        settings = Settings(
            scenarios=["EndToEnd"],
            models=[MODEL],
            detector=DETECTOR,
            threads=[threads],
            faces=COUNTS,
            frame=(width, height),
            queries=runs,
        )
        rows = measured(settings, lambda name, share: None).rows
        results |= {row.input: percentiles(row) for row in rows if row.subject == Searched.name}
    return results


def percentiles(row: Row) -> dict[str, dict[str, float]]:
    """The median of each stage, and the percentiles of the whole frame."""
    stages = {stage: {"p50": milliseconds} for stage, milliseconds in row.stages.items()}
    return stages | {"total": {p: row.ms[p] for p in ("p50", "p90", "p99") if p in row.ms}}


def start_up(target: str) -> dict[str, float]:
    """Medians over fresh processes: import, constructor, first frame, a later frame (640x480, one face), and
    resident memory after some frames; ``target`` is the kernel target.
    """
    variant = Variant(models.load(MODEL, "expression"), "auto", 1)
    before = os.environ.get("FER_EDGE_OPS")
    # Fresh processes inherit it; this one has chosen its kernels already.
    os.environ["FER_EDGE_OPS"] = target
    try:
        with tempfile.TemporaryDirectory() as folder:
            (start,) = cold_starts([variant], DETECTOR, Path(folder), PROCESSES, lambda share: None)
    finally:
        os.environ.pop("FER_EDGE_OPS")
        if before is not None:
            os.environ["FER_EDGE_OPS"] = before
    stages = {f"{stage.replace(' ', '_')}_ms": milliseconds for stage, milliseconds in start.stages.items()}
    later = statistics.median(process.later_ms for process in start.processes)
    resident = statistics.median(process.resident_mb for process in start.processes)
    found = {**stages, "frame_ms": later, "resident_mb": resident}
    return {name: round(value, 1) for name, value in found.items()}


def detector_inputs() -> dict[str, str]:
    """The size of the detector's input in its first pass, by the size of the frame."""
    spec = models.load(DETECTOR, "detector").spec
    sizes = {}
    for height, width in SIZES:
        scale = scales_from_frame(max(height, width), None)[0]
        _, (rows, columns) = letterbox((height, width), scale, spec.input_multiple)
        sizes[f"{width}x{height}"] = f"{columns}x{rows}"
    return sizes


def wheel_megabytes() -> float:
    """Builds the wheel of this checkout in a temporary folder."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(
            [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", folder, "."],
            check=True,
        )
        return round(next(Path(folder).glob("*.whl")).stat().st_size / 1e6, 2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=300, help="frames for each line")
    parser.add_argument("--json", type=Path, help="file for all results")
    args = parser.parse_args()
    result: dict[str, object] = {
        "context": context(),
        "runs": args.runs,
        "faces": FACES,
        "detector_inputs": detector_inputs(),
    }
    for threads in THREADS:
        timed = time_frames(threads, args.runs)
        result[f"threads_{threads}"] = timed
        print(f"\nmilliseconds, {threads} thread{'s' * (threads > 1)}\n\n{frame_table(timed)}")
    rest = {
        "start_up": start_up(ops.target),
        "start_up_reference_ops": start_up("reference"),
        "wheel_mb": wheel_megabytes(),
        "load_average_after": context()["load_average"],
    }
    print("\n" + json.dumps(rest, indent=2))
    result |= rest
    if args.json:
        args.json.parent.mkdir(parents=True, exist_ok=True)
        args.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
        print(f"wrote {args.json}")


if __name__ == "__main__":
    main()

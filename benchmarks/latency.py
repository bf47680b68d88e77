"""Latency by stage, start-up, memory and size: ``python -m benchmarks.latency --json build/latency.json``.

Frames show copies of one face of the astronaut photograph (NASA, public domain, part of scikit-image) on a
plain gradient, so that the number of faces is known; if another number is found, the run stops. Stages are
timed inside the recogniser, at the calls it makes.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import skimage.data

import fer_edge.expressions as order
from benchmarks.latency_figures import frame_table
from fer_edge import Recognizer, models, ops
from fer_edge.arrays import U8
from fer_edge.context import context
from fer_edge.detection.detect import letterbox
from fer_edge.detection.scales import scales_from_frame

SIZES = ((480, 640), (720, 1280))  # rows, columns
COUNTS = (0, 1, 4, 16)
THREADS = (1, 2)
FACE = (slice(30, 230), slice(125, 325))  # rows and columns of the photograph, 200 x 200 px
WARMUP = 20
# The pasted faces are small and get lower scores than faces in photographs.
THRESHOLD = 0.3

Times = dict[str, list[float]]


def frame_with_faces(height: int, width: int, count: int) -> U8:
    """BGR u8 [height, width, 3] with ``count`` (a square number or 0) faces on a grid."""
    ramp = np.linspace(60, 160, width, dtype=np.uint8)
    frame = np.repeat(np.repeat(ramp[None], height, 0)[:, :, None], 3, 2).copy()
    if not count:
        return frame
    face = skimage.data.astronaut()[FACE][:, :, ::-1]
    per_side = round(count**0.5)
    side = min(len(face), height // per_side - 8)
    index = (np.arange(side) * len(face)) // side
    small = face[index][:, index]
    for row in range(per_side):
        for column in range(per_side):
            y = (2 * row + 1) * height // (2 * per_side) - side // 2
            x = (2 * column + 1) * width // (2 * per_side) - side // 2
            frame[y : y + side, x : x + side] = small
    return frame


class Stopwatch:
    """Wraps the recogniser's calls to its stages and records their times in milliseconds."""

    def __init__(self, recognizer: Recognizer) -> None:
        self.times: Times = {}
        self._wrap(recognizer, "_detect", "detect")
        self._wrap(order, "matrices_from_landmarks", "align")
        self._wrap(order, "sample_from_frame", "preprocess")
        self._wrap(recognizer._networks.expression, "run", "infer")

    def _wrap(self, owner: object, name: str, stage: str) -> None:
        inner: Callable[..., object] = getattr(owner, name)
        inner = getattr(inner, "untimed", inner)
        times = self.times[stage] = []

        def timed(*args: object, **settings: object) -> object:
            start = time.perf_counter()
            result = inner(*args, **settings)
            times.append((time.perf_counter() - start) * 1e3)
            return result

        timed.untimed = inner  # type: ignore[attr-defined]
        setattr(owner, name, timed)


def time_frames(threads: int, runs: int) -> dict[str, dict[str, dict[str, float]]]:
    """Times of each stage in ms as percentiles, by frame ("640x480, 1 face")."""
    results = {}
    for height, width in SIZES:
        for count in COUNTS:
            # The limit on the faces makes their number exact.
            with Recognizer(threads=threads, threshold=THRESHOLD, max_faces=max(1, count)) as recognizer:
                frame = frame_with_faces(height, width, count)
                found = len(recognizer(frame))
                if found != count:
                    raise RuntimeError(f"a frame with {count} faces, {width}x{height}: {found} found")
                for _ in range(WARMUP):
                    recognizer(frame)
                watch, total = Stopwatch(recognizer), []
                for _ in range(runs):
                    start = time.perf_counter()
                    recognizer(frame)
                    total.append((time.perf_counter() - start) * 1e3)
            stages = {**watch.times, "total": total}
            results[f"{width}x{height}, {count} face{'s' * (count != 1)}"] = {
                stage: percentiles(times) for stage, times in stages.items() if times
            }
    return results


def percentiles(times: list[float]) -> dict[str, float]:
    return {f"p{p}": round(float(np.percentile(times, p)), 3) for p in (50, 90, 99)}


START_UP = """
import json, resource, time
t0 = time.perf_counter(); import fer_edge; t1 = time.perf_counter()
r = fer_edge.Recognizer(threads=1); t2 = time.perf_counter()
import numpy as np
frame = np.load({frame!r}); t3 = time.perf_counter()
r(frame); t4 = time.perf_counter()
times = []
for _ in range(100):
    start = time.perf_counter(); r(frame); times.append(time.perf_counter() - start)
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
now = [line for line in open("/proc/self/status") if line.startswith("VmRSS")]
now = int(now[0].split()[1]) / 1024 if now else peak
ms = dict(import_ms=t1 - t0, constructor_ms=t2 - t1, first_result_ms=t4 - t3, frame_ms=sorted(times)[50])
print(json.dumps({{k: 1e3 * v for k, v in ms.items()}} | {{'resident_mb': now}}))
"""


def start_up(target: str, rounds: int = 7) -> dict[str, float]:
    """Medians over fresh processes: import, constructor, first frame, a later frame (640x480, one face), and
    resident memory after 100 frames; ``target`` is the kernel target.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "frame.npy")
        np.save(path, frame_with_faces(480, 640, 1))
        runs = []
        for _ in range(rounds):
            done = subprocess.run(
                [sys.executable, "-c", START_UP.format(frame=path)],
                capture_output=True,
                text=True,
                check=True,
                env=os.environ | {"FER_EDGE_OPS": target},
            )
            runs.append(json.loads(done.stdout))
    return {key: round(float(np.median([run[key] for run in runs])), 1) for key in runs[0]}


def detector_inputs() -> dict[str, str]:
    """The size of the detector's input in its first pass, by the size of the frame."""
    spec = models.load("face-luma", "detector").spec
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
        "threshold": THRESHOLD,
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

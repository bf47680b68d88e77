"""The networks on a GPU beside the CPU: ``python -m benchmarks.device --json build/device.json``.

Whole frames, those of benchmarks.pasted_faces, are timed on both. On the GPU also the engines alone, by
CUDA's events: the graph of each batch size, and the same work without a graph, which says what graphs save.
"""

import argparse
import json
import time
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np

from benchmarks.latency import COUNTS, SIZES
from benchmarks.pasted_faces import THRESHOLD, frame_with_faces
from fer_edge import Recognizer, models
from fer_edge.backends.cuda.session import Session
from fer_edge.backends.engines.gpu import this_gpu
from fer_edge.backends.engines.products import TENSORRT, TENSORRT_RTX, installed_version, load
from fer_edge.backends.gpu_networks import plan_of
from fer_edge.backends.networks import Request
from fer_edge.backends.trt import BATCHES
from fer_edge.backends.trt_execution import Engine, Execution
from fer_edge.benchmark.measure.context import context

WARMUP, ROUNDS = 30, 10
MODEL = "tkfnet-nano-float32"


def time_frames(recognizer: Recognizer, runs: int) -> dict[str, dict[str, float]]:
    """Milliseconds of whole frames as percentiles, by frame."""
    results = {}
    for height, width in SIZES:
        for count in COUNTS:
            frame, times = frame_with_faces(height, width, count), []
            for index in range(WARMUP + runs):
                start = time.perf_counter()
                recognizer(frame)
                if index >= WARMUP:
                    times.append((time.perf_counter() - start) * 1e3)
            results[f"{width}x{height}, {count} faces"] = {
                f"p{p}": round(float(np.percentile(times, p)), 3) for p in (50, 90, 99)
            }
    return results


def time_engine(engine: Engine, shape: tuple[int, ...], runs: int) -> dict[str, float]:
    """Microseconds of the GPU for one run, with and without a graph, as medians of several rounds."""
    import pycuda.driver as driver

    session, times = engine.session, {}
    with session.exclusive():
        for name in ("graph", "no graph"):
            execution = Execution(engine, _profile(engine, shape), eager=True)
            execution.bind(shape)
            if name == "graph":
                execution.capture()
            rounds = []
            for _ in range(ROUNDS):
                begin, end = driver.Event(), driver.Event()
                session.stream.record(begin)
                for _ in range(runs):
                    execution.launch()
                session.stream.record(end)
                end.synchronize()
                rounds.append(end.time_since(begin) * 1e3 / runs)
            times[f"{name} us"] = round(sorted(rounds)[len(rounds) // 2], 2)
            del begin, end
            session.stream.synchronize()
            execution.close()
    return times


def _profile(engine: Engine, shape: tuple[int, ...]) -> int:
    profiles = engine.plan.sidecar.key.profiles
    return next(i for i, profile in enumerate(profiles) if profile.contains(shape))


def time_engines(product: Any, folder: Path, runs: int) -> dict[str, Any]:
    """The engines alone: each batch of faces, and the detector's input of a 4:3 frame."""
    files = {role: models.read(models.WEIGHTS / name) for role, name in _FILES.items()}
    request = Request(**files, threads=None, engines=folder, build="never", fallback=False)
    session, results = Session(), {}
    try:
        shapes = {
            "expression": [(batch, 1, *_side(files)) for batch in BATCHES],
            "detector": [(1, 1, 256, 320)],
        }
        for role, model in files.items():
            plan = plan_of(model, product, request, this_gpu(), Event())
            with session.exclusive():
                engine = Engine(session, load(product), plan, this_gpu())
            for shape in shapes[role]:
                results[f"{role} {list(shape)}"] = time_engine(engine, shape, runs)
            with session.exclusive():
                engine.close()
    finally:
        session.close()
    return results


_FILES = {"expression": f"{MODEL}.onnx", "detector": "face-luma.onnx"}


def _side(files: dict[str, Any]) -> tuple[int, int]:
    return (files["expression"].spec.size,) * 2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--engines", type=Path, default=Path("build/engines"), help="folder of the engines")
    parser.add_argument(
        "--runs", type=int, default=300, help="frames for each line, and launches for each round"
    )
    parser.add_argument("--json", type=Path, help="file for all results")
    args = parser.parse_args()
    product = next((p for p in (TENSORRT, TENSORRT_RTX) if installed_version(p)), None)
    if product is None:
        parser.error("needs TensorRT or TensorRT for RTX, see docs/deploy.md")
    args.engines.mkdir(mode=0o700, parents=True, exist_ok=True)
    gpu = this_gpu()
    start = time.perf_counter()
    settings: dict[str, Any] = {"backend": product.name, "engines": args.engines, "threshold": THRESHOLD}
    with Recognizer(MODEL, build="block", **settings) as on_gpu:
        result: dict[str, Any] = {
            "context": context(),
            "gpu": gpu.describe() if gpu else "none",
            "product": f"{product.name} {installed_version(product)}",
            "start_s": round(time.perf_counter() - start, 2),
            "info": on_gpu.info(),
            "gpu_ms": time_frames(on_gpu, args.runs),
        }
    start = time.perf_counter()
    with Recognizer(MODEL, build="never", **settings):
        result["second_start_s"] = round(time.perf_counter() - start, 2)
    with Recognizer(threads=1, threshold=THRESHOLD) as on_cpu:
        result["cpu_ms"] = time_frames(on_cpu, args.runs)
    result["engines"] = time_engines(product, args.engines, args.runs)
    for name, gpu_ms in result["gpu_ms"].items():
        print(f"{name:>20}  GPU {gpu_ms}  CPU, one thread {result['cpu_ms'][name]}")
    for name, times in result["engines"].items():
        print(f"{name:>30}  {times}")
    if args.json:
        args.json.parent.mkdir(parents=True, exist_ok=True)
        args.json.write_text(json.dumps(result, indent=1, default=str) + "\n")


if __name__ == "__main__":
    main()

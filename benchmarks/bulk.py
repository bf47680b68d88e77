"""What a bulk job costs beside a plain loop over the same pictures: ``python -m benchmarks.bulk``.

The pictures are crops of the astronaut photograph (NASA, public domain, part of scikit-image), JPEG of
about 512 x 512 with one face. A job is run with N and with 2 N of them: the difference is its time for N
pictures without start and end, and the rest is the start and end. It needs the extra `bulk`.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cv2
import skimage.data

from fer_edge import Recognizer
from fer_edge.bulk.job import FOR_PICTURES
from fer_edge.context import context
from fer_edge.pictures.read_picture import read_picture

# More than this is not the program, but its neighbours.
QUIET_LOAD = 1.0


def write_pictures(folder: Path, count: int) -> list[Path]:
    """Writes pictures that all differ."""
    folder.mkdir()
    astronaut = cv2.cvtColor(skimage.data.astronaut(), cv2.COLOR_RGB2BGR)
    paths = [folder / f"{number:05}.jpg" for number in range(count)]
    for number, path in enumerate(paths):
        cv2.imwrite(str(path), astronaut[number // 40 % 40 :, number % 40 :])
    return paths


def loop_seconds(paths: list[Path]) -> float:
    """Seconds of a plain loop, without its start."""
    with Recognizer(threads=1, **FOR_PICTURES) as recognizer:
        start = time.perf_counter()
        for path in paths:
            recognizer(read_picture(path).pixels)
        return time.perf_counter() - start


def job_seconds(folder: Path, workers: int) -> float:
    """Seconds of a whole job."""
    with tempfile.TemporaryDirectory() as output:
        command = [sys.executable, "-m", "fer_edge.bulk", str(folder), "--out", f"{output}/results.parquet"]
        start = time.perf_counter()
        subprocess.run([*command, "--workers", str(workers)], check=True, stdout=subprocess.PIPE)
        return time.perf_counter() - start


def measure(count: int, repeats: int) -> dict[str, object]:
    """Milliseconds a picture of the loop and of jobs, and seconds of the start and end of a job."""
    cores = len(os.sched_getaffinity(0))
    loop: list[float] = []
    jobs: dict[int, list[tuple[float, float]]] = {workers: [] for workers in sorted({1, cores})}
    with tempfile.TemporaryDirectory() as temporary:
        few, many = Path(temporary, "few"), Path(temporary, "many")
        paths = write_pictures(few, count)
        write_pictures(many, 2 * count)
        # Interleaved, so that a change of the machine's speed meets all alike.
        for _ in range(repeats):
            loop.append(1e3 * loop_seconds(paths) / count)
            for workers, times in jobs.items():
                short, long = job_seconds(few, workers), job_seconds(many, workers)
                times.append((1e3 * (long - short) / count, 2 * short - long))
    return {
        "pictures": count,
        "loop_ms": loop,
        "jobs": {workers: {"ms": list(a), "start_s": list(b)} for workers, (a, b) in _columns(jobs).items()},
        "context": context(),
    }


def _columns(jobs: dict[int, list[tuple[float, float]]]) -> dict[int, tuple[tuple[float, ...], ...]]:
    return {workers: tuple(zip(*times, strict=True)) for workers, times in jobs.items()}


def table(result: dict[str, object]) -> str:
    """The figures as Markdown: medians, and the range in brackets."""
    loop = statistics.median(result["loop_ms"])
    lines = ["| | ms a picture | beside the loop | start and end, s |", "| --- | --- | --- | --- |"]
    lines.append(f"| plain loop | {_shown(result['loop_ms'])} | | |")
    for workers, job in result["jobs"].items():
        name = f"job, {workers} worker{'s' * (workers > 1)}"
        factor = f"{loop / statistics.median(job['ms']):.2f} times as fast"
        lines.append(f"| {name} | {_shown(job['ms'])} | {factor} | {_shown(job['start_s'])} |")
    return "\n".join(lines)


def _shown(values: list[float]) -> str:
    return f"{statistics.median(values):.1f} ({min(values):.1f} to {max(values):.1f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pictures", type=int, default=1000, help="N (default: %(default)s)")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", type=Path, help="write all times and the context")
    args = parser.parse_args()
    load = os.getloadavg()[0]
    if load > QUIET_LOAD:
        print(
            f"the load of this machine is {load:.1f}: the times are not those of the program", file=sys.stderr
        )
    result = measure(args.pictures, args.repeats)
    print(table(result))
    if args.json:
        args.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

"""What a bulk job costs beside a plain loop over the same pictures: ``python -m benchmarks.bulk``.

The pictures are crops of the astronaut photograph (NASA, public domain, part of scikit-image), JPEG of
about 512 x 512 with one face. A job is run with N and with 2 N of them: the difference is its time for N
pictures without start and end, and the rest is the start and end. It needs the extra `bulk`.
"""

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import skimage.data

from benchmarks.figures.bulk import job_table
from fer_edge import Recognizer
from fer_edge.benchmark.measure.context import context
from fer_edge.bulk.job import FOR_PICTURES
from fer_edge.pictures.read_picture import read_picture

# Between two looks at the CPU time of processes.
SAMPLE_S = 0.05
# More than this is not the program, but its neighbours.
QUIET_LOAD = 1.0


class Seconds(NamedTuple):
    """A time by the clock, and the time that processors worked."""

    wall: float
    cpu: float


def write_pictures(folder: Path, count: int) -> list[Path]:
    """Writes pictures that all differ."""
    folder.mkdir()
    astronaut = cv2.cvtColor(skimage.data.astronaut(), cv2.COLOR_RGB2BGR)
    paths = [folder / f"{number:05}.jpg" for number in range(count)]
    for number, path in enumerate(paths):
        cv2.imwrite(str(path), astronaut[number // 40 % 40 :, number % 40 :])
    return paths


def time_of_loop(paths: list[Path]) -> Seconds:
    """Times a plain loop, without its start."""
    with Recognizer(threads=1, **FOR_PICTURES) as recognizer:
        wall, cpu = time.perf_counter(), time.process_time()
        for path in paths:
            recognizer(read_picture(path).pixels)
        return Seconds(time.perf_counter() - wall, time.process_time() - cpu)


def time_of_job(folder: Path, workers: int) -> Seconds:
    """Times a whole job, with all of its processes."""
    with tempfile.TemporaryDirectory() as output:
        options = ["--out", f"{output}/results.parquet", "--workers", str(workers)]
        start, cpu = time.perf_counter(), dict[int, float]()
        command = [sys.executable, "-m", "fer_edge.bulk", str(folder), *options]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as job:
            while job.poll() is None:
                cpu |= _cpu_seconds(job.pid)
                time.sleep(SAMPLE_S)
        if job.returncode:
            raise RuntimeError(f"the job failed with exit code {job.returncode}")
        return Seconds(time.perf_counter() - start, sum(cpu.values()))


def _cpu_seconds(process: int) -> dict[int, float]:
    """CPU time of a process and of all below it, by their numbers."""
    found, waiting = dict[int, float](), [process]
    while waiting:
        number = waiting.pop()
        # It may end while it is looked at.
        with contextlib.suppress(OSError):
            columns = Path(f"/proc/{number}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()
            found[number] = (int(columns[11]) + int(columns[12])) / os.sysconf("SC_CLK_TCK")
            for thread in Path(f"/proc/{number}/task").iterdir():
                waiting += map(int, (thread / "children").read_text(encoding="utf-8").split())
    return found


def measure(count: int, repeats: int) -> dict[str, Any]:
    """Times the loop and jobs of 1 worker and of one for each core."""
    cores = len(os.sched_getaffinity(0))
    loop: list[Seconds] = []
    jobs: dict[int, list[tuple[Seconds, Seconds]]] = {workers: [] for workers in sorted({1, cores})}
    with tempfile.TemporaryDirectory() as temporary:
        few, many = Path(temporary, "few"), Path(temporary, "many")
        paths = write_pictures(few, count)
        write_pictures(many, 2 * count)
        # Interleaved, so that a change of the machine's speed meets all alike.
        for _ in range(repeats):
            loop.append(time_of_loop(paths))
            for workers, times in jobs.items():
                times.append((time_of_job(few, workers), time_of_job(many, workers)))
    return {"pictures": count, "loop": loop, "jobs": jobs, "context": context()}


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
    print(job_table(result))
    if args.json:
        args.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

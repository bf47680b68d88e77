"""Streams beside a full search of each frame: ``python -m benchmarks.stream --video VIDEO``.

Speed is measured on made videos (benchmarks.streaming.made_video) and on the given video. Some frames go
first to the Recognizer and then to the Stream, so that both meet the same load of the machine; not frame by
frame, because each would then find the other's data in the caches. Frames a second are given by the clock on
the wall and by the time of the processor, which does not count what other programs take. One thread.

The video also shows what is lost: labels and landmarks beside those of a full search, the ways to follow a
face, and the steadiness and delay of labels by the time constant of the smoothing. Without it, only speed is
measured.
"""

import argparse
import itertools
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.figures.stream import speed_table
from benchmarks.streaming.made_video import Actor, sway, video
from benchmarks.streaming.quality import compare_following, compare_labels, smoothing_curve
from fer_edge import Recognizer, Stream
from fer_edge.arrays import U8
from fer_edge.benchmark.measure.context import context
from fer_edge.stream.sources.video import VideoCapture
from training.evaluation.markdown import table

SECONDS = 2.0
RATES = (30.0, 120.0)  # frames a second of the made videos: the slower, the more changes from frame to frame
BLOCK = 12  # frames that one of the two takes at a time
TARGETS = {1: 400, 8: 120}  # frames a second, by the number of faces, at 640 x 480

Timed = list[tuple[float, U8]]


def made_frames(faces: int, fps: float) -> Timed:
    """Frames of 640 x 480 with one large or eight smaller faces that move."""
    if faces == 1:
        actors = [Actor(sway(320, 240, 130))]
    else:
        places = [(80 + 160 * column, 130 + 220 * row) for row in range(2) for column in range(4)]
        actors = [Actor(sway(x, y, 70, phase=0.8 * n)) for n, (x, y) in enumerate(places)]
    return [(time, frame) for time, frame, _ in video(actors, SECONDS, fps)]


def file_frames(path: Path) -> Timed:
    """All frames of a video."""
    capture, frames = VideoCapture(str(path), "file"), []
    while (frame := capture.read()) is not None:
        frames.append((frame.time or 0.0, frame.pixels))
    return frames


def time_beside_search(recognizer: Recognizer, frames: Timed) -> dict[str, Any]:
    """Mean milliseconds a frame, wall and processor, of a full search and of a stream."""
    times: dict[str, list[float]] = {name: [] for name in ("search_wall", "search", "stream_wall", "stream")}
    faces: list[int] = []
    fed: Timed = []
    stream = Stream(recognizer, (fed[-1] for _ in itertools.count()))
    steps: dict[str, Callable[[], Any]] = {
        "search": lambda: recognizer(fed[-1][1]),
        "stream": lambda: next(stream),
    }
    for start in range(0, len(frames), BLOCK):
        for name, step in steps.items():
            for entry in frames[start : start + BLOCK]:
                fed = [entry]
                wall, processor = time.perf_counter(), time.thread_time()
                found = step()
                times[name].append((time.thread_time() - processor) * 1e3)
                times[f"{name}_wall"].append((time.perf_counter() - wall) * 1e3)
                if name == "stream":
                    faces.append(len(found.faces))
    info = stream.info()
    stream.close()
    count = len(faces)
    return {
        "frames": count,
        "faces": sum(faces),
        **{f"{name}_ms": float(np.mean(values)) for name, values in times.items()},
        "searched": sum(info["searched"].values()) / count,
        "found_again": 1 - info["skipped"]["still"] / max(1, sum(faces)),
        "read": 1 - info["skipped"]["unchanged"] / max(1, sum(faces)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--video", type=Path, help="a video with a face whose expression changes")
    parser.add_argument("--json", type=Path, help="file for all results")
    options = parser.parse_args()
    result: dict[str, Any] = {"context": context(), "targets": TARGETS, "speed": {}}
    with Recognizer(threads=1) as recognizer:
        videos = {
            f"made, 640x480, {faces} face{'s' * (faces > 1)}, {fps:.0f} frames/s": (faces, fps)
            for faces in TARGETS
            for fps in RATES
        }
        for name, (faces, fps) in videos.items():
            result["speed"][name] = time_beside_search(recognizer, made_frames(faces, fps))
        if options.video:
            frames = file_frames(options.video)
            result["speed"][options.video.name] = time_beside_search(recognizer, frames)
            result["labels"] = compare_labels(recognizer, frames)
            result["following"] = compare_following(recognizer, frames)
            result["smoothing"] = smoothing_curve(recognizer, frames)
    print("Milliseconds of one thread of the processor, and shares\n")
    print(speed_table(result["speed"]))
    for title in ("labels", "following", "smoothing"):
        if title in result:
            print(f"\n{title}\n\n{table(result[title])}")
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
        print(f"\nwrote {options.json}")


if __name__ == "__main__":
    main()

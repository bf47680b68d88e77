"""What a stream loses beside a full search of each frame, and what its smoothing gains."""

import json
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

import fer_edge.detection.detect_near as detect_near
import fer_edge.stream.observing as observing
from fer_edge import Recognizer, Stream
from fer_edge.arrays import U8
from fer_edge.stream import Smoothing, StreamFace, StreamResult, replay

TIME_CONSTANTS_MS = (0, 50, 100, 150, 200, 300, 500)
# A true change is made by putting frames of one expression, trusted for this long, before those of another.
SPLICE_S = 2.0
SPLICES = 60

Timed = Sequence[tuple[float, U8]]
Row = dict[str, Any]
Line = dict[str, Any]  # of a recording


def compare_labels(recognizer: Recognizer, frames: Timed) -> list[Row]:
    """Labels and landmarks of a stream beside those of a search and a reading in each frame."""
    rows = []
    for name, smoothing in (("smoothed", Smoothing()), ("not smoothed", Smoothing(time_constant_ms=0))):
        full = _results(recognizer, frames, smoothing=smoothing, detect_every=1)
        rows.append({"labels": name, **_difference(_results(recognizer, frames, smoothing=smoothing), full)})
    return rows


def compare_following(recognizer: Recognizer, frames: Timed) -> list[Row]:
    """The ways to follow a face between two searches, beside a search of each frame."""
    full = _results(recognizer, frames, detect_every=1)
    rows = []
    for name, change in (
        ("windows on the grid, and still faces kept", {}),
        ("windows on the grid, for each face", {"still": -1.0}),
        ("windows at any place", {"still": -1.0, "on_grid": False}),
        ("prediction alone", {"still": float("inf")}),
    ):
        with _following(**change):
            start = time.thread_time()
            followed = _results(recognizer, frames)
            spent = (time.thread_time() - start) * 1e3 / len(frames)
        rows.append({"following": name, "ms a frame": f"{spent:.2f}", **_difference(followed, full)})
    return rows


@contextmanager
def _following(*, still: float | None = None, on_grid: bool = True) -> Iterator[None]:
    """Changes how faces are followed. Not a setting of a stream, because one way is the best."""
    kept = observing.STILL, observing.MAX_STILL_S, detect_near._grid_point
    if still is not None:
        observing.STILL, observing.MAX_STILL_S = still, float("inf")
    if not on_grid:
        detect_near._grid_point = lambda position, last, multiple: min(max(round(position), 0), last)
    try:
        yield
    finally:
        observing.STILL, observing.MAX_STILL_S, detect_near._grid_point = kept


def _results(recognizer: Recognizer, frames: Timed, **settings: Any) -> list[StreamResult]:
    with Stream(recognizer, frames, **settings) as stream:
        return list(stream)


def _difference(results: list[StreamResult], full: list[StreamResult]) -> Row:
    """Compares faces at the same place of the same frame."""
    same, apart = [], []
    for result, wanted in zip(results, full, strict=True):
        for face in wanted.faces:
            near = [other for other in result.faces if _is_near(face, other)]
            same.append(bool(near) and near[0].label == face.label)
            if near:
                points = np.array(face.landmarks)
                eye_px = np.hypot(*(points[1] - points[0]))
                apart += (np.hypot(*(np.array(near[0].landmarks) - points).T) / eye_px).tolist()
    return {
        "same label": f"{np.mean(same):.2%}",
        "landmarks apart, % of the eye distance": f"{100 * np.median(apart):.2f}",
        "90 % of them within": f"{100 * np.percentile(apart, 90):.2f}",
    }


def _is_near(face: StreamFace, other: StreamFace) -> bool:
    limit = 0.4 * (face.box[2] - face.box[0])
    return all(abs(a - b) < limit for a, b in zip(face.box, other.box, strict=True))


def smoothing_curve(recognizer: Recognizer, frames: Timed) -> list[Row]:
    """Label changes a minute of the first face, and the delay of a true change, by the time constant."""
    minutes = (frames[-1][0] - frames[0][0]) / 60
    with tempfile.TemporaryDirectory() as folder:
        recording = Path(folder) / "recording.jsonl"
        _results(recognizer, frames, detect_every=1, record=recording)
        header, *lines = recording.read_text(encoding="utf-8").splitlines()
        shown = [line for line in map(json.loads, lines) if line["faces"]]
        single = [_best(line) for line in shown]
        spliced = Path(folder) / "spliced.jsonl"
        truth = _write_changes(spliced, header, shown)
        rows = []
        for time_constant in TIME_CONSTANTS_MS:
            smoothing = Smoothing(time_constant_ms=time_constant)
            steady = replay(recording, smoothing=smoothing)
            labels = [result.faces[0].label for result in steady if result.faces]
            delays = _delays(replay(spliced, smoothing=smoothing), truth)
            rows.append(
                {
                    "time constant, ms": time_constant,
                    "label changes a minute": f"{_changes(labels) / minutes:.1f}",
                    "of single frames": f"{_changes(single) / minutes:.1f}",
                    "times fewer": f"{_changes(single) / max(_changes(labels), 1):.1f}",
                    "delay of a true change, mean ms": f"{1e3 * np.mean(delays):.0f}",
                    "90 % within ms": f"{1e3 * np.percentile(delays, 90):.0f}",
                }
            )
    return rows


def _best(line: Line) -> int:
    logits: list[float] = line["faces"][0]["logits"]
    return logits.index(max(logits))


def _changes(labels: Sequence[object]) -> int:
    return sum(before != after for before, after in pairwise(labels))


def _write_changes(path: Path, header: str, shown: list[Line]) -> list[tuple[float, str]]:
    """Writes a recording in which the expression of one face changes, and returns when, and to which one.

    Each part shows SPLICE_S seconds of frames of one expression, from a random place of the video.
    """
    labels = json.loads(header)["labels"]
    by_label: dict[int, list[Line]] = {}
    for line in shown:
        if line["faces"][0]["abstain_reason"] is None:
            by_label.setdefault(_best(line), []).append(line)
    frame_s = (shown[-1]["time"] - shown[0]["time"]) / (len(shown) - 1)
    count = round(SPLICE_S / frame_s)
    usable = [label for label, lines in by_label.items() if len(lines) >= count]
    random = np.random.default_rng(1)
    truth, written = [], [header]
    for label in [usable[number % len(usable)] for number in range(SPLICES)]:
        truth.append((frame_s * (len(written) - 1), labels[label]))
        start = int(random.integers(len(by_label[label]) - count + 1))
        for line in by_label[label][start : start + count]:
            face = line["faces"][0] | {"id": 1}
            retimed = line | {"time": frame_s * (len(written) - 1), "faces": [face], "ended": []}
            written.append(json.dumps(retimed))
    path.write_text("\n".join(written) + "\n", encoding="utf-8")
    return truth[1:]


def _delays(results: Iterable[StreamResult], truth: list[tuple[float, str]]) -> list[float]:
    """Returns the seconds from each true change to the change of the label."""
    shown = [(result.time, result.faces[0].label) for result in results]
    return [
        next((time for time, label in shown if time >= change and label == wanted), change + SPLICE_S)
        - change
        for change, wanted in truth
    ]

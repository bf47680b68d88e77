"""Evaluates a face detector beside its teacher: ``python -m training.evaluate_detector MODEL.onnx --data DATA
--teacher YUNET``.

The threshold is chosen on the validation pictures; the test pictures are scored once, at that threshold. Both
networks see the same luma at the same size. Writes metrics.json and report.md.
"""

import argparse
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np

from fer_edge import models
from fer_edge.arrays import U8
from fer_edge.backends import opener_for
from fer_edge.context import context
from fer_edge.detect import detect_at_scale
from fer_edge.result import Detections
from training.detector.metrics import DetectionCounts
from training.detector.photos import Photo, load_photos
from training.detector.teachers import YuNet

TEACHER_THRESHOLD = 0.8  # the threshold of its labels
MIN_SCORE = 0.05  # lowest threshold that is tried
TARGET_PRECISION = (
    0.97  # on the validation pictures; the aim is 0.95, the rest is a margin for other pictures
)
SPEED_SIZES = ((256, 320), (480, 640))  # rows, columns
SPEED_RUNS = 200

DetectFunction = Callable[[U8, float], Detections]


class RuntimeDetector:
    """A detector file in the runtime's backend, run at a given scale."""

    def __init__(self, path: Path, threads: int = 1) -> None:
        self.model = models.load(path, "detector")
        self.backend = opener_for("onnxruntime")(self.model, threads)

    def __call__(self, plane: U8, scale: float = 1.0) -> Detections:
        return detect_at_scale(self.backend, self.model.spec, plane, scale, threshold=MIN_SCORE)


def count_detections(photos: Sequence[Photo], detect: DetectFunction) -> DetectionCounts:
    """Counts a detector's results over labelled pictures at their own size."""
    counts = DetectionCounts()
    for photo in photos:
        certain = photo.certain
        found = detect(photo.image, 1.0)
        counts.add_picture(
            found,
            photo.boxes[certain],
            photo.landmarks[certain],
            photo.boxes[~certain],
            len(photo.boxes) == 0,
        )
    return counts


def threshold_for_precision(counts: DetectionCounts) -> float:
    """The lowest threshold, in steps of 0.01, with the target precision: it gives the highest recall."""
    for threshold in np.arange(0.2, 0.9, 0.01):
        if counts.metrics_at(threshold)["precision"] >= TARGET_PRECISION:
            return float(np.round(threshold, 2))
    raise ValueError(
        f"no threshold below 0.9 reaches a precision of {TARGET_PRECISION} on the validation pictures"
    )


def latency_ms(student: RuntimeDetector, teacher: YuNet) -> dict[str, dict[str, float]]:
    """Median time of the bare networks on one thread, run alternately: other load affects both alike."""
    result: dict[str, dict[str, float]] = {}
    for height, width in SPEED_SIZES:
        student.backend.reserve((1, 1, height, width)).fill(0)
        colour = np.zeros((1, 3, height, width), np.float32)
        runs = {
            "face-luma": student.backend.run,
            "yunet": lambda x=colour: teacher.session.run(None, {"input": x}),
        }
        times: dict[str, list[float]] = {name: [] for name in runs}
        for _ in range(SPEED_RUNS):
            for name, run in runs.items():
                start = time.perf_counter()
                run()
                times[name].append((time.perf_counter() - start) * 1e3)
        result[f"{width}x{height}"] = {name: float(np.median(t)) for name, t in times.items()}
    return result


def faces_in_photos(folder: Path, detect: DetectFunction, threshold: float) -> dict[str, int]:
    """Faces found in each picture of a folder, with a network input of 320 px on the long side as in the
    runtime.
    """
    counts = {}
    for path in sorted(folder.glob("*.*")):
        image = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
        found = detect(image, min(1.0, 320 / max(image.shape)))
        counts[path.name] = int((found.scores >= threshold).sum())
    return counts


def video_agreement(
    path: Path, student: DetectFunction, threshold: float, teacher: DetectFunction, step: int = 5
) -> dict[str, float]:
    """Every ``step``-th frame at a long side of 320 px, with the teacher's faces of score >= 0.8 as ground
    truth.
    """
    video, counts, k = cv2.VideoCapture(str(path)), DetectionCounts(), 0
    while True:
        more, frame = video.read()
        if not more:
            break
        if k % step == 0:
            plane = cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY)
            plane = cv2.resize(
                plane, None, fx=320 / max(plane.shape), fy=320 / max(plane.shape), interpolation=3
            )
            true = teacher(plane, 1.0)
            sure = true.scores >= TEACHER_THRESHOLD
            counts.add_picture(
                student(plane, 1.0), true.boxes[sure], true.landmarks[sure], true.boxes[~sure], len(true) == 0
            )
        k += 1
    return {"frames": counts.pictures, "faces": len(counts.sizes), **counts.metrics_at(threshold)}


def report(result: dict[str, dict[str, float]], speed: dict[str, dict[str, float]]) -> str:
    """The table of both networks in Markdown."""
    rows = list(result["face-luma"])
    lines = ["| measure | face-luma | yunet |", "| --- | --- | --- |"]
    lines += [
        f"| {row} | " + " | ".join(f"{result[n][row]:.4g}" for n in ("face-luma", "yunet")) + " |"
        for row in rows
    ]
    lines += [f"| ms at {size} | {ms['face-luma']:.2f} | {ms['yunet']:.2f} |" for size, ms in speed.items()]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path, help="ONNX file of the detector")
    parser.add_argument("--data", type=Path, required=True, help="folder of faces-*.npz")
    parser.add_argument("--teacher", type=Path, required=True, help="yunet_n_dynamic.onnx")
    parser.add_argument("--photos", type=Path, help="folder with portraits/ and no_face/")
    parser.add_argument("--videos", type=Path, help="folder of videos")
    parser.add_argument("--out", type=Path, required=True, help="folder for metrics.json and report.md")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    cv2.setNumThreads(1)
    student, teacher = RuntimeDetector(args.model), YuNet(args.teacher, threshold=0.5)
    threshold = threshold_for_precision(count_detections(load_photos(args.data, "valid"), student))
    test = load_photos(args.data, "test")
    result = {
        "face-luma": count_detections(test, student).metrics_at(threshold),
        "yunet": count_detections(test, teacher).metrics_at(TEACHER_THRESHOLD),
    }
    speed = latency_ms(student, teacher)
    metrics: dict[str, object] = {
        "context": context(),
        "graph_sha256": student.model.graph_sha256,
        "test_pictures": len(test),
        **result,
        "milliseconds": speed,
    }
    if args.photos:
        metrics["photos"] = {
            folder.name: faces_in_photos(folder, student, threshold)
            for folder in sorted(args.photos.iterdir())
        }
    if args.videos:
        metrics["videos"] = {
            path.name: video_agreement(path, student, threshold, teacher)
            for path in sorted(args.videos.glob("*.m*"))
        }
    ours = result["face-luma"]
    shipped = ("precision", "recall_12_24", "recall_24_up", "landmark_error_median")
    metrics["spec"] = {"threshold": threshold, "metrics": {k: round(ours[k], 4) for k in shipped}}
    (args.out / "metrics.json").write_text(json.dumps(metrics, indent=2) + "\n", encoding="utf-8")
    (args.out / "report.md").write_text(report(result, speed), encoding="utf-8")
    print(report(result, speed))
    for name in ("photos", "videos"):
        print(json.dumps(metrics.get(name), indent=1))


if __name__ == "__main__":
    main()

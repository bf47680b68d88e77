"""Evaluates a face detector beside its teachers: ``python -m training.evaluate_detector MODEL.onnx --data
DATA --marks marks.npz --teachers YUNET CENTERFACE RETINAFACE --out OUT``.

DATA holds ``faces-*.npz`` and ``detections.npz``. The threshold is chosen on the validation pictures; the
test pictures are scored at that threshold, without those that nearly are a training picture. All networks see
the same luma at the same size. What a teacher sees in the enlarged picture with a score above 0.5 is no false
alarm. Writes metrics.json and report.md.
"""

import argparse
import json
import time
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from fer_edge import models
from fer_edge.arrays import U8
from fer_edge.backends import opener_for
from fer_edge.benchmark.measure.context import context
from fer_edge.detection.detect import Detector, detect_at_scale
from fer_edge.detection.scales import DEFAULT_LONG_PX
from fer_edge.result import Detections
from training.command_line import exit_on_error
from training.detector.comparison import DetectFunction, Pictures, count_detections
from training.detector.detections import read_detections, split_by_picture
from training.detector.mark_report import agreement_report
from training.detector.marks import DETECTORS, SEEN
from training.detector.metrics import DetectionCounts
from training.detector.photos import load_photos, without_copies
from training.detector.portraits import FindFunction, missed_portraits
from training.detector.teachers import TEACHERS
from training.detector.teachers.teacher import Teacher
from training.evaluation.markdown import table

OURS = "face-luma"
VIDEO_TRUTH = 0.8  # score from which YuNet's faces are ground truth in videos
MIN_SCORE = 0.05  # lowest threshold that is tried
TARGET_PRECISION = (
    0.97  # on the validation pictures; the aim is 0.95, the rest is a margin for other pictures
)
SPEED_SIZES = ((256, 320), (480, 640))  # rows, columns
SPEED_RUNS = 200
MAX_FACES = 256  # of a picture
# Pictures without a face that scikit-image's wheel holds; detectors take the clock for a face.
SKIMAGE_PICTURES = ("clock_motion.png", "retina.jpg", "coins.png", "chelsea.png")


class RuntimeDetector:
    """A detector file in the runtime's backend."""

    def __init__(self, path: Path, threads: int = 1) -> None:
        self.model = models.load(path, "detector")
        self.backend = opener_for("onnxruntime")(self.model, threads)

    def __call__(self, plane: U8, scale: float = 1.0) -> Detections:
        """Everything above MIN_SCORE, at one scale."""
        return detect_at_scale(self.backend, self.model.spec, plane, scale, threshold=MIN_SCORE)

    def search(self, threshold: float) -> FindFunction:
        """The runtime's default search, with all its passes."""
        return Detector(
            self.backend, self.model.spec, threshold=threshold, min_face=None, max_faces=MAX_FACES
        )


def threshold_for_precision(counts: DetectionCounts) -> float:
    """The lowest threshold, in steps of 0.01, with the target precision and without a false positive in the
    pictures that have no face: it gives the highest recall.
    """
    for threshold in np.arange(0.2, 0.9, 0.01):
        metrics = counts.metrics_at(threshold)
        empty = metrics["false_positives_per_empty_picture"]
        if metrics["precision"] >= TARGET_PRECISION and empty == 0:
            return float(np.round(threshold, 2))
    raise ValueError(
        f"no threshold below 0.9 reaches a precision of {TARGET_PRECISION} on the validation pictures, and "
        "no false positive in those without a face"
    )


def latency_ms(student: RuntimeDetector, yunet: Teacher) -> dict[str, dict[str, float]]:
    """Median time of the bare networks on one thread, run alternately: other load affects both alike."""
    result: dict[str, dict[str, float]] = {}
    for height, width in SPEED_SIZES:
        student.backend.reserve((1, 1, height, width)).fill(0)
        colour = np.zeros((1, 3, height, width), np.float32)
        runs = {
            OURS: student.backend.run,
            "yunet": lambda x=colour: yunet.session.run(None, {"input": x}),
        }
        times: dict[str, list[float]] = {name: [] for name in runs}
        for _ in range(SPEED_RUNS):
            for name, run in runs.items():
                start = time.perf_counter()
                run()
                times[name].append((time.perf_counter() - start) * 1e3)
        result[f"{width}x{height}"] = {name: float(np.median(t)) for name, t in times.items()}
    return result


def faces_in_photos(paths: Sequence[Path], find: FindFunction) -> dict[str, int]:
    """Faces found in each picture."""
    counts = {}
    for path in paths:
        image = np.asarray(cv2.imread(str(path), cv2.IMREAD_GRAYSCALE), np.uint8)
        counts[path.name] = len(find(image))
    return counts


def at_default_size(detect: DetectFunction, threshold: float) -> FindFunction:
    """A detector at the size of the runtime's first pass, with its faces from a threshold."""

    def find(plane: U8) -> Detections:
        found = detect(plane, min(1.0, DEFAULT_LONG_PX / max(plane.shape)))
        kept = found.scores >= threshold
        return Detections(found.boxes[kept], found.landmarks[kept], found.scores[kept])

    return find


def pictures_of_skimage() -> list[Path]:
    """SKIMAGE_PICTURES where scikit-image is installed, else nothing."""
    spec = find_spec("skimage")
    if spec is None or spec.origin is None:
        return []
    return [Path(spec.origin).parent / "data" / name for name in SKIMAGE_PICTURES]


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
            sure = true.scores >= VIDEO_TRUTH
            counts.add_picture(
                student(plane, 1.0), true.boxes[sure], true.landmarks[sure], true.boxes[~sure], len(true) == 0
            )
        k += 1
    return {"frames": counts.pictures, "faces": len(counts.sizes), **counts.metrics_at(threshold)}


def report(metrics: dict[str, Any]) -> str:
    """The tables of all networks in Markdown."""
    columns = [OURS, *DETECTORS]
    rows = [{"measure": row, **{n: metrics[n][row] for n in columns}} for row in metrics[OURS]]
    errors = [{"truth: mean of": truth, **row} for truth, row in _filled(metrics["landmark_errors"]).items()]
    speed = [{"ms at": size, **times} for size, times in metrics["milliseconds"].items()]
    parts = [table(rows), "Landmark errors, share of the eye distance:\n\n" + table(errors), table(speed)]
    for view, missed in metrics.get("missed_portraits", {}).items():
        parts.append(f"{view}: missed " + ", ".join(f"{n} {len(names)}" for n, names in missed.items()))
    return "\n".join(parts) + "\n"


def _filled(rows: dict[str, dict[str, float]]) -> dict[str, dict[str, float | None]]:
    """Rows with the same keys, None where a row had none."""
    keys = dict.fromkeys(key for row in rows.values() for key in row)
    return {name: {key: row.get(key) for key in keys} for name, row in rows.items()}


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path, help="ONNX file of the detector")
    parser.add_argument("--data", type=Path, required=True, help="folder of faces-*.npz and detections.npz")
    parser.add_argument("--marks", type=Path, help="marks.npz of training.mark_faces")
    names = tuple(name.upper() for name in DETECTORS)
    parser.add_argument(
        "--teachers", type=Path, nargs=len(names), metavar=names, required=True, help="ONNX files"
    )
    parser.add_argument(
        "--scale", type=float, default=1.0, help="size at which all networks see the pictures"
    )
    parser.add_argument("--photos", type=Path, help="folder with portraits/ and no_face/")
    parser.add_argument("--videos", type=Path, help="folder of videos")
    parser.add_argument("--out", type=Path, required=True, help="folder for metrics.json and report.md")
    return parser


def evaluate(args: argparse.Namespace) -> dict[str, Any]:
    """All measurements, as in metrics.json."""
    student = RuntimeDetector(args.model)
    teachers = {
        name: TEACHERS[name](path, float(min(SEEN)))
        for name, path in zip(DETECTORS, args.teachers, strict=True)
    }
    seen = split_by_picture(read_detections(args.data / "detections.npz"), args.data)
    valid = Pictures(load_photos(args.data, "valid", args.marks), seen)
    counts, _ = count_detections(valid, {OURS: (student, MIN_SCORE)}, args.scale)
    threshold = threshold_for_precision(counts[OURS])
    columns: dict[str, tuple[DetectFunction, float]] = {OURS: (student, threshold)}
    columns |= {name: (t, float(score)) for (name, t), score in zip(teachers.items(), SEEN, strict=True)}
    photos = load_photos(args.data, "test", args.marks)
    test = Pictures(without_copies(photos, load_photos(args.data, "train", args.marks)), seen)
    counts, errors = count_detections(test, columns, args.scale)
    metrics: dict[str, Any] = {
        "context": context(),
        "graph_sha256": student.model.graph_sha256,
        "test_pictures": len(test.photos),
        "left_out_copies_of_training_pictures": len(photos) - len(test.photos),
        "scale": args.scale,
        **{name: counts[name].metrics_at(score) for name, (_, score) in columns.items()},
        "landmark_errors": errors.summary(),
        "milliseconds": latency_ms(student, teachers["yunet"]),
    }
    find = student.search(threshold)
    if args.photos:
        folders = {folder.name: sorted(folder.glob("*.*")) for folder in sorted(args.photos.iterdir())}
        metrics["photos"] = {name: faces_in_photos(paths, find) for name, paths in folders.items()}
        metrics["skimage_without_face"] = faces_in_photos(pictures_of_skimage(), find)
        finders = {n: at_default_size(teachers[n], columns[n][1]) for n in DETECTORS}
        portraits = args.photos / "portraits"
        metrics["missed_portraits"] = missed_portraits(portraits, finders["yunet"], {OURS: find, **finders})
    if args.videos:
        metrics["videos"] = {
            path.name: video_agreement(path, student, threshold, teachers["yunet"])
            for path in sorted(args.videos.glob("*.m*"))
        }
    ours = metrics[OURS]
    shipped = ("precision", "recall_12_24", "recall_24_up", "landmark_error_median")
    metrics["spec"] = {"threshold": threshold, "metrics": {k: round(ours[k], 4) for k in shipped}}
    return metrics


def main() -> None:
    parser = _arguments()
    args = parser.parse_args()
    cv2.setNumThreads(1)
    with exit_on_error(parser):
        args.out.mkdir(parents=True, exist_ok=True)
        metrics = evaluate(args)
        text = report(metrics)
        if args.marks:
            with np.load(args.marks) as marks:
                text += "\nMarks of all pictures:\n\n" + agreement_report(marks["faces"], marks["scores"])
    (args.out / "metrics.json").write_text(json.dumps(metrics, indent=2) + "\n", encoding="utf-8")
    (args.out / "report.md").write_text(text, encoding="utf-8")
    print(text)
    for name in ("photos", "skimage_without_face", "videos"):
        print(json.dumps(metrics.get(name), indent=1))


if __name__ == "__main__":
    main()

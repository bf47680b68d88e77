"""A user's own expression network beside ours, on a user's own pictures.

    python -m training.evaluate MODEL PICTURES --peer FILE --labels MAP --out DIR

Both read the same faces, found once by the runtime's detector. Only labels that both know count: the other
pictures are left out, and each takes its largest output among these labels. Nothing is fitted.
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from fer_edge import ops
from fer_edge.arrays import F32, F64, I64, U8
from fer_edge.atomic_file import atomic_write
from fer_edge.benchmark.work.peers.expression import OnnxPeer, PeerInput
from fer_edge.stages.align import matrices_from_boxes, matrices_from_landmarks
from training.data.crops import TEMPLATE
from training.data.face_crop import landmarks_in_picture, square_around_landmarks, square_from_picture
from training.data.labelled_pictures import label_index, read_labelled
from training.data.pictures import UnreadablePicture, bgr_from_file
from training.data.split import LABELS, UNKNOWN, Split
from training.evaluation import expression_metrics as metrics
from training.evaluation.inference import logits_from_split
from training.evaluation.markdown import percent, table
from training.evaluation.predictors import Predictor
from training.prepare import open_detector

SIDE = 96  # px of the squares that our networks are given, as training.prepare makes them
NOT_OURS = "none"  # in a label map: an output that is none of our expressions


@dataclass(frozen=True, slots=True)
class PeerSettings:
    """How a peer wants its faces and what its outputs are.

    ``labels`` has the index in LABELS of each output, UNKNOWN for none. ``mean`` and ``scale`` have one
    value, or one a channel: (pixel - mean) * scale. ``order`` is that of three channels; ``crop`` "aligned"
    is our crop at the peer's size, "whole" the whole picture.
    """

    path: Path
    labels: Sequence[int]
    size: int
    channels: int
    mean: Sequence[float]
    scale: Sequence[float]
    order: str
    crop: str

    def __post_init__(self) -> None:
        for name in ("mean", "scale"):
            if len(getattr(self, name)) not in (1, self.channels):
                raise ValueError(
                    f"--peer-{name} must have 1 or {self.channels} values, got {len(getattr(self, name))}"
                )


def add_peer_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of a comparison."""
    peer = parser.add_argument_group("a peer: DATA is then a folder for each label, or a CSV of path, label")
    peer.add_argument("--peer", type=Path, metavar="FILE", help="an expression network as ONNX, NCHW")
    peer.add_argument(
        "--labels",
        metavar="MAP",
        help=f"the peer's outputs in order, as happy,sad,...; {NOT_OURS} for none of ours; or a file of them",
    )
    peer.add_argument("--peer-size", type=int, default=224, help="side of its input, px (%(default)s)")
    peer.add_argument("--peer-channels", type=int, default=3, help="1 or 3 (%(default)s)")
    peer.add_argument("--peer-mean", type=float, nargs="+", default=[127.5], help="one, or one a channel")
    peer.add_argument("--peer-scale", type=float, nargs="+", default=[1 / 127.5], help="as for the mean")
    peer.add_argument("--peer-order", choices=("rgb", "bgr"), default="rgb", help="of three channels")
    peer.add_argument(
        "--peer-crop", choices=("aligned", "whole"), default="aligned", help="our crop, or the whole picture"
    )


def settings_from_arguments(args: argparse.Namespace) -> PeerSettings:
    """Reads the options; raises ValueError where one is missing or wrong."""
    if args.labels is None:
        raise ValueError("--peer needs --labels: the names of its outputs in order, as happy,sad,neutral")
    return PeerSettings(
        args.peer,
        labels_from_map(args.labels),
        args.peer_size,
        args.peer_channels,
        args.peer_mean,
        args.peer_scale,
        args.peer_order,
        args.peer_crop,
    )


def labels_from_map(text: str) -> list[int]:
    """The labels of a map: names between commas, or a file with a JSON list or a name a line."""
    names = text.split(",")
    if Path(text).is_file():
        content = Path(text).read_text(encoding="utf-8")
        names = json.loads(content) if content.lstrip().startswith("[") else content.split()
    indices = [
        UNKNOWN if name == NOT_OURS else label_index(str(name), "a label of --labels") for name in names
    ]
    known = [index for index in indices if index != UNKNOWN]
    if len(set(known)) != len(known) or len(known) < 2:
        raise ValueError(f"--labels must name two or more different expressions, each once, got {text}")
    return indices


def compare(predictor: Predictor, pictures: Path, peer: PeerSettings) -> dict[str, object]:
    """Both networks on the labelled pictures: figures with 95 % intervals, and the paired difference."""
    network = OnnxPeer(peer.path, PeerInput(peer.size, peer.channels, 0.0, 1.0), threads=1)
    faces, inputs, broken = _read(pictures, peer)
    outputs = np.concatenate([network.run(x[None]) for x in inputs]).astype(np.float64)
    if outputs.shape != (len(inputs), len(peer.labels)):
        raise ValueError(
            f"--labels must name each output of {peer.path}, which gives {list(outputs.shape[1:])} a face, "
            f"got {len(peer.labels)} names"
        )
    shared = sorted(set(peer.labels) - {UNKNOWN})
    counted = np.isin(faces.labels, shared)
    if not counted.any():
        raise ValueError(f"{pictures} has no picture with a label that {peer.path.name} knows")
    labels = np.searchsorted(shared, faces.labels[counted])
    ours = logits_from_split(predictor.logits, faces, predictor.size)[counted][:, shared]
    theirs = outputs[counted][:, [peer.labels.index(label) for label in shared]]
    names = {"ours": str(predictor.facts["file"]), "peer": peer.path.name}
    right = {"ours": ours.argmax(1) == labels, "peer": theirs.argmax(1) == labels}
    return {
        "labels": [LABELS[label] for label in shared],
        "pictures": len(labels),
        "left_out": int((~counted).sum()),
        "without_a_face": int((~faces.found[counted]).sum()),
        "broken": broken,
        "ours": {"file": names["ours"], **_figures(ours, labels)},
        "peer": {"file": names["peer"], **_figures(theirs, labels)},
        **_difference(right["peer"], right["ours"]),
    }


def write_comparison(result: dict[str, object], out: Path) -> str:
    """Writes peers.json and peers.md into a folder; returns the text of the latter."""
    out.mkdir(parents=True, exist_ok=True)
    report = _report(result)
    for name, text in (("peers.json", json.dumps(result, indent=2) + "\n"), ("peers.md", report)):
        with atomic_write(out / name) as partial:
            partial.write_text(text, encoding="utf-8")
    return report


def _read(pictures: Path, peer: PeerSettings) -> tuple[Split, list[F32], dict[str, str]]:
    """The faces as our networks are given them, as the peer is given them, and what could not be read."""
    detect = open_detector("face-luma")
    squares: list[tuple[U8, F32]] = []
    inputs: list[F32] = []
    labels: list[int] = []
    broken: dict[str, str] = {}
    for picture in read_labelled(pictures):
        pixels = bgr_from_file(picture.path)
        if isinstance(pixels, UnreadablePicture):
            broken[picture.path.name] = pixels.reason
            continue
        luma = cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY)
        landmarks = landmarks_in_picture(luma, detect)
        if landmarks is None:
            squares.append(square_from_picture(luma, SIDE, detect))
        else:
            squares.append(square_around_landmarks(luma, landmarks, SIDE))
        inputs.append(_input(pixels, luma, landmarks, peer))
        labels.append(picture.label)
    if not labels:
        raise ValueError(
            f"{pictures} has no picture that can be read; the first: {next(iter(broken.items()))}"
        )
    unknown = np.full(len(labels), UNKNOWN, np.int64)
    votes = np.eye(len(LABELS), dtype=np.float32)[labels]
    images, points = (np.stack(column) for column in zip(*squares, strict=True))
    return Split(images, votes, unknown, np.arange(len(labels)), unknown, points), inputs, broken


def _input(pixels: U8, luma: U8, landmarks: F32 | None, peer: PeerSettings) -> F32:
    """A face as the peer wants it, float32 [C, S, S]."""
    if landmarks is None or peer.crop == "whole":
        box = np.array([[0, 0, luma.shape[1], luma.shape[0]]], np.float32)
        matrix = matrices_from_boxes(box, peer.size)[0]
    else:
        matrix = matrices_from_landmarks(landmarks[None], np.array(TEMPLATE, np.float32), peer.size)[0]
    source = luma[..., None] if peer.channels == 1 else pixels[..., ::-1] if peer.order == "rgb" else pixels
    # Sampled as for ours: where a large face is shrunk, its pixels are averaged.
    face = np.empty((peer.channels, 1, peer.size, peer.size), np.float32)
    for channel, out in zip(np.moveaxis(source, 2, 0), face, strict=True):
        ops.warp_normalize(np.ascontiguousarray(channel), matrix[None], out[None], mean=0, scale=1)
    scaled = (face - _by_channel(peer.mean)) * _by_channel(peer.scale)
    return np.ascontiguousarray(scaled[:, 0], np.float32)


def _by_channel(values: Sequence[float]) -> F32:
    """One value or one for each channel, for arrays [C, 1, S, S]."""
    return np.array(values, np.float32).reshape(-1, 1, 1, 1)


def _figures(scores: F64, labels: I64) -> dict[str, object]:
    counts = metrics.confusion(scores, labels)
    found, spread = metrics.accuracies(counts), metrics.intervals(counts)
    return {
        "accuracy": float(found.accuracy),
        "accuracy_95": spread.accuracy.tolist(),
        "balanced_accuracy": float(found.balanced),
        "balanced_accuracy_95": spread.balanced.tolist(),
        "confusion": counts.tolist(),
    }


def _difference(peer: np.ndarray, ours: np.ndarray) -> dict[str, object]:
    """Accuracy of the peer minus ours, with an interval over resampled pictures: both see the same ones."""
    apart = peer.astype(np.float64) - ours
    generator = np.random.default_rng(0)
    draws = [apart[generator.integers(0, len(apart), len(apart))].mean() for _ in range(metrics.ROUNDS)]
    return {
        "peer_minus_ours": float(apart.mean()),
        "peer_minus_ours_95": np.quantile(draws, metrics.CENTRAL).tolist(),
    }


def _report(result: dict) -> str:
    rows = [
        {
            "network": f"{who}: {result[who]['file']}",
            "accuracy": percent(result[who]["accuracy"], result[who]["accuracy_95"]),
            "balanced accuracy": percent(
                result[who]["balanced_accuracy"], result[who]["balanced_accuracy_95"]
            ),
        }
        for who in ("ours", "peer")
    ]
    parts = [
        f"{result['pictures']} pictures of {', '.join(result['labels'])}; {result['left_out']} with other "
        f"labels left out, {len(result['broken'])} unreadable, no face found in {result['without_a_face']}. "
        "Intervals: 95 %, bootstrap.",
        table(rows),
        f"Accuracy of the peer minus ours, on the same pictures: "
        f"{percent(result['peer_minus_ours'], result['peer_minus_ours_95'])}.",
    ]
    for who in ("ours", "peer"):
        confusion = [
            {"true": true, **dict(zip(result["labels"], counts, strict=True))}
            for true, counts in zip(result["labels"], result[who]["confusion"], strict=True)
        ]
        parts.append(f"Predictions of {result[who]['file']} (columns) by label (rows):\n\n{table(confusion)}")
    return "\n\n".join(part.rstrip() for part in parts) + "\n"

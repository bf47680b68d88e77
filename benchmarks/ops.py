"""The compiled operations beside OpenCV and NumPy, on one thread: ``python -m benchmarks.ops --json
build/ops.json``.

The usual way to a network's input is ``cv2.warpAffine`` (bilinear), then conversion, mean and scale in NumPy;
for luma it is ``cv2.cvtColor``. Both of a pair are timed alternately, so that other load affects both alike;
results are medians with quartiles.
"""

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from fer_edge import ops
from fer_edge.benchmark.measure.context import context

ROUNDS = 300
MEAN, SCALE, SIZE = 118.0, 1 / 64, 64
Call = Callable[[], object]


def face_matrix(face_px: float) -> np.ndarray:
    """A face of that many pixels in the middle of a 1280 x 720 frame, turned by 10 degrees."""
    scale, turn = face_px / SIZE, np.deg2rad(10)
    linear = scale * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    shift = np.array([640, 360]) - linear @ [SIZE / 2, SIZE / 2]
    return np.concatenate([linear, shift[:, None]], axis=1).astype(np.float32)


def warp_pair(target: ops.Operations, face_px: float) -> tuple[Call, Call]:
    """Ours and OpenCV with NumPy, each into its own buffer."""
    plane = np.random.default_rng(0).integers(0, 256, (720, 1280), dtype=np.uint8)
    matrix = face_matrix(face_px)
    ours, theirs = (np.empty((1, 1, SIZE, SIZE), np.float32) for _ in range(2))
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP

    def usual() -> None:
        crop = cv2.warpAffine(plane, matrix, (SIZE, SIZE), flags=flags, borderMode=cv2.BORDER_REPLICATE)
        theirs[0, 0] = (crop.astype(np.float32) - MEAN) * SCALE

    def fused() -> None:
        target.warp_normalize(plane, matrix[None], ours, mean=MEAN, scale=SCALE)

    return fused, usual


def letterbox_pair(target: ops.Operations) -> tuple[Call, Call]:
    """Ours and OpenCV with NumPy: a 640 x 480 frame into the detector's input of 320 x 256, with padding."""
    plane = np.random.default_rng(0).integers(0, 256, (480, 640), dtype=np.uint8)
    matrix = np.array([[2, 0, 0], [0, 2, 0]], np.float32)
    ours, theirs = (np.empty((1, 1, 256, 320), np.float32) for _ in range(2))
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP

    def usual() -> None:
        crop = cv2.warpAffine(plane, matrix, (320, 256), flags=flags, borderValue=MEAN)
        theirs[0, 0] = (crop.astype(np.float32) - MEAN) * SCALE

    def fused() -> None:
        target.warp_normalize(plane, matrix[None], ours, mean=MEAN, scale=SCALE, border="constant", fill=MEAN)

    return fused, usual


def luma_pair(target: ops.Operations, height: int, width: int) -> tuple[Call, Call]:
    """Ours and OpenCV, both into a preallocated buffer."""
    bgr = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    ours, theirs = (np.empty((height, width), np.uint8) for _ in range(2))
    return (
        lambda: target.luma_from_bgr(bgr, ours),
        lambda: cv2.cvtColor(bgr, cv2.COLOR_BGR2GRAY, dst=theirs),
    )


def microseconds(calls: tuple[Call, Call]) -> list[dict[str, float]]:
    """Quartiles of both calls, timed alternately."""
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(ROUNDS):
        for call, kept in zip(calls, times, strict=True):
            start = time.perf_counter()
            call()
            kept.append((time.perf_counter() - start) * 1e6)
    return [{f"p{q}": round(float(np.percentile(t, q)), 1) for q in (25, 50, 75)} for t in times]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, help="file for all results")
    args = parser.parse_args()
    cv2.setNumThreads(1)
    lines: dict[str, list[dict[str, float]]] = {}
    print("| operation | target | fer_edge, us | OpenCV (+ NumPy), us | times as fast |")
    print("| --- " * 5 + "|")
    for name in ops.targets():
        target = ops.operations(name)
        pairs = {
            **{f"warp_normalize, face of {px} px": warp_pair(target, px) for px in (100, 200)},
            "warp_normalize, letterbox": letterbox_pair(target),
            **{f"luma_from_bgr, {w} x {h}": luma_pair(target, h, w) for h, w in ((480, 640), (720, 1280))},
        }
        for operation, pair in pairs.items():
            ours, theirs = lines[f"{operation}, {name}"] = microseconds(pair)
            cells = [f"{t['p50']:.1f} ({t['p25']:.1f} to {t['p75']:.1f})" for t in (ours, theirs)]
            print(f"| {operation} | {name} | {cells[0]} | {cells[1]} | {theirs['p50'] / ours['p50']:.1f} |")
    if args.json:
        args.json.parent.mkdir(parents=True, exist_ok=True)
        args.json.write_text(
            json.dumps({"context": context(), "us": lines}, indent=2) + "\n", encoding="utf-8"
        )


if __name__ == "__main__":
    main()

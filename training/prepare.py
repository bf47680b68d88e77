"""Prepares FER+ once: drops copies, finds the five landmarks with the runtime's own detector, and caches the
result.

``python -m training.prepare_ferplus DATA --out runs/ferplus``
"""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from fer_edge import models
from fer_edge.backends import opener_for
from fer_edge.detect import Detector
from training.copies import copies_between
from training.ferplus import SIDE, SPLITS, Split, read_packed, save

# The pictures are cut so tightly that chin and forehead touch the border; the detector was trained on faces
# in a scene.
MARGIN = 24
GREY = 118
THRESHOLD = 0.3  # there is one face in nearly every picture: a doubtful find beats none


def landmarks_from_images(images: NDArray[np.uint8], detect: Detector) -> NDArray[np.float32]:
    """f32 [n, 5, 2] in picture pixels of the best face whose centre lies in the picture, NaN where there is
    none.
    """
    landmarks = np.full((len(images), 5, 2), np.nan, np.float32)
    frame = np.full((SIDE + 2 * MARGIN, SIDE + 2 * MARGIN), GREY, np.uint8)
    for row, image in zip(landmarks, tqdm(images, desc="landmarks", mininterval=5), strict=True):
        frame[MARGIN:-MARGIN, MARGIN:-MARGIN] = image
        found = detect(frame)
        centres = (found.boxes[:, :2] + found.boxes[:, 2:]) / 2 - MARGIN
        sizes = found.boxes[:, 2:] - found.boxes[:, :2]
        # A face much smaller than the picture is a second person in the background.
        fits = ((centres > 0) & (centres < SIDE)).all(1) & (sizes.max(1) > SIDE / 2)
        if fits.any():
            row[:] = found.landmarks[np.argmax(fits)] - MARGIN
    return landmarks


def without_copies(train: Split, held_out: list[Split]) -> tuple[Split, int]:
    """Leaves out training rows that show a held-out picture, and says how many those were."""
    keep = np.ones(len(train), bool)
    for other in held_out:
        for i, _, _ in copies_between(train.images, other.images):
            keep[i] = False
    return train.take(keep), int((~keep).sum())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="folder of the packed FER+")
    parser.add_argument(
        "--out", type=Path, required=True, help="folder for train.npz, valid.npz and test.npz"
    )
    parser.add_argument(
        "--detector", default="face-luma", help="name of an embedded model or path of an ONNX file"
    )
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    model = models.load(args.detector, "detector")
    backend = opener_for("onnxruntime")(model, 1)
    detect = Detector(backend, model.spec, threshold=THRESHOLD, min_face=None, max_faces=8)
    splits = {name: read_packed(args.data, name) for name in SPLITS}
    valid, near_valid = without_copies(splits["valid"], [splits["test"]])
    train, near = without_copies(splits["train"], [splits["valid"], splits["test"]])
    print(f"near copies of held-out pictures left out: {near} of train, {near_valid} of valid")
    for name, split in {"train": train, "valid": valid, "test": splits["test"]}.items():
        split = replace(split, landmarks=landmarks_from_images(split.images, detect))
        save(split, args.out / f"{name}.npz")
        print(f"{name}: {len(split)} rows, a face found in {split.found.mean():.1%}")


if __name__ == "__main__":
    main()

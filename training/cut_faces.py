"""Cuts the faces of the detector's photographs into a split without labels, for distillation.

``python -m training.cut_faces FACES --held-out runs/ferplus --out runs/faces``, then ``python -m
training.distill runs/ferplus --unlabelled runs/faces ...``: the student then also sees faces as cameras give
them, not only as FER2013 cuts them. Only the training photographs are used, and no
crop that is also in a held-out split.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from fer_edge.arrays import F32, U8
from training.command_line import exit_on_error
from training.data.crops import crop_matrices, sample
from training.data.dedup import SIDE, near_duplicates_between
from training.data.face_crop import square_around_landmarks
from training.data.split import LABELS, UNKNOWN, Split, load_prepared, save
from training.detector.photos import load_photos

MIN_SIZE = 20  # px, the smaller side of the box: what smaller faces show is not an expression
HELD_OUT = ("valid", "test")


def cut_faces(faces: Path, side: int, min_size: float) -> Split:
    """Squares u8 [n, side, side] around the certain faces of the training photographs; votes are zeros."""
    images: list[U8] = []
    landmarks: list[F32] = []
    for photo in tqdm(load_photos(faces, "train"), desc="photographs", mininterval=5):
        size = (photo.boxes[:, 2:] - photo.boxes[:, :2]).min(1)
        for points in photo.landmarks[photo.certain & (size >= min_size)]:
            image, moved = square_around_landmarks(photo.image, points, side)
            images.append(image)
            landmarks.append(moved)
    n = len(images)
    unknown = np.full(n, UNKNOWN, np.int64)
    votes = np.zeros((n, len(LABELS)), np.float32)
    return Split(np.stack(images), votes, unknown, np.arange(n), unknown, np.stack(landmarks))


def without_held_out(split: Split, prepared: Path) -> Split:
    """The rows whose crop is no near copy of a crop of the held-out splits."""
    leaks = {
        row
        for name in HELD_OUT
        for row, _, _ in near_duplicates_between(_aligned(split), _aligned(load_prepared(prepared, name)))
    }
    return split.take(np.array([k for k in range(len(split)) if k not in leaks], np.int64))


def _aligned(split: Split) -> U8:
    """The runtime's crops u8 [n, 48, 48], which show about what FER2013's pictures show."""
    matrices = torch.from_numpy(crop_matrices(split, SIDE))
    crops: U8 = sample(torch.from_numpy(split.images), matrices, SIDE)[:, 0].round().byte().numpy()
    return crops


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("faces", type=Path, help="folder of faces-*.npz")
    parser.add_argument("--held-out", type=Path, required=True, help="folder that training.prepare wrote")
    parser.add_argument("--out", type=Path, required=True, help="folder for train.npz")
    parser.add_argument("--side", type=int, default=80, help="px of the squares")
    parser.add_argument("--min-size", type=float, default=MIN_SIZE, help="px of the smallest face")
    args = parser.parse_args()
    with exit_on_error(parser):
        split = cut_faces(args.faces, args.side, args.min_size)
        kept = without_held_out(split, args.held_out)
        args.out.mkdir(parents=True, exist_ok=True)
        save(kept, args.out / "train.npz")
    print(f"{len(kept)} faces; {len(split) - len(kept)} left out as copies of held-out rows")


if __name__ == "__main__":
    main()

"""Tiny data sets in the real layouts, made at run time."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from training.data.crops import TEMPLATE
from training.data.readers.ferplus import SIDE
from training.data.split import SPLITS, UNKNOWN, Split, save
from training.loop.checkpoint import save_checkpoint
from training.models import build

ROWS = 160


def blobs(rng: np.random.Generator, count: int) -> np.ndarray:
    """Smooth random pictures u8 [count, 48, 48], all different."""
    coarse = rng.integers(0, 256, (count, 6, 6), dtype=np.uint8)
    return np.stack([cv2.resize(c, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC) for c in coarse])


@pytest.fixture(scope="session")
def pictures() -> Callable[[int, int], np.ndarray]:
    """Makes pictures u8 [count, 48, 48] from a seed; other seeds give other pictures."""
    return lambda seed, count: blobs(np.random.default_rng(seed), count)


@pytest.fixture(scope="session")
def write_picture() -> Callable[[Path, np.ndarray], Path]:
    """Writes a picture file, and the folders above it."""

    def write(path: Path, image: np.ndarray) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        assert cv2.imwrite(str(path), image)
        return path

    return write


class StoppedError(Exception):
    """Raised by `interrupted_after`."""


@pytest.fixture(scope="session")
def interrupted_after() -> Callable[[object, str], AbstractContextManager[None]]:
    """Stops what runs in its block after the first call of a function of a module."""

    @contextmanager
    def block(owner: object, name: str) -> Iterator[None]:
        function = getattr(owner, name)

        def stop(*arguments: object) -> None:
            function(*arguments)
            raise StoppedError

        with pytest.MonkeyPatch.context() as patch, pytest.raises(StoppedError):
            patch.setattr(owner, name, stop)
            yield

    return block


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as training.prepare writes it, in which the height of a bright bar shows the expression."""
    folder = tmp_path_factory.mktemp("prepared")
    for seed, name in enumerate(SPLITS):
        rng = np.random.default_rng(seed)
        images, labels = blobs(rng, ROWS) // 2, rng.integers(0, 8, ROWS)
        for image, label in zip(images, labels, strict=True):
            image[5 * label + 4 : 5 * label + 8] = 255
        votes = np.eye(8, dtype=np.float32)[labels] * 0.8 + 0.025
        # Known in every second row, somewhat larger than in the crop.
        landmarks = np.full((ROWS, 5, 2), np.nan, np.float32)
        landmarks[::2] = np.array(TEMPLATE) * SIDE * 0.9 + 2
        people = np.full(ROWS, UNKNOWN)
        split = Split(images, votes, labels, np.arange(ROWS), people, landmarks)
        save(split, folder / f"{name}.npz")
    return folder


@pytest.fixture(scope="session")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with faces-0.npz: 60 grey JPEGs, two thirds with a "face" of five dark dots on a bright
    disc.
    """
    rng = np.random.default_rng(7)
    jpeg, offsets, faces, face_offsets = [], [0], [], [0]
    for k in range(60):
        image = cv2.resize(rng.integers(40, 110, (9, 12), dtype=np.uint8), (160, 120))
        if k % 3:
            x, y, side = rng.uniform(10, 90), rng.uniform(5, 55), rng.uniform(30, 55)
            points = np.array([(0.3, 0.4), (0.7, 0.4), (0.5, 0.6), (0.35, 0.8), (0.65, 0.8)]) * side + (x, y)
            cv2.circle(image, (int(x + side / 2), int(y + side / 2)), int(side / 2), 230, -1)
            for px, py in points:
                cv2.circle(image, (round(px - 0.5), round(py - 0.5)), 2, 0, -1)
            faces.append([x, y, side, side, *points.ravel(), 0.95 if k % 5 else 0.6])
        data = cv2.imencode(".jpg", image)[1].ravel()
        jpeg.append(data)
        offsets.append(offsets[-1] + len(data))
        face_offsets.append(len(faces))
    folder = tmp_path_factory.mktemp("photographs")
    np.savez(
        folder / "faces-0.npz",
        jpeg=np.concatenate(jpeg),
        jpeg_offset=np.array(offsets),
        faces=np.array(faces, np.float32),
        face_offset=np.array(face_offsets),
        negative=np.arange(60) % 3 == 0,
        source=np.zeros(60, np.uint8),
        source_names=np.array(["made"]),
    )
    return folder


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of a narrow tkfnet-nano with random weights."""
    torch.manual_seed(0)
    options = {"widths": [16, 16, 16]}
    path = tmp_path_factory.mktemp("network") / "checkpoint.pt"
    settings = {"model": "tkfnet-nano", "options": options}
    save_checkpoint(path, {"ema": build("tkfnet-nano", **options).state_dict(), "settings": settings})
    return path

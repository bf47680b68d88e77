"""Short made videos: the astronaut's face for the embedded models, bright cells for the tiny networks."""

import os
import resource
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
from tiny import frame_with_cells

from benchmarks.streaming.made_video import Actor, line, sway, video
from fer_edge.arrays import U8


def write_video(path: Path, frames: Iterable[U8], fps: float = 20.0) -> Path:
    """Writes BGR frames of one size."""
    writer = None
    for frame in frames:
        if writer is None:
            size = (frame.shape[1], frame.shape[0])
            writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"mp4v"), fps, size)
        writer.write(frame)
    assert writer is not None
    writer.release()
    return path


def face_video(path: Path, *, seconds: float = 1.5, fps: float = 20.0) -> Path:
    """Two faces: one sways, one walks out of the picture."""
    actors = [Actor(sway(160, 240, 110)), Actor(line((420, 240), (470, 260), seconds, 90), mirrored=True)]
    return write_video(path, (frame for _, frame, _ in video(actors, seconds, fps)), fps)


def cell_video(
    path: Path, *, frames: int = 10, fps: float = 20.0, cells: Sequence[tuple[int, int]] = ((20, 15),)
) -> Path:
    """Bright cells, which are faces for the tiny networks."""
    picture = np.repeat(frame_with_cells(*cells)[..., None], 3, axis=2)
    return write_video(path, [picture] * frames, fps)


def read_video(path: Path) -> tuple[list[U8], float]:
    """Returns all frames and the frame rate."""
    capture = cv2.VideoCapture(str(path))
    frames = []
    while (read := capture.read())[0]:
        frames.append(read[1])
    return frames, capture.get(cv2.CAP_PROP_FPS)


def noise_video(path: Path, *, frames: int = 20, fps: float = 20.0) -> Path:
    """Dark noise: no faces for the tiny networks, and about 5 kB a frame, also when written again."""
    rng = np.random.default_rng(5)
    return write_video(path, (rng.integers(0, 48, (96, 160, 3), np.uint8) for _ in range(frames)), fps)


def cut_video(path: Path, *, frames: int = 20, share: float = 0.55) -> Path:
    """An .avi that ends after this share of its bytes."""
    picture = np.repeat(frame_with_cells((20, 15))[..., None], 3, axis=2)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 20.0, picture.shape[1::-1])
    for _ in range(frames):
        writer.write(picture)
    writer.release()
    os.truncate(path, round(share * path.stat().st_size))
    return path


@contextmanager
def full_disk(size: int = 40_000) -> Iterator[None]:
    """Writing fails after so many bytes of a file; stands in for a full disk, which no test may make."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)

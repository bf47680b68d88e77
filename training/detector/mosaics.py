"""Group photographs made of small labelled photographs, which are laid side by side on one canvas.

The pictures of the data have at most 352 px, so a face of a few percent of their long side has too few pixels
for any detector. In a mosaic the same faces have all their pixels, and are a smaller share of the picture, as
in a photograph of a group by a camera with more pixels.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from training.detector.comparison import Pictures, doubtful
from training.detector.marks import Detected
from training.detector.photos import Photo

CELL_PX = 352  # the longest side of the photographs
BACKGROUND = 128  # grey level between the photographs


def mosaics(pictures: Pictures, side: int) -> Iterator[Photo]:
    """Yields mosaics of ``side`` x ``side`` photographs, as photographs.

    Certain faces are to be found; everything that counts for nothing in a photograph is not certain. What is
    left over at the end makes no mosaic.
    """
    count = side * side
    for first in range(0, len(pictures.photos) - count + 1, count):
        yield _mosaic(pictures.photos[first : first + count], pictures.seen, side)


def _mosaic(photos: Sequence[Photo], seen: Sequence[Detected], side: int) -> Photo:
    image = np.full((side * CELL_PX, side * CELL_PX), BACKGROUND, np.uint8)
    boxes, landmarks, certain = [], [], []
    for cell, photo in enumerate(photos):
        height, width = photo.image.shape
        corner = np.array([cell % side, cell // side]) * CELL_PX
        image[corner[1] : corner[1] + height, corner[0] : corner[0] + width] = photo.image
        ignored = doubtful(photo, seen[photo.number])
        boxes += [photo.boxes[photo.certain] + np.tile(corner, 2), ignored + np.tile(corner, 2)]
        landmarks += [photo.landmarks[photo.certain] + corner, np.zeros((len(ignored), 5, 2))]
        certain += [np.ones(int(photo.certain.sum()), bool), np.zeros(len(ignored), bool)]
    return Photo(
        image,
        np.concatenate(boxes).astype(np.float32),
        np.concatenate(landmarks).astype(np.float32),
        np.concatenate(certain),
        "mosaic",
        not np.concatenate(certain).any(),
        -1,
    )

"""Exact and near copies between sets of pictures, so that no test picture was seen in training.

Exact copies have the same pixels. For near ones, two 64-bit difference hashes of a picture, one along the
rows and one along the columns, find candidates (N. Krawetz); the correlation of the pixels decides, so that
two different faces in like light are not called copies. The search goes by blocks: beyond the thumbnails, 2.3
KB a picture, its memory does not grow with the square of the pictures.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from fer_edge.arrays import F32, I64, U8
from training.data.split import UNKNOWN

SIDE = 48  # px of the thumbnails that are compared: the pictures of FER+, on which the limits were set
HASH_SIDE = 8
MAX_DISTANCE = 20  # of 128 bits; unrelated pictures differ in about 64
# Of 48 x 48 px. Looked at in FER+: from 0.9 all pairs are copies with another crop or watermark; between 0.87
# and 0.9 some are two frontal faces before a like background. Leaving out a few rows too many costs nothing,
# a leak costs the result.
MIN_CORRELATION = 0.87
NEAR_HELP = (
    f"correlation from which two pictures are copies; {MIN_CORRELATION} for web pictures, more for studios"
)
# Candidates whose pixels are compared at once, 18 KB each.
CANDIDATES = 2048


@dataclass(frozen=True, slots=True)
class Seen:
    """What the search keeps of a split: ``thumbs`` u8 [n, 48, 48], ``digests`` of the full pictures' pixels,
    and ``people`` i64 [n], UNKNOWN where it is not known who is shown.
    """

    thumbs: U8
    digests: list[bytes]
    people: I64

    def take(self, which: I64) -> "Seen":
        """The rows that indices select."""
        return Seen(self.thumbs[which], [self.digests[k] for k in which], self.people[which])


@dataclass(frozen=True, slots=True)
class Copy:
    """A pair of rows that show one picture: exactly, or nearly with this correlation of their pixels."""

    row: int
    other: int
    exact: bool
    correlation: float


def thumb_from_luma(luma: U8) -> U8:
    """The 48 x 48 px that are compared, whatever the picture's shape."""
    if luma.shape == (SIDE, SIDE):
        return luma
    return cv2.resize(luma, (SIDE, SIDE), interpolation=cv2.INTER_AREA)


def digest_from_luma(luma: U8) -> bytes:
    """Equal for pictures with the same pixels, however their files are packed."""
    shape = np.array(luma.shape, np.int64).tobytes()
    return hashlib.blake2b(shape + luma.tobytes(), digest_size=16).digest()


def copies_of(seen: Seen, other: Seen, least: float = MIN_CORRELATION) -> list[Copy]:
    """Pairs of two splits that show one picture, exact copies and near ones, by row and row of the other.

    ``least`` is the correlation from which a pair is a near copy, at least MIN_CORRELATION. Two people known
    to be different are no near copies of one another: in a studio before one wall, faces of different people
    agree as well as copies do elsewhere.
    """
    return _copies(seen, other, copies_between(seen.thumbs, other.thumbs), least, within=False)


def copies_inside(seen: Seen, least: float = MIN_CORRELATION) -> list[Copy]:
    """Pairs of one split that show one picture, each once, the lower row first."""
    return _copies(seen, seen, near_copies_inside(seen.thumbs), least, within=True)


def copies_between(images: U8, others: U8, block: int = 1024) -> list[tuple[int, int, float]]:
    """Pairs (index, index of the other, correlation) that show the same picture, mirrored copies included.

    Pictures u8 [n, H, W] and [m, H, W] of any size are compared as thumbnails of 48 x 48 px.
    """
    return _merged(_near_copies(_thumbs(images), _thumbs(others), block, within=False))


def near_copies_inside(images: U8, block: int = 1024) -> list[tuple[int, int, float]]:
    """Pairs of one set, as copies_between; each pair once, the lower index first."""
    thumbs = _thumbs(images)
    return _merged(_near_copies(thumbs, thumbs, block, within=True))


def hashes_from_images(images: U8) -> NDArray[np.int8]:
    """u8 [n, H, W] to +-1 int8 [n, 128], so that a matrix product counts the bits that agree.

    A picture of one grey has zeros: it is like no other.
    """
    bits = np.zeros((len(images), 2 * HASH_SIDE * HASH_SIDE), np.int8)
    for row, image in zip(bits, images, strict=True):
        if image.min() == image.max():
            continue
        thumb = cv2.resize(image, (HASH_SIDE + 1, HASH_SIDE + 1), interpolation=cv2.INTER_AREA).astype(int)
        across = thumb[:-1, 1:] > thumb[:-1, :-1]
        down = thumb[1:, :-1] > thumb[:-1, :-1]
        row[:] = np.concatenate([across.ravel(), down.ravel()]) * 2 - 1
    return bits


def _copies(
    seen: Seen, other: Seen, near: list[tuple[int, int, float]], least: float, within: bool
) -> list[Copy]:
    exact = _exact_copies(seen.digests, other.digests, within)
    found = {pair: Copy(*pair, exact=True, correlation=1.0) for pair in exact}
    for row, k, correlation in near:
        one, two = seen.people[row], other.people[k]
        if correlation < least:
            continue
        if (row, k) not in found and (one == two or UNKNOWN in (one, two)):
            found[row, k] = Copy(row, k, exact=False, correlation=correlation)
    return [found[pair] for pair in sorted(found)]


def _exact_copies(digests: list[bytes], others: list[bytes], within: bool) -> list[tuple[int, int]]:
    places = defaultdict(list)
    for k, digest in enumerate(others):
        places[digest].append(k)
    return [
        (row, k)
        for row, digest in enumerate(digests)
        for k in places.get(digest, ())
        if not within or row < k
    ]


def _merged(pairs: Iterator[tuple[int, int, float]]) -> list[tuple[int, int, float]]:
    """A pair once, with its better correlation of plain and mirrored."""
    best: dict[tuple[int, int], float] = {}
    for i, j, correlation in pairs:
        best[i, j] = max(correlation, best.get((i, j), 0.0))
    return [(i, j, correlation) for (i, j), correlation in sorted(best.items())]


def _near_copies(thumbs: U8, others: U8, block: int, within: bool) -> Iterator[tuple[int, int, float]]:
    theirs = hashes_from_images(others)
    least = theirs.shape[1] - 2 * MAX_DISTANCE
    for start in range(0, len(thumbs), block):
        for mirrored in (False, True):
            mine = thumbs[start : start + block]
            mine = np.ascontiguousarray(mine[:, :, ::-1]) if mirrored else mine
            hashes = hashes_from_images(mine).astype(np.float32)
            # Within a set the lower blocks have met this one already.
            for at in range(start if within else 0, len(others), block):
                agreement = hashes @ theirs[at : at + block].T.astype(np.float32)
                i, j = np.nonzero(agreement >= least)
                if within:
                    apart = i + start < j + at
                    i, j = i[apart], j[apart]
                yield from _decided(mine, others[at : at + block], i, j, (start, at))


def _decided(
    mine: U8,
    others: U8,
    i: I64,
    j: I64,
    offset: tuple[int, int],
) -> Iterator[tuple[int, int, float]]:
    for k in range(0, len(i), CANDIDATES):
        few_i, few_j = i[k : k + CANDIDATES], j[k : k + CANDIDATES]
        correlations = (_standardised(mine[few_i]) * _standardised(others[few_j])).mean((1, 2))
        for one, two, correlation in zip(few_i, few_j, correlations, strict=True):
            if correlation >= MIN_CORRELATION:
                yield int(one) + offset[0], int(two) + offset[1], float(correlation)


def _thumbs(images: U8) -> U8:
    if images.shape[1:] == (SIDE, SIDE) or not len(images):
        return images
    return np.stack([thumb_from_luma(image) for image in images])


def _standardised(images: U8) -> F32:
    x = images.astype(np.float32)
    x -= x.mean((1, 2), keepdims=True)
    x /= np.maximum(x.std((1, 2), keepdims=True), 1e-3)
    return x

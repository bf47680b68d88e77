"""Exact and near copies between sets of pictures, so that no test picture is in the training split.

Exact copies have the same pixels. Near copies are found in two steps. Two 64-bit difference hashes of each
picture, one along the rows and one along the columns, give candidates (N. Krawetz); the correlation of the
pixels decides, so that two different faces in similar light are not called copies. The search works block by
block, so that its memory grows with the number of pictures (2.3 KB each), not with its square.
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

SIDE = 48  # px of the thumbnails that are compared: the size of FER+'s pictures, on which the limits were set
HASH_SIDE = 8
MAX_DISTANCE = 20  # of 128 bits; unrelated pictures differ in about 64
# For 48 x 48 px. In FER+, all pairs above 0.9 that were looked at are copies with another crop or watermark;
# between 0.87 and 0.9 some are two frontal faces on a similar background. The limit is low on purpose: a few
# rows too many left out cost nothing, a leak makes the result wrong.
MIN_CORRELATION = 0.87
MIN_CORRELATION_HELP = (
    f"least correlation of two copies; {MIN_CORRELATION} (the lowest) for web pictures, more for studios"
)
# Candidates whose pixels are compared at once, 18 KB each.
CANDIDATES = 2048


@dataclass(frozen=True, slots=True)
class Fingerprints:
    """What the search needs of a split: ``thumbnails`` u8 [n, 48, 48], ``digests`` of the pictures' pixels,
    and ``people`` i64 [n], UNKNOWN where it is not known who is shown.
    """

    thumbnails: U8
    digests: list[bytes]
    people: I64

    def take(self, which: I64) -> "Fingerprints":
        """The rows that indices select."""
        return Fingerprints(self.thumbnails[which], [self.digests[k] for k in which], self.people[which])


@dataclass(frozen=True, slots=True)
class Duplicate:
    """Two rows that show the same picture, exactly or with this correlation of their pixels."""

    row: int
    other_row: int
    exact: bool
    correlation: float


def check_min_correlation(value: float) -> None:
    """Raises ValueError for a limit that `duplicates_between` cannot keep to."""
    if not MIN_CORRELATION <= value <= 1:
        raise ValueError(
            f"min_correlation must be from {MIN_CORRELATION} to 1, got {value}; the search leaves out pairs "
            "below, because they may show two different faces"
        )


def thumbnail_from_luma(luma: U8) -> U8:
    """The picture at 48 x 48 px, whatever its shape."""
    if luma.shape == (SIDE, SIDE):
        return luma
    return cv2.resize(luma, (SIDE, SIDE), interpolation=cv2.INTER_AREA)


def digest_from_luma(luma: U8) -> bytes:
    """A hash of shape and pixels, independent of the file format."""
    shape = np.array(luma.shape, np.int64).tobytes()
    return hashlib.blake2b(shape + luma.tobytes(), digest_size=16).digest()


def duplicates_between(
    seen: Fingerprints, other: Fingerprints, min_correlation: float = MIN_CORRELATION
) -> list[Duplicate]:
    """Pairs of rows of two splits that show the same picture, sorted by row and other row.

    ``min_correlation`` is the least correlation of near copies, from MIN_CORRELATION to 1. Pictures of two
    people who are known to be different are never near copies: in a studio, their correlation may be as high
    as that of copies elsewhere.
    """
    check_min_correlation(min_correlation)
    return _duplicates(
        seen, other, near_duplicates_between(seen.thumbnails, other.thumbnails), min_correlation, within=False
    )


def duplicates_within(seen: Fingerprints, min_correlation: float = MIN_CORRELATION) -> list[Duplicate]:
    """Pairs of rows of one split that show the same picture, each pair once, the lower row first."""
    check_min_correlation(min_correlation)
    return _duplicates(seen, seen, near_duplicates_within(seen.thumbnails), min_correlation, within=True)


def near_duplicates_between(images: U8, others: U8, block: int = 1024) -> list[tuple[int, int, float]]:
    """Pairs (index, index of the other, correlation) that show the same picture, mirrored copies included.

    Pictures u8 [n, H, W] and [m, H, W] of any size are compared as thumbnails of 48 x 48 px.
    """
    return _merged(_near_duplicates(_thumbnails(images), _thumbnails(others), block, within=False))


def near_duplicates_within(images: U8, block: int = 1024) -> list[tuple[int, int, float]]:
    """Pairs within one set, as in near_duplicates_between; each pair once, the lower index first."""
    thumbnails = _thumbnails(images)
    return _merged(_near_duplicates(thumbnails, thumbnails, block, within=True))


def hashes_from_images(images: U8) -> NDArray[np.int8]:
    """u8 [n, H, W] to +-1 int8 [n, 128], so that a matrix product counts the bits that agree.

    A picture of one grey level gets zeros, which agree with no hash.
    """
    bits = np.zeros((len(images), 2 * HASH_SIDE * HASH_SIDE), np.int8)
    for row, image in zip(bits, images, strict=True):
        if image.min() == image.max():
            continue
        small = cv2.resize(image, (HASH_SIDE + 1, HASH_SIDE + 1), interpolation=cv2.INTER_AREA).astype(int)
        across = small[:-1, 1:] > small[:-1, :-1]
        down = small[1:, :-1] > small[:-1, :-1]
        row[:] = np.concatenate([across.ravel(), down.ravel()]) * 2 - 1
    return bits


def _duplicates(
    seen: Fingerprints,
    other: Fingerprints,
    near: list[tuple[int, int, float]],
    min_correlation: float,
    within: bool,
) -> list[Duplicate]:
    exact = _exact_duplicates(seen.digests, other.digests, within)
    found = {pair: Duplicate(*pair, exact=True, correlation=1.0) for pair in exact}
    for row, k, correlation in near:
        one, two = seen.people[row], other.people[k]
        if correlation < min_correlation:
            continue
        if (row, k) not in found and (one == two or UNKNOWN in (one, two)):
            found[row, k] = Duplicate(row, k, exact=False, correlation=correlation)
    return [found[pair] for pair in sorted(found)]


def _exact_duplicates(digests: list[bytes], others: list[bytes], within: bool) -> list[tuple[int, int]]:
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
    """Each pair once, with the higher correlation of plain and mirrored."""
    best: dict[tuple[int, int], float] = {}
    for i, j, correlation in pairs:
        best[i, j] = max(correlation, best.get((i, j), 0.0))
    return [(i, j, correlation) for (i, j), correlation in sorted(best.items())]


def _near_duplicates(
    thumbnails: U8, others: U8, block: int, within: bool
) -> Iterator[tuple[int, int, float]]:
    theirs = hashes_from_images(others)
    min_agreement = theirs.shape[1] - 2 * MAX_DISTANCE
    for start in range(0, len(thumbnails), block):
        for mirrored in (False, True):
            mine = thumbnails[start : start + block]
            mine = np.ascontiguousarray(mine[:, :, ::-1]) if mirrored else mine
            hashes = hashes_from_images(mine).astype(np.float32)
            # Within a set, earlier blocks were compared with this one already.
            for at in range(start if within else 0, len(others), block):
                agreement = hashes @ theirs[at : at + block].T.astype(np.float32)
                i, j = np.nonzero(agreement >= min_agreement)
                if within:
                    apart = i + start < j + at
                    i, j = i[apart], j[apart]
                yield from _confirmed(mine, others[at : at + block], i, j, (start, at))


def _confirmed(
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


def _thumbnails(images: U8) -> U8:
    if images.shape[1:] == (SIDE, SIDE) or not len(images):
        return images
    return np.stack([thumbnail_from_luma(image) for image in images])


def _standardised(images: U8) -> F32:
    x = images.astype(np.float32)
    x -= x.mean((1, 2), keepdims=True)
    x /= np.maximum(x.std((1, 2), keepdims=True), 1e-3)
    return x

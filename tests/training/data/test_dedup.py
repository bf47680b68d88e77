"""The search for exact and near copies."""

from collections.abc import Callable

import cv2
import numpy as np
import pytest

from training.data import dedup
from training.data.dedup import (
    Fingerprints,
    digest_from_luma,
    duplicates_between,
    duplicates_within,
    near_duplicates_between,
    near_duplicates_within,
    thumbnail_from_luma,
)
from training.data.split import UNKNOWN

Pictures = Callable[[int, int], np.ndarray]


def seen(lumas: list[np.ndarray] | np.ndarray, people: list[int] | None = None) -> Fingerprints:
    known = np.full(len(lumas), UNKNOWN) if people is None else np.array(people)
    return Fingerprints(
        np.stack([thumbnail_from_luma(x) for x in lumas]), [digest_from_luma(x) for x in lumas], known
    )


@pytest.fixture
def altered(pictures: Pictures) -> tuple[np.ndarray, np.ndarray]:
    """Forty pictures, and others of which the first four are copies of pictures 3, 5, 7 and 9."""
    originals = pictures(1, 40)
    brighter = np.clip(originals[3] * 0.8 + 30, 0, 255).astype(np.uint8)
    mirrored = np.ascontiguousarray(originals[5][:, ::-1])
    compressed = cv2.imdecode(cv2.imencode(".jpg", originals[7], [cv2.IMWRITE_JPEG_QUALITY, 30])[1], 0)
    shifted = np.roll(originals[9], 1, axis=1)
    return originals, np.stack([brighter, mirrored, compressed, shifted, *pictures(2, 40)])


@pytest.mark.parametrize("block", [1, 7, 1024])
def test_near_copies_are_found_and_others_are_not(altered: tuple[np.ndarray, np.ndarray], block: int):
    pairs = near_duplicates_between(*altered, block=block)
    assert [(i, j) for i, j, _ in pairs] == [(3, 0), (5, 1), (7, 2), (9, 3)]
    assert all(dedup.MIN_CORRELATION <= c <= 1.001 for _, _, c in pairs)


@pytest.mark.parametrize("block", [1, 7, 1024])
def test_copies_inside_a_set_are_found_once(altered: tuple[np.ndarray, np.ndarray], block: int):
    pairs = near_duplicates_within(np.concatenate(altered), block=block)
    assert [(i, j) for i, j, _ in pairs] == [(3, 40), (5, 41), (7, 42), (9, 43)]


def test_few_candidates_at_once_find_the_same(
    altered: tuple[np.ndarray, np.ndarray], monkeypatch: pytest.MonkeyPatch
):
    expected = near_duplicates_between(*altered)
    monkeypatch.setattr(dedup, "CANDIDATES", 1)
    found = near_duplicates_between(*altered)
    assert [pair[:2] for pair in found] == [pair[:2] for pair in expected]
    np.testing.assert_allclose([pair[2] for pair in found], [pair[2] for pair in expected], rtol=1e-5)


def test_larger_pictures_are_compared_by_their_content(pictures: Pictures):
    small = pictures(3, 6)
    large = np.stack([cv2.resize(x, (150, 120), interpolation=cv2.INTER_CUBIC) for x in small])
    assert [(i, j) for i, j, _ in near_duplicates_between(small, large)] == [(k, k) for k in range(6)]


def test_exact_copies_are_the_same_pixels_in_the_same_shape(pictures: Pictures):
    one = pictures(4, 3)
    two = [one[2], one[0].reshape(24, 96), np.maximum(one[1], 1)]
    changed = one[1] != two[2]
    assert changed.any()
    found = duplicates_between(seen(one), seen(two))
    assert [(c.row, c.other_row, c.exact) for c in found] == [(1, 2, False), (2, 0, True)]


def test_blank_pictures_are_copies_only_of_themselves():
    blank, other = np.full((48, 48), 7, np.uint8), np.full((48, 48), 8, np.uint8)
    found = duplicates_between(seen([blank, other]), seen([other]))
    assert [(c.row, c.other_row, c.exact) for c in found] == [(1, 0, True)]


def test_several_exact_copies_inside_a_set(pictures: Pictures):
    a, b = pictures(5, 2)
    found = duplicates_within(seen([a, b, a, a]))
    assert [(c.row, c.other_row) for c in found] == [(0, 2), (0, 3), (2, 3)]
    assert all(c.exact for c in found)


def test_two_known_people_are_no_near_copies_of_each_other(altered: tuple[np.ndarray, np.ndarray]):
    ours, theirs = altered[0][[3, 5, 7, 9]], np.concatenate([altered[1][:3], altered[0][9:10]])
    found = duplicates_between(seen(ours, [1, 1, UNKNOWN, 1]), seen(theirs, [1, 2, 2, 2]))
    # The last two are exact copies, which count even for different people.
    assert [(c.row, c.other_row, c.exact) for c in found] == [(0, 0, False), (2, 2, False), (3, 3, True)]


@pytest.mark.parametrize("limit", [0.86, 1.01, float("nan")])
def test_a_limit_that_cannot_be_kept_is_refused(pictures: Pictures, limit: float):
    one = seen(pictures(6, 2))
    for search in (lambda: duplicates_between(one, one, limit), lambda: duplicates_within(one, limit)):
        with pytest.raises(ValueError, match=f"min_correlation must be from 0.87 to 1, got {limit}"):
            search()


def test_an_empty_set():
    assert near_duplicates_between(np.zeros((0, 48, 48), np.uint8), np.zeros((0, 48, 48), np.uint8)) == []

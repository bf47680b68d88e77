"""Covers hide what the returned shares say, and nothing far from the face."""

import numpy as np
import pytest

from training.crop_check import covers
from training.data.crops import TEMPLATE

SIDE = 200
# A face of 100 px in the middle of the picture.
LANDMARKS = (np.array(TEMPLATE, np.float32) * 100 + 50).astype(np.float32)
GREY = np.full((SIDE, SIDE), 128, np.uint8)
NOISE = np.random.default_rng(1).integers(0, 256, (SIDE, SIDE), dtype=np.uint8)


def _at(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    x, y = points.round().astype(int).T
    return y, x


@pytest.mark.parametrize("shape", sorted(set(covers.SHAPES), key=lambda shape: shape.__name__))
def test_the_shares_are_those_of_the_drawn_shape(
    shape: covers.Shape, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(covers, "SHAPES", (shape,))
    wholly_hidden = {"mouth": 0, "eyes": 0}
    for seed in range(30):
        rng = np.random.default_rng(seed)
        image, mouth, eyes = covers.covered(GREY, LANDMARKS, NOISE, rng)
        assert (image.shape, image.dtype) == (GREY.shape, np.uint8)
        assert 0 <= mouth <= 1
        assert 0 <= eyes <= 1
        changed = np.abs(image.astype(int) - GREY) > 2
        # A fill may be as grey as the picture, so only unchanged pixels of a part that shows are certain.
        if mouth == 0:
            assert not changed[_at(LANDMARKS[3:].mean(0, keepdims=True))].any()
        if eyes == 0:
            assert not changed[_at(LANDMARKS[:2])].all()
        wholly_hidden["mouth"] += mouth > 0.75
        wholly_hidden["eyes"] += eyes > 0.75
    expected = {"_draw_mask": "mouth", "_draw_scarf": "mouth", "_draw_bar": "eyes"}
    if shape.__name__ in expected:
        hidden = expected[shape.__name__]
        assert wholly_hidden.pop(hidden) > 20
        assert list(wholly_hidden.values()) == [0]


def test_a_cover_is_as_random_as_its_generator() -> None:
    first, again, other = (
        covers.covered(GREY, LANDMARKS, NOISE, np.random.default_rng(seed)) for seed in (5, 5, 6)
    )
    np.testing.assert_array_equal(first[0], again[0])
    assert first[1:] == again[1:]
    assert (first[0] != other[0]).any()


def test_the_cover_turns_with_the_face(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(covers, "SHAPES", (covers._draw_bar,))
    upright = covers.covered(GREY, LANDMARKS, NOISE, np.random.default_rng(3))
    # The same face upside down: each point through the middle of the picture.
    turned = covers.covered(GREY, SIDE - LANDMARKS, NOISE, np.random.default_rng(3))
    hidden, again = ((image != GREY)[10:-10, 10:-10] for image, _, _ in (upright, turned))
    assert (hidden == again[::-1, ::-1]).mean() > 0.97
    assert turned[2] == pytest.approx(upright[2], abs=0.05)

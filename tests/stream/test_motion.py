"""The Kalman filters: right places and speeds, at any frame rate."""

import math

import pytest

from fer_edge.stream.motion import Motion


def _walk(fps: float, seconds: float = 2.0, speed: float = 120.0) -> Motion:
    """A face of 100 px that walks to the right."""
    motion = Motion(50.0, 80.0, 100.0)
    for number in range(1, round(fps * seconds) + 1):
        motion.predict(1 / fps)
        motion.correct(50.0 + speed * number / fps, 80.0, 100.0, 1.0)
    return motion


@pytest.mark.parametrize("fps", [5, 30, 240])
def test_a_walking_face_is_predicted_at_any_frame_rate(fps: float) -> None:
    motion = _walk(fps)
    x, y, side = motion.place
    assert (x, y, side) == pytest.approx((290, 80, 100), abs=0.5)
    motion.predict(0.1)
    assert motion.place[0] == pytest.approx(290 + 12, abs=2)


def test_a_hidden_face_slows_down_and_grows_uncertain() -> None:
    motion = _walk(30)
    spread = motion.spread
    places = []
    for _ in range(10):
        motion.predict(0.5)
        places.append(motion.place[0])
    assert 290 < places[0] < 290 + 60
    assert places[-1] - places[-2] < 1
    assert places[-1] < 290 + 120
    assert motion.spread > 10 * spread


def test_prediction_does_not_depend_on_its_steps() -> None:
    once, often = _walk(30), _walk(30)
    once.predict(0.4)
    for _ in range(40):
        often.predict(0.01)
    assert once.place == pytest.approx(often.place)
    # The noise of a growing face is taken from its size at the start of a step.
    assert once.spread == pytest.approx(often.spread, rel=0.1)


def test_size_follows_a_face_that_comes_nearer() -> None:
    motion = Motion(0.0, 0.0, 50.0)
    for number in range(1, 31):
        motion.predict(1 / 30)
        motion.correct(0.0, 0.0, 50.0 * math.exp(0.5 * number / 30), 1.0)
    assert motion.place[2] == pytest.approx(50 * math.exp(0.5), rel=0.01)


def test_a_poor_score_counts_little_and_a_hidden_face_keeps_its_size() -> None:
    poor, good = _walk(30), _walk(30)
    for motion, score in ((poor, 0.4), (good, 1.0)):
        motion.predict(1 / 30)
        motion.correct(280.0, 80.0, 80.0, score)
    assert poor.place[0] > 292
    assert good.place[0] < 285
    good.hide()
    side = good.place[2]
    good.predict(1.0)
    assert good.place[2] == pytest.approx(side)

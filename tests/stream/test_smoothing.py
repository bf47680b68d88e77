"""Expressions are smoothed over time, not over frames."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from stream_doubles import LABELS, observation

from fer_edge.stream import Smoothing
from fer_edge.stream.steady import Steady

MakeSteady = Callable[..., Steady]
# So sure that a frame counts fully.
NEUTRAL, HAPPY = [40.0, 0.0, 0.0], [0.0, 40.0, 0.0]


def _logit_of(faces: Any) -> float:
    """log(happiness / neutral) of the first face."""
    probabilities = faces[0].probabilities
    return math.log(probabilities["happiness"] / probabilities["neutral"])


@pytest.mark.parametrize("fps", [10, 30, 240])
def test_after_the_time_constant_a_change_shows_to_63_percent_at_any_frame_rate(
    make_steady: MakeSteady, fps: int
) -> None:
    steady = make_steady(time_constant_ms=400)
    steady.update(observation(0.0, (1, NEUTRAL)))
    for number in range(1, round(0.4 * fps) + 1):
        faces, _ = steady.update(observation(number / fps, (1, HAPPY)))
    share = (_logit_of(faces) + 40) / 80
    assert share == pytest.approx(1 - math.exp(-1), abs=1e-3)


def test_irregular_frames_give_the_same_as_regular_ones(make_steady: MakeSteady) -> None:
    regular, irregular = make_steady(), make_steady()
    times = np.sort(np.random.default_rng(1).uniform(0, 0.3, 37)).tolist()
    for steady, moments in ((regular, np.arange(1, 31) / 100), (irregular, [*times, 0.3])):
        steady.update(observation(0.0, (1, [2.0, 0.0, 0.0])))
        for time in moments:
            faces, _ = steady.update(observation(float(time), (1, [0.0, 2.0, 0.0])))
        confidence = math.e**2 / (math.e**2 + 2)
        assert _logit_of(faces) == pytest.approx(-2 + 4 * (1 - math.exp(-0.3 * confidence / 0.15)), abs=1e-4)


def test_a_frame_counts_by_its_confidence(make_steady: MakeSteady) -> None:
    results = []
    for logits in ([1.0, 3.0, 0.0], [1.0, 1.1, 0.9]):
        steady = make_steady()
        steady.update(observation(0.0, (1, [1.0, 0.0, 0.0])))
        before = 1.0 - sum((1.0, 0.0, 0.0)) / 3
        faces, _ = steady.update(observation(0.1, (1, logits)))
        target = logits[0] - sum(logits) / 3
        logs = np.log(list(faces[0].probabilities.values()))
        results.append(((logs - logs.mean())[0] - before) / (target - before))
    confidences = [math.e**3 / (math.e + math.e**3 + 1), math.e**1.1 / (math.e + math.e**1.1 + math.e**0.9)]
    assert results == pytest.approx([1 - math.exp(-0.1 * c / 0.15) for c in confidences], rel=1e-3)


def test_an_abstaining_face_does_not_disturb_the_state(make_steady: MakeSteady) -> None:
    steady, undisturbed = make_steady(), make_steady()
    for each in (steady, undisturbed):
        each.update(observation(0.0, (1, NEUTRAL)))
    for number in range(1, 30):
        faces, events = steady.update(observation(number / 30, (1, (HAPPY, "face too far turned"))))
        assert (faces[0].label, faces[0].abstain_reason) == ("neutral", "face too far turned")
        assert [event.label for event in events if event.label] in ([], ["neutral"])
        undisturbed.update(observation(number / 30, (1, NEUTRAL)))
    after, _ = steady.update(observation(1.0, (1, HAPPY)))
    expected, _ = undisturbed.update(observation(1.0, (1, HAPPY)))
    assert after[0].probabilities == pytest.approx(expected[0].probabilities)


def test_the_state_is_dropped_when_it_is_stale(make_steady: MakeSteady) -> None:
    steady = make_steady(stale_ms=500)
    steady.update(observation(0.0, (1, NEUTRAL)))
    labels = [
        steady.update(observation(time, (1, (HAPPY, "face too blurred"))))[0][0].label
        for time in (0.2, 0.5, 0.6)
    ]
    assert labels == ["neutral", "neutral", "happiness"]


def test_a_new_face_begins_with_its_first_frame_and_faces_are_independent(make_steady: MakeSteady) -> None:
    steady = make_steady()
    steady.update(observation(0.0, (1, NEUTRAL)))
    faces, _ = steady.update(observation(0.01, (1, HAPPY), (2, HAPPY)))
    assert [face.label for face in faces] == ["neutral", "happiness"]
    # An id that ended and its values are forgotten.
    steady.update(observation(0.02, ended=(2,)))
    faces, _ = steady.update(observation(0.03, (2, NEUTRAL)))
    assert faces[0].label == "neutral"


def test_no_smoothing(make_steady: MakeSteady) -> None:
    steady = make_steady(time_constant_ms=0)
    for time, logits, label in (
        (0.0, NEUTRAL, "neutral"),
        (0.001, HAPPY, "happiness"),
        (0.001, NEUTRAL, "neutral"),
    ):
        faces, _ = steady.update(observation(time, (1, logits)))
        assert faces[0].label == label


def test_a_resting_face_that_looks_sad_is_neutral_after_the_baseline(make_steady: MakeSteady) -> None:
    steady = make_steady(baseline_ms=1000, time_constant_ms=0)
    resting, smiling = [1.0, 0.0, 2.5], [1.0, 4.0, 2.0]
    labels = [steady.update(observation(number / 10, (1, resting)))[0][0].label for number in range(15)]
    assert labels == ["sadness"] * 11 + ["neutral"] * 4
    faces, _ = steady.update(observation(1.6, (1, smiling)))
    assert faces[0].label == "happiness"
    # Happiness is not what the resting face shows, so it is not lowered.
    assert _logit_of(faces) == pytest.approx(3.0, abs=1e-5)
    # Another face has a baseline of its own.
    faces, _ = steady.update(observation(1.7, (1, resting), (2, resting)))
    assert [face.label for face in faces] == ["neutral", "sadness"]


def test_settings_out_of_range() -> None:
    for name in ("time_constant_ms", "stale_ms", "baseline_ms"):
        for value in (-1, math.nan, math.inf, "fast"):
            with pytest.raises(ValueError, match=f"{name} must be a number of milliseconds"):
                Smoothing(**{name: value})


def test_labels_are_those_of_the_model(make_steady: MakeSteady) -> None:
    faces, _ = make_steady().update(observation(0.0, (7, NEUTRAL)))
    assert tuple(faces[0].probabilities) == LABELS
    assert (faces[0].id, faces[0].is_fresh) == (7, True)
    assert list(faces[0].to_dict())[:2] == ["id", "box"]

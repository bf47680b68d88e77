"""The stages of a recogniser: each call is timed, and everything is as before afterwards."""

import pytest
from ticking import TickingClock
from tiny import frame_with_cells

import fer_edge.recognizer as recognizer_module
from fer_edge import Recognizer
from fer_edge.benchmark.work.stages import FRAMES, stage_medians, timed_stages
from fer_edge.stages import expressions

FACES = frame_with_cells((10, 7), (25, 20))


def test_each_stage_of_each_frame(recognizer: Recognizer) -> None:
    clock = TickingClock()
    with timed_stages(recognizer, clock) as times:
        for _ in range(3):
            recognizer(FACES)
    calls = {stage: len(values) for stage, values in times.items()}
    assert calls == {"luma": 3, "detect": 3, "align": 3, "preprocess": 3, "infer": 3}


def test_a_frame_without_a_face_has_two_stages(recognizer: Recognizer) -> None:
    medians = stage_medians(recognizer, lambda: recognizer(frame_with_cells()), TickingClock())
    assert list(medians) == ["luma", "detect"]
    assert FRAMES >= 50


def test_the_recogniser_is_restored_also_after_an_error(recognizer: Recognizer) -> None:
    owners = (recognizer_module, expressions, recognizer, recognizer._networks.expression)
    before = [vars(owner).copy() for owner in owners]
    faces = recognizer(FACES)
    with pytest.raises(KeyboardInterrupt), timed_stages(recognizer, TickingClock()):
        raise KeyboardInterrupt
    assert [vars(owner) for owner in owners] == before
    assert recognizer(FACES) == faces

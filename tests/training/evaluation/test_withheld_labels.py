"""Labels that change and are not withheld, counted at several thresholds, and the faces of two versions."""

import pytest

from training.evaluation.withheld_labels import Answer, UntouchedFace, counts, shared_faces

BOX = (10.0, 10.0, 50.0, 50.0)
SURE, UNSURE, COVERED = (
    Answer("happiness", 0.9, False),
    Answer("happiness", 0.5, False),
    Answer("happiness", 0.9, True),
)


def _changed(answer: Answer) -> Answer:
    return answer._replace(label="neutral")


FACES = [
    UntouchedFace(0, BOX, SURE, [("dark", _changed(SURE)), ("dark", UNSURE), ("cut", None)]),
    UntouchedFace(0, BOX, UNSURE, [("dark", _changed(UNSURE)), ("dark", SURE), ("cut", _changed(COVERED))]),
    UntouchedFace(1, BOX, COVERED, []),
]


# threshold -> answered, and (tried, found, kept, changed, share) of both changes
@pytest.mark.parametrize(
    ("threshold", "answered", "dark", "cut"),
    [
        (0.0, 2, (4, 4, 4, 2, 0.5), (2, 1, 0, 0, None)),
        (0.5, 2, (4, 4, 4, 2, 0.5), (2, 1, 0, 0, None)),
        (0.6, 1, (2, 2, 1, 1, 1.0), (1, 0, 0, 0, None)),
    ],
)
def test_a_threshold_withholds_untouched_faces_and_changed_ones(
    threshold: float, answered: int, dark: tuple[object, ...], cut: tuple[object, ...]
) -> None:
    result = counts(FACES, threshold)
    assert result["answered"] == answered
    assert {name: tuple(row.values()) for name, row in result["changes"].items()} == {
        "dark": dark,
        "cut": cut,
    }


def test_nothing_is_answered_above_every_confidence() -> None:
    assert counts(FACES, 0.95) == {"answered": 0, "changes": {}}


def test_the_same_face_overlaps_most_in_the_same_photograph() -> None:
    others = [
        (1, (200.0, 10.0, 240.0, 50.0)),
        # 30 x 40 px in common, of 50 x 40: 0.6.
        (0, (20.0, 10.0, 60.0, 50.0)),
        # 36 x 40 of 44 x 40: 0.82.
        (0, (14.0, 10.0, 54.0, 50.0)),
    ]
    assert shared_faces(FACES, others) == [2, 2, None]
    assert shared_faces(FACES, others[:2]) == [1, 1, None]
    # 20 x 40 of 60 x 40: a third.
    assert shared_faces(FACES[:1], [(0, (30.0, 10.0, 70.0, 50.0))]) == [None]
    assert shared_faces(FACES[:1], []) == [None]

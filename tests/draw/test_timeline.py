"""The timeline of a stream: each colour is where it was, as high as its probability."""

import numpy as np
import pytest
from made_faces import face

from fer_edge.draw import Timeline, colour_of
from fer_edge.draw.style import GREY
from fer_edge.draw.timeline import EMPTY, ROW_PX, WIDTH_PX, clock_time
from fer_edge.result import Face
from fer_edge.stream import Skipped, StreamFace, StreamResult

LABELS = ("neutral", "happiness", "sadness")


def _face(number: int, *probabilities: float, reason: str | None = None) -> StreamFace:
    shares = dict(zip(LABELS, probabilities, strict=True))
    plain = face((0, 0, 9, 9), abstain_reason=reason)
    values = {name: getattr(plain, name) for name in Face.__dataclass_fields__} | {"probabilities": shares}
    return StreamFace(**values, id=number, expression=None, is_fresh=True)


def _timeline(*frames: tuple[float, list[StreamFace]]) -> np.ndarray:
    timeline = Timeline(LABELS)
    for index, (time, faces) in enumerate(frames):
        timeline.add(StreamResult(index, time, None, tuple(faces), (), None, Skipped(), 0))
    return timeline.picture()


def _row(picture: np.ndarray, number: int = 0) -> np.ndarray:
    """The rectangle of one row, without the text beside it, [ROW_PX, COLUMNS, 3]."""
    is_filled = (picture[:, WIDTH_PX - 40] != picture[0, 0]).any(axis=1)
    starts = np.flatnonzero(np.diff(is_filled.astype(int)) == 1) + 1
    top = [start for start in starts if is_filled[start : start + ROW_PX].all()][number]
    # The text beside the row is lower than its upper edge.
    columns = np.flatnonzero((picture[top] != picture[0, 0]).any(axis=1))
    return picture[top : top + ROW_PX, columns.min() : columns.max() + 1]


def _share(pixels: np.ndarray, colour: tuple[int, int, int]) -> float:
    return float((pixels == colour).all(axis=-1).mean())


def test_the_area_of_a_colour_is_its_mean_probability() -> None:
    picture = _timeline(*((k / 10, [_face(1, 0.5, 0.25, 0.25)]) for k in range(20)))
    row = _row(picture)
    assert picture.shape[1] == WIDTH_PX
    for label, share in zip(LABELS, (0.5, 0.25, 0.25), strict=True):
        assert _share(row, colour_of(label, LABELS)) == pytest.approx(share, abs=0.02)
    # From below in the order of the labels.
    assert tuple(row[-1, 500]) == colour_of("neutral", LABELS)
    assert tuple(row[0, 500]) == colour_of("sadness", LABELS)


@pytest.mark.parametrize("frames", [10, 100, 5000])
def test_a_change_is_at_its_time_whatever_the_frame_rate(frames: int) -> None:
    sad, happy = (0.0, 0.0, 1.0), (0.0, 1.0, 0.0)
    row = _row(
        _timeline(
            *((10 * k / frames, [_face(1, *(sad if k < 0.3 * frames else happy))]) for k in range(frames))
        )
    )
    is_sad = (row[50] == colour_of("sadness", LABELS)).all(axis=1)
    assert is_sad.mean() == pytest.approx(0.3, abs=0.01)
    assert is_sad[: int(0.29 * len(is_sad))].all()


def test_a_face_is_empty_where_it_was_not_seen() -> None:
    happy = (0.0, 1.0, 0.0)
    frames = []
    for k in range(100):
        faces = [_face(7, *happy)] if 25 <= k < 50 else []
        frames.append((k / 25, [_face(3, *happy), *faces]))
    picture = _timeline(*frames)
    assert _share(_row(picture, 0), EMPTY) == 0
    row = _row(picture, 1)[50]
    assert _share(row, EMPTY) == pytest.approx(0.75, abs=0.01)
    seen = np.flatnonzero((row != EMPTY).any(axis=1)) / len(row)
    assert (seen.min(), seen.max()) == pytest.approx((0.25, 0.5), abs=0.01)


def test_a_bar_marks_where_the_face_abstains() -> None:
    def grey(reason: str | None) -> int:
        faces = [_face(1, 1.0, 0.0, 0.0, reason=reason)]
        return int((_timeline((0.0, faces), (0.1, faces)) == GREY).all(axis=-1).sum())

    # The legend has the sign too.
    assert grey("face covered") > 20 * grey(None) > 0


def test_many_faces_are_counted_and_the_longest_shown() -> None:
    frames = [(0.0, [_face(k, 1.0, 0.0, 0.0) for k in range(1, 60)])]
    few = _timeline((0.0, frames[0][1][:30]))
    assert _timeline(*frames).shape == few.shape


def test_without_faces_or_frames_it_is_a_picture() -> None:
    assert _timeline().shape == _timeline((0.0, []), (1.0, [])).shape
    assert _timeline().dtype == np.uint8


@pytest.mark.parametrize(
    ("seconds", "step", "text"),
    [(0.4, 0.2, "0.4 s"), (7, 1, "7 s"), (65, 5, "1:05"), (65.5, 0.5, "1:05.5"), (7265, 60, "2:01:05")],
)
def test_times_are_readable(seconds: float, step: float, text: str) -> None:
    assert clock_time(seconds, step) == text

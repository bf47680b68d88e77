"""Annotated pictures: kinds of frames, where colours are, errors, and the time that drawing takes."""

import statistics
import time

import cv2
import numpy as np
import pytest
from made_faces import arranged, face, grid
from skimage import data

from fer_edge.draw import annotate, colour_of, layout_labels, text_colour_on
from fer_edge.draw.style import GREY
from fer_edge.result import Box, Face

GROUND = 90
HAPPY = colour_of("happiness", ())


def _picture(height: int, width: int) -> np.ndarray:
    return np.full((height, width, 3), GROUND, np.uint8)


def _is(drawn: np.ndarray, colour: tuple[int, ...]) -> np.ndarray:
    return (drawn == np.array(colour)).all(axis=2)


def test_the_frame_stays_and_a_new_picture_is_returned() -> None:
    frame = _picture(480, 640)
    drawn = annotate(frame, [face((200, 200, 300, 300))])
    assert (frame == GROUND).all()
    assert drawn.shape == frame.shape
    assert drawn.dtype == np.uint8
    np.testing.assert_array_equal(drawn, annotate(frame, [face((200, 200, 300, 300))]))
    assert (annotate(frame, []) == GROUND).all()


def test_grey_and_nv12_frames_give_bgr_pictures() -> None:
    bgr = cv2.cvtColor(data.astronaut(), cv2.COLOR_RGB2BGR)
    grey = cv2.cvtColor(bgr, cv2.COLOR_BGR2GRAY)
    faces = [face((180, 60, 270, 180))]
    np.testing.assert_array_equal(
        annotate(grey, faces), annotate(cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR), faces)
    )
    # Y, then U and V of 2 x 2 pixels in turn; cv2 writes them as planes.
    planes = cv2.cvtColor(bgr, cv2.COLOR_BGR2YUV_I420)
    chroma = planes[512:].reshape(2, -1).T.reshape(256, 512)
    nv12 = np.concatenate([planes[:512], chroma])
    drawn = annotate(nv12, [], layout="nv12")
    assert drawn.shape == bgr.shape
    # Chroma has half the resolution, and all is rounded.
    assert np.abs(drawn.astype(int) - bgr).mean() < 4
    assert _is(annotate(nv12, faces, layout="nv12"), HAPPY).any()


def test_a_view_of_a_frame_is_taken_as_it_is() -> None:
    wide = _picture(480, 1280)
    faces = [face((200, 200, 300, 300))]
    expected = annotate(_picture(480, 640), faces)
    np.testing.assert_array_equal(annotate(wide[:, ::-2], faces), expected)
    np.testing.assert_array_equal(annotate(np.asfortranarray(_picture(480, 640)[..., 0]), faces), expected)


def test_out_holds_the_result_and_may_be_the_frame() -> None:
    frame, faces = _picture(480, 640), [face((200, 200, 300, 300))]
    expected, out = annotate(frame, faces), np.zeros((480, 640, 3), np.uint8)
    assert annotate(frame, faces, out=out) is out
    np.testing.assert_array_equal(out, expected)
    assert annotate(frame, faces, out=frame) is frame
    np.testing.assert_array_equal(frame, expected)


@pytest.mark.parametrize("scale", [2, 3])
def test_a_scaled_picture_has_everything_at_its_place(scale: int) -> None:
    shown = face((60, 80, 160, 200), id=3)
    drawn = annotate(_picture(240, 320), [shown], scale=scale)
    assert drawn.shape == (240 * scale, 320 * scale, 3)
    for x, y in (*shown.landmarks, (60, 140), (110, 199.9)):
        assert tuple(drawn[int(y * scale), int(x * scale)]) == HAPPY


def test_box_and_landmarks_are_at_their_places_with_a_dark_rim() -> None:
    shown = face((100, 200, 300, 400))
    drawn = annotate(_picture(720, 1280), [shown], charts=False)
    middle = drawn[300, :600]
    colours = np.flatnonzero(_is(middle[None], HAPPY)[0])
    # The line is 2 px wide, inside the box; the rims are 1 px.
    assert colours.tolist() == [100, 101, 298, 299]
    assert np.flatnonzero((middle == 0).all(axis=1)).tolist() == [99, 102, 297, 300]
    for x, y in shown.landmarks:
        assert tuple(drawn[round(y), round(x)]) == HAPPY
        assert drawn[round(y), round(x) + 4].max() < GROUND
    # The face between them does not change, nor does anything far away.
    assert (drawn[290:310, 110:170] == GROUND).all()
    assert (drawn[450:] == GROUND).all()
    assert (drawn[:, 400:] == GROUND).all()


def test_small_faces_have_no_landmarks() -> None:
    drawn = annotate(_picture(480, 640), [face((200, 200, 250, 250))])
    assert (drawn[203:247, 203:247] == GROUND).all()


def test_a_face_that_is_not_trusted_is_grey_and_dashed() -> None:
    drawn = annotate(_picture(720, 1280), [face((100, 200, 300, 400), "fear", "face covered")])
    assert not _is(drawn, colour_of("fear", ())).any()
    for line in (drawn[200:400, 100:101], drawn[399:400, 100:300].transpose(1, 0, 2)):
        dashes = _is(line, GREY)[:, 0]
        assert dashes[0]
        assert dashes[-1]
        assert 0.4 < dashes.mean() < 0.6
        # More than three dashes: a change at both ends of each gap.
        assert np.count_nonzero(dashes[1:] != dashes[:-1]) >= 6
    assert (line[~dashes] == GROUND).any()


@pytest.mark.parametrize("label", ["happiness", "sadness"])
def test_text_is_written_on_a_ground_of_the_colour(label: str) -> None:
    shown, frame = face((100, 200, 300, 400), label), _picture(720, 1280)
    drawn = annotate(frame, [shown], charts=False)
    placed = layout_labels(1280, 720, [shown]).labels[0]
    assert placed is not None
    x0, y0, x1, y1 = placed.area
    plate, ground = drawn[y0 + 1 : y1 - 1, x0 + 1 : x1 - 1], colour_of(label, ())
    ink = text_colour_on(ground)
    assert 0.5 < _is(plate, ground).mean() < 0.9
    assert 0.03 < _is(plate, ink).mean() < 0.4
    # The text keeps a distance from the edge.
    assert _is(plate[[0, -1]], ground).all()
    assert _is(plate[:, [0, -1]], ground).all()


def test_a_chart_has_a_bar_for_each_expression() -> None:
    shown = face((100, 200, 300, 400))
    drawn = annotate(_picture(720, 1280), [shown])
    area = layout_labels(1280, 720, [shown]).charts[0]
    assert area is not None
    x0, y0, x1, y1 = area
    chart = drawn[y0:y1, x0:x1]
    assert (chart[0] == GROUND >> 3).all()
    bars = {label: _is(chart, colour_of(label, ())) for label in shown.probabilities if label != "neutral"}
    lengths = {label: int(bar.sum(axis=1).max()) for label, bar in bars.items()}
    assert min(lengths.values()) >= 1
    assert lengths["happiness"] / lengths["fear"] == pytest.approx(0.7 / (0.3 / 7), rel=0.15)
    tops = [np.flatnonzero(bar.any(axis=1))[0] for bar in bars.values()]
    assert tops == sorted(tops)


@pytest.mark.parametrize("name", ["group", "crowd of 20", "nested", "picture full of faces"])
def test_nothing_is_drawn_over_a_label(name: str) -> None:
    faces = arranged(name, 720)
    drawn = annotate(_picture(720, 1280), faces)
    for shown, label in zip(faces, layout_labels(1280, 720, faces).labels, strict=True):
        if label is None:
            continue
        x0, y0, x1, y1 = label.area
        plate = drawn[y0 + 1 : y1 - 1, x0 + 1 : x1 - 1].astype(int)
        ground = np.array(GREY if shown.abstain_reason else colour_of(shown.label, ()))
        ink = np.array(text_colour_on(tuple(ground.tolist())))
        # Each pixel is a mixture of ground and text.
        assert (plate >= np.minimum(ground, ink) - 1).all()
        assert (plate <= np.maximum(ground, ink) + 1).all()
        assert (plate == ground).all(axis=2).mean() > 0.4


def test_labels_of_a_users_own_model_are_drawn() -> None:
    labels = [f"label {number}" for number in range(20)]
    shown = Face((10, 10, 90, 90), (), 1.0, labels[-1], 0.5, dict.fromkeys(labels, 0.05))
    assert annotate(np.zeros((200, 640, 3), np.uint8), [shown]).any()


def _box_of_ints() -> Box:
    return 10, 10, 60, 60


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"frame": None}, TypeError, r"frame must be a NumPy array.*got None"),
        ({"frame": _picture(4, 4) / 255}, TypeError, "multiply by 255 and cast"),
        ({"scale": 0}, ValueError, "scale must be a positive whole number, got 0"),
        ({"scale": 1.5}, ValueError, "scale must be a positive whole number, got 1.5"),
        ({"layout": "rgb"}, ValueError, "layout must be one of bgr, grey, nv12"),
        ({"out": [1]}, TypeError, r"out must be .*uint8 array \[480, 640, 3\], got list"),
        ({"out": np.zeros((480, 640, 3))}, TypeError, "got float64"),
        ({"out": _picture(640, 480)}, ValueError, r"got \[640, 480, 3\]; np.empty\(\(480, 640, 3\)"),
        ({"out": _picture(480, 1280)[:, ::2]}, ValueError, "C-contiguous"),
        ({"scale": 2, "out": _picture(480, 640)}, ValueError, r"\[960, 1280, 3\]"),
    ],
)
def test_wrong_arguments_are_named(changes: dict[str, object], error: type, message: str) -> None:
    arguments = {"frame": _picture(480, 640), "faces": [face(_box_of_ints())]} | changes
    with pytest.raises(error, match=message):
        annotate(**arguments)


@pytest.mark.parametrize(("columns", "rows", "limit_ms"), [(1, 1, 60), (4, 2, 100), (8, 5, 250)])
def test_drawing_is_fast(columns: int, rows: int, limit_ms: float) -> None:
    faces = [face(box) for box in grid(columns, rows, 70, 0.8, 20, 40)]
    frame = _picture(720, 1280)
    out, times = np.empty_like(frame), []
    for _ in range(6):
        # Of this process, so that other load counts less. The limits are about ten times the usual value.
        start = time.process_time()
        annotate(frame, faces, out=out)
        times.append(1000 * (time.process_time() - start))
    assert statistics.median(times[1:]) < limit_ms

"""When the recogniser withholds a label, and what it makes of a network's logits."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from onnx import GraphProto, helper, numpy_helper
from tiny import EXPRESSION_SPEC, checked_graph, expression_graph, frame_with_cells

from fer_edge import ModelError, Recognizer
from fer_edge.models import ModelSpec

MakeRecognizer = Callable[..., Recognizer]


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"min_eye_px": 12.5}, "face too small"),
        ({"max_turn": 0.001}, "face too far turned"),
        ({"min_sharpness": 50}, "face too blurred"),
        ({"min_confidence": 0.99}, "expression unclear"),
        ({"min_eye_px": 11.5, "max_turn": 5, "min_sharpness": 1e-4, "min_confidence": 0.2}, None),
    ],
)
def test_abstentions(make_recognizer: MakeRecognizer, settings: dict[str, float], reason: str | None) -> None:
    (face,) = make_recognizer(**settings)(frame_with_cells((10, 7)))
    assert face.abstain_reason == reason
    assert face.label == "neutral"


@pytest.mark.parametrize("cell", [(10, 31), (10, 0), (0, 7), (39, 7)])
def test_a_face_cut_by_the_frame_is_withheld(make_recognizer: MakeRecognizer, cell: tuple[int, int]) -> None:
    frame = frame_with_cells(cell)
    (face,) = make_recognizer()(frame)
    assert face.abstain_reason == "face cut by the frame"
    (allowed,) = make_recognizer(max_outside=0.9)(frame)
    assert allowed.abstain_reason is None
    # A crop that was cut elsewhere has no frame around it.
    (given,) = make_recognizer().recognize_crops([frame], np.array([face.landmarks]))
    assert given.abstain_reason is None


def test_logits_that_are_not_finite_name_the_network(
    make_recognizer: MakeRecognizer, write_model: Callable[..., Path]
) -> None:
    # Adds sqrt(0.01 - brightness) to the logits: finite for the empty input of the warm-up, NaN for a face.
    graph = expression_graph()
    graph.initializer.append(numpy_helper.from_array(np.array([[0.01]], np.float32), "limit"))
    gemm = graph.node[-1]
    gemm.output[0] = "finite"
    for kind, inputs, output in (
        ("Sub", ["limit", "flat"], "left"),
        ("Sqrt", ["left"], "root"),
        ("Add", ["finite", "root"], "logits"),
    ):
        graph.node.append(helper.make_node(kind, inputs, [output]))
    model = write_model(graph, EXPRESSION_SPEC)
    with pytest.raises(ModelError, match=f"{model.name} must return finite logits"):
        make_recognizer(model=model)(frame_with_cells((10, 7)))


def test_min_confidence_of_the_model(
    make_recognizer: MakeRecognizer, write_model: Callable[..., Path]
) -> None:
    model = write_model(expression_graph(), replace(EXPRESSION_SPEC, min_confidence=0.99))
    frame = frame_with_cells((10, 7))
    (unsure,) = make_recognizer(model=model, min_confidence=None)(frame)
    (trusted,) = make_recognizer(model=model, min_confidence=0.1)(frame)
    assert (unsure.abstain_reason, trusted.abstain_reason) == ("expression unclear", None)


def test_confidence_has_a_temperature_of_its_own(
    make_recognizer: MakeRecognizer, write_model: Callable[..., Path]
) -> None:
    model = write_model(expression_graph(), replace(EXPRESSION_SPEC, confidence_temperature=0.5))
    frame = frame_with_cells((10, 7))
    (plain,), (sharper,) = make_recognizer()(frame), make_recognizer(model=model)(frame)
    assert sharper.probabilities == plain.probabilities
    squares = np.square(list(plain.probabilities.values()))
    assert sharper.confidence == pytest.approx(squares.max() / squares.sum(), rel=1e-5)


CHECKED = replace(EXPRESSION_SPEC, max_covered=0.5, max_rolled=0.9)
# Striped, so that their exposure is not corrected.
DARK = np.tile(np.array([0, 60], np.uint8), (16, 8))
BRIGHT = DARK + 170


def test_the_crop_check_of_a_network_withholds_covered_and_rolled_faces(
    make_recognizer: MakeRecognizer, write_model: Callable[..., Path]
) -> None:
    recognizer = make_recognizer(model=write_model(checked_graph(), CHECKED))
    bright, dark = recognizer.recognize_crops([BRIGHT, DARK])
    assert (bright.label, bright.abstain_reason) == ("happiness", "face covered")
    assert (dark.label, dark.abstain_reason) == ("neutral", "face rolled too far")


def test_settings_overrule_the_limits_of_the_crop_check(
    make_recognizer: MakeRecognizer, write_model: Callable[..., Path]
) -> None:
    # Rolled: 4 - 8 * 30 / 255, a probability of 0.955. Covered: 8 * 200 / 255 - 4, 0.907.
    model = write_model(checked_graph(), CHECKED)
    for given, reason in ((0.95, "face rolled too far"), (0.96, None)):
        (face,) = make_recognizer(model=model, max_rolled=given).recognize_crops([DARK])
        assert face.abstain_reason == reason
    for given, reason in ((0.9, "face covered"), (0.91, None)):
        (face,) = make_recognizer(model=model, max_covered=given).recognize_crops([BRIGHT])
        assert face.abstain_reason == reason
    with pytest.raises(ValueError, match="max_covered must be at least 0, got -1"):
        make_recognizer(model=model, max_covered=-1)


@pytest.mark.parametrize(
    ("graph", "spec", "wanted"),
    [
        (expression_graph, CHECKED, r"float32 \[2, 8\], float32 \[2, 2\], got float32 \[2, 8\]"),
        (checked_graph, EXPRESSION_SPEC, r"float32 \[2, 8\], got float32 \[2, 8\], float32 \[2, 2\]"),
    ],
)
def test_a_spec_that_does_not_fit_the_outputs_is_refused(
    make_recognizer: MakeRecognizer,
    write_model: Callable[..., Path],
    graph: Callable[[], GraphProto],
    spec: ModelSpec,
    wanted: str,
) -> None:
    with pytest.raises(ModelError, match=wanted):
        make_recognizer(model=write_model(graph(), spec))

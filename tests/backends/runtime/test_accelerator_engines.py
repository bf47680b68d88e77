"""Engines of `fer-edge build --dla`, which take one input size only.

The double has no accelerator; what it stands in for is the one size.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tensorrt_double import TensorRT, write_engine
from test_recognizer_on_gpu import frame_with_faces

from fer_edge import ModelError, Recognizer, models
from fer_edge.backends.engines.key import Options

Make = Callable[..., Recognizer]


@pytest.fixture
def fixed_size(on_gpu: Make, engines: Path, detector_file: Path, expression_file: Path) -> Make:
    """Makes recognisers on engines for an accelerator."""
    for path, role in ((detector_file, "detector"), (expression_file, "expression")):
        write_engine(engines, models.load(path, role), Options(dla_core=0))  # type: ignore[arg-type]
    return on_gpu


def test_they_answer_as_the_cpu(fixed_size: Make, make_recognizer: Make) -> None:
    frame = frame_with_faces(3)
    assert frame.shape == (256, 320)
    expected = make_recognizer()(frame)
    assert len(expected) == 3
    assert fixed_size()(frame) == expected


@pytest.mark.parametrize("rows", [256, 240, 180, 64])
def test_a_wider_frame_is_padded(
    fixed_size: Make, make_recognizer: Make, tensorrt: TensorRT, rows: int
) -> None:
    frame = frame_with_faces(1)[:rows]
    assert fixed_size()(frame) == make_recognizer()(frame)
    assert {context.input_shape for context in tensorrt.contexts} <= {(1, 1, 256, 320), (1, 1, 16, 16)}


@pytest.mark.parametrize(("shape", "needs"), [((320, 256), "320, 256"), ((320, 320), "320, 320")])
def test_a_frame_that_needs_a_larger_input(
    fixed_size: Make, engines: Path, shape: tuple[int, int], needs: str
) -> None:
    message = (
        rf"{engines}/\S+\.plan takes inputs of \[1, 1, 256, 320\] to \[1, 1, 256, 320\], "
        rf"got \[1, 1, {needs}\]; build it without --dla"
    )
    recognizer = fixed_size()
    with pytest.raises(ModelError, match=message):
        recognizer(np.zeros(shape, np.uint8))
    # It goes on with frames that fit.
    assert recognizer(np.zeros((240, 320), np.uint8)) == []

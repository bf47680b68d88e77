"""Softmax with temperature: a distribution for any logits."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from fer_edge.stages.calibrate import softmax

LOGITS = arrays(np.float32, st.tuples(st.integers(0, 5), st.just(8)), elements=st.floats(-300, 300, width=32))
TEMPERATURES = st.floats(0.25, 4)


@given(LOGITS, TEMPERATURES)
def test_rows_are_distributions(logits: np.ndarray, temperature: float) -> None:
    probabilities = softmax(logits, temperature)
    assert probabilities.dtype == np.float32
    assert probabilities.shape == logits.shape
    assert (probabilities >= 0).all()
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)


@given(LOGITS, TEMPERATURES, st.integers(-200, 200))
def test_a_shift_of_all_logits_changes_nothing(logits: np.ndarray, temperature: float, shift: int) -> None:
    # Whole numbers, so that the shift itself rounds nothing away.
    logits = np.round(logits)
    moved = logits + np.float32(shift)
    np.testing.assert_allclose(softmax(moved, temperature), softmax(logits, temperature), rtol=1e-5)


def test_known_values_and_temperature() -> None:
    logits = np.log(np.array([[1, 2, 5]], np.float32))
    np.testing.assert_allclose(softmax(logits, 1.0), [[0.125, 0.25, 0.625]], rtol=1e-6)
    np.testing.assert_allclose(softmax(logits, 0.5), np.array([[1, 4, 25]]) / 30, rtol=1e-6)


def test_huge_logits_do_not_overflow() -> None:
    for largest, temperature in ((1e38, 1.0), (3e38, 1.0), (3e38, 1e-9), (1.0, 1e-9)):
        logits = np.array([[largest, -largest]], np.float32)
        np.testing.assert_array_equal(softmax(logits, temperature), [[1, 0]])

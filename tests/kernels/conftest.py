"""Fixtures of the tests of Triton's kernels."""

import pytest

from fer_edge.kernels.jit.launch import Plan


@pytest.fixture
def nan_in_new_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fills scratch and outputs with NaN, to detect values that a kernel does not write, or reads first."""
    empty = Plan.empty_tensor
    monkeypatch.setattr(Plan, "empty_tensor", lambda *arguments: empty(*arguments).fill_(float("nan")))

"""Fixtures of the tests of Triton's kernels."""

import pytest

from fer_edge.kernels.jit.launch import Plan


@pytest.fixture
def nan_in_new_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Scratch and outputs begin as NaN: what a kernel leaves unwritten, or reads before, shows."""
    empty = Plan.empty_tensor
    monkeypatch.setattr(Plan, "empty_tensor", lambda *arguments: empty(*arguments).fill_(float("nan")))

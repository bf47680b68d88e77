"""Fixtures of the tests of Triton's kernels."""

import pytest

from fer_edge.kernels.jit.launch import Buffer


@pytest.fixture
def nan_in_new_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Scratch and outputs begin as NaN: what a kernel leaves unwritten, or reads before, shows."""
    empty = Buffer.empty
    monkeypatch.setattr(Buffer, "empty", lambda *arguments: empty(*arguments).fill_(float("nan")))

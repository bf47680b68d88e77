"""Fixtures of the tests of the kernels, which run in `make test-compile`, because emulation is slow."""

from pathlib import Path

import pytest

from fer_edge.kernels.jit.launch import Plan

FOLDER = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks the tests of this folder; the hook is given those of all folders."""
    for item in items:
        if FOLDER in item.path.parents:
            item.add_marker(pytest.mark.compiles)


@pytest.fixture
def nan_in_new_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fills scratch and outputs with NaN, to detect values that a kernel does not write, or reads first."""
    empty = Plan.empty_tensor
    monkeypatch.setattr(Plan, "empty_tensor", lambda *arguments: empty(*arguments).fill_(float("nan")))

"""benchmarks.layers: layers, their multiply-adds, and both tables."""

import sys
from pathlib import Path

import numpy as np
import pytest
from tiny import detector_graph

from benchmarks import layers
from benchmarks.layers import Layer, product, profile, tables


def test_the_layers_of_the_tiny_detector(detector_file: Path) -> None:
    found = profile(detector_file.read_bytes(), np.zeros((2, 1, 64, 96), np.float32), runs=3)
    convolutions = [layer for layer in found if layer.operator == "Conv"]
    assert len(convolutions) == sum(node.op_type == "Conv" for node in detector_graph().node) == 3
    # Each of 15 filters covers its stride squared, and the strides tile the picture. On most processors the
    # engine adds a filter, because it computes blocks of 8 or 16.
    assert {layer.madds for layer in convolutions} <= {15 * 2 * 64 * 96, 16 * 2 * 64 * 96}
    assert all(layer.ms > 0 for layer in found)


def test_a_matrix_product() -> None:
    (layer,) = profile(*product(), runs=1)
    assert layer.madds == layers.PRODUCT_SIDE**3


def test_tables() -> None:
    network = [
        Layer("a", "Conv", 3.0, 6_000_000),
        Layer("b", "Add", 1.0, 0),
        Layer("c", "Conv", 4.0, 8_000_000),
    ]
    lines = tables(network, peak=4e6, largest=1).splitlines()
    assert lines[0] == (
        "8.00 ms in 3 layers; 14.0 million multiply-adds; a large matrix product reaches 4.0 billion a second"
    )
    assert lines[4:6] == ["| Conv | 2 | 7.000 | 87.5% | 2.0 | 50% |", "| Add | 1 | 1.000 | 12.5% | - | - |"]
    assert lines[-1] == "| c | Conv | 4.000 | 50.0% | 2.0 | 50% |"


def test_the_command(
    expression_file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["layers", str(expression_file), "--largest", "2"])
    layers.main()
    out = capsys.readouterr().out
    assert "multiply-adds; a large matrix product reaches" in out
    assert out.count("\n| ") >= 5

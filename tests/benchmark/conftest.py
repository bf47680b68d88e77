"""Fixtures of the benchmark: `fer-edge benchmark` on the tiny networks."""

from collections.abc import Callable
from pathlib import Path

import pytest

from fer_edge.cli import main

Benchmark = Callable[..., tuple[int, str, str]]


@pytest.fixture
def benchmark(detector_file: Path, expression_file: Path, capsys: pytest.CaptureFixture[str]) -> Benchmark:
    """Runs `fer-edge benchmark` with the tiny networks and few queries; returns code, output and errors."""

    def run(*arguments: object) -> tuple[int, str, str]:
        capsys.readouterr()
        few = ("--seconds", 0.02, "--queries", 3)
        models = ("--model", expression_file, "--detector", detector_file)
        code = main(["benchmark", *map(str, (*models, *few, *arguments))])
        return code, *capsys.readouterr()

    return run

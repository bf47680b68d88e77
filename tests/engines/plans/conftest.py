"""Real plans of the embedded models, built once for a session and copied for the tests that damage them."""

import shutil
from pathlib import Path
from types import ModuleType

import pytest

from fer_edge import models
from fer_edge.backends.engines.plans import plan_for
from fer_edge.backends.engines.products import target_for
from fer_edge.backends.engines.progress import Progress
from fer_edge.models import ModelFile

NAMES = ("face-luma", "tkfnet-nano-float32")


@pytest.fixture(scope="session")
def detector() -> ModelFile:
    """The embedded detector."""
    return models.read(models.WEIGHTS / "face-luma.onnx")


@pytest.fixture(scope="session")
def reported() -> list[Progress]:
    """The progress of the builds of `built`."""
    return []


@pytest.fixture(scope="session")
def built(tensorrt: ModuleType, tmp_path_factory: pytest.TempPathFactory, reported: list[Progress]) -> Path:
    """A folder with plans of the embedded float32 models, for desktop GPUs."""
    folder = tmp_path_factory.mktemp("built")
    folder.chmod(0o700)
    for name in NAMES:
        model = models.read(models.WEIGHTS / f"{name}.onnx")
        plan_for(model, target_for("rtx"), folder, report=reported.append)
    return folder


@pytest.fixture
def folder(built: Path, tmp_path: Path) -> Path:
    """A copy of `built` that a test may damage."""
    copy = tmp_path / "engines"
    shutil.copytree(built, copy)
    return copy

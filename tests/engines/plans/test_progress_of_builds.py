"""Progress and cancellation of real builds."""

import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import CancelledError
from pathlib import Path
from types import ModuleType

import pytest

from fer_edge.backends.engines.plan_files import read_plan
from fer_edge.backends.engines.plans import plan_for
from fer_edge.backends.engines.products import target_for
from fer_edge.backends.engines.progress import Progress
from fer_edge.models import ModelFile

pytestmark = pytest.mark.engines

# Runs `fer-edge build face-luma` into argv[1] and sends this process a signal at its tenth report.
SIGNAL_DURING_BUILD = """
import os, sys
from fer_edge.cli import build, main
show, reports = build.ProgressDisplay.__call__, []
def call(self, progress):
    show(self, progress)
    reports.append(progress)
    if len(reports) == 10:
        os.kill(os.getpid(), int(sys.argv[2]))
build.ProgressDisplay.__call__ = call
sys.exit(main(["build", "face-luma", "--for", "rtx", "--out", sys.argv[1]]))
"""


@pytest.mark.usefixtures("built")
def test_the_builder_reports_its_phases(reported: list[Progress]) -> None:
    assert {"Building engine", "Optimizing graph", "Timing tactics"} <= {p.phase for p in reported}
    starts = [i for i, p in enumerate(reported) if p.share == 0 and p.phase == "Building engine"]
    for start, end in zip(starts, [*starts[1:], len(reported)], strict=True):
        shares = [p.share for p in reported[start:end]]
        assert shares == sorted(shares)
        assert len(set(shares)) > 50
        assert shares[-1] == 1
        assert [p.left_s is None for p in reported[start:end]] == [share < 0.05 for share in shares]


def test_a_build_can_be_cancelled(tensorrt: ModuleType, detector: ModelFile, tmp_path: Path) -> None:
    cancelled, reports = threading.Event(), []

    def cancel_soon(progress: Progress) -> None:
        reports.append(progress)
        if len(reports) == 5:
            cancelled.set()

    with pytest.raises(CancelledError):
        plan_for(detector, target_for("rtx"), tmp_path / "e", report=cancel_soon, cancelled=cancelled)
    # The builder stops at the next step, it does not run to its end.
    assert len(reports) < 50
    assert [path.name for path in (tmp_path / "e").iterdir()] == [".lock"]
    assert plan_for(detector, target_for("rtx"), tmp_path / "e").data


def test_an_error_of_the_report_stops_the_build_and_is_raised(
    tensorrt: ModuleType, detector: ModelFile, tmp_path: Path
) -> None:
    def fail(progress: Progress) -> None:
        raise LookupError(progress.phase)

    with pytest.raises(LookupError, match="Building engine"):
        plan_for(detector, target_for("rtx"), tmp_path / "e", report=fail)


def _build_with_signal(folder: Path, number: int) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", SIGNAL_DURING_BUILD, folder, str(number)]
    return subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ})


def test_ctrl_c(tensorrt: ModuleType, tmp_path: Path) -> None:
    done = _build_with_signal(tmp_path / "e", signal.SIGINT)
    assert done.returncode == 130
    assert "Traceback" not in done.stderr
    assert [path.name for path in (tmp_path / "e").iterdir()] == [".lock"]


def test_a_killed_build_leaves_nothing_in_the_way(
    tensorrt: ModuleType, detector: ModelFile, tmp_path: Path
) -> None:
    assert _build_with_signal(tmp_path / "e", signal.SIGKILL).returncode == -signal.SIGKILL
    plan_for(detector, target_for("rtx"), tmp_path / "e")
    assert read_plan(tmp_path / "e", "face-luma").sidecar.key.model_sha256 == detector.sha256

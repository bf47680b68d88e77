"""Progress from nested phases, as TensorRT reports them."""

import pytest

from fer_edge.backends.engines.progress import Phases, Progress


@pytest.fixture
def seen() -> list[Progress]:
    """What was reported."""
    return []


def test_inner_phases_advance_the_outermost(seen: list[Progress]) -> None:
    phases = Phases(seen.append)
    phases.started("build", None, 4)
    phases.advanced("build", 0)
    assert seen[-1].share == 0.25
    phases.started("tactics", "build", 2)
    phases.started("nodes", "tactics", 2)
    phases.advanced("nodes", 0)  # half of the first half of the second quarter
    assert seen[-1].share == pytest.approx(0.25 + 0.25 * 0.5 * 0.5)
    assert seen[-1].phase == "nodes"
    phases.finished("nodes")
    phases.finished("tactics")
    assert seen[-1].share == pytest.approx(0.5)
    phases.finished("build")
    assert seen[-1].share == 1
    assert seen[-1].left_s == 0


def test_the_share_never_falls(seen: list[Progress]) -> None:
    phases = Phases(seen.append)
    phases.started("build", None, 2)
    for name in ("a", "b", "c"):
        phases.started(name, "build", 1)
        phases.finished(name)
    shares = [progress.share for progress in seen]
    assert shares == sorted(shares)
    assert max(shares) == 0.5


def test_the_time_left_is_unknown_at_first(seen: list[Progress]) -> None:
    phases = Phases(seen.append)
    phases.started("build", None, 100)
    phases.advanced("build", 3)
    assert [progress.left_s for progress in seen] == [None, None]
    phases.advanced("build", 49)
    assert seen[-1].left_s == pytest.approx(seen[-1].elapsed_s)


def test_phases_without_steps_and_unknown_phases(seen: list[Progress]) -> None:
    phases = Phases(seen.append)
    phases.started("empty", None, 0)
    phases.advanced("never started", 1)
    phases.finished("never started")
    phases.finished("empty")
    assert [progress.share for progress in seen] == [0, 0]


def test_an_error_of_the_report_is_kept_for_the_caller() -> None:
    def fail(progress: Progress) -> None:
        raise ValueError(progress.phase)

    phases = Phases(fail)
    phases.started("build", None, 1)
    phases.advanced("build", 0)
    assert isinstance(phases.error, ValueError)
    assert phases.error.args == ("build",)

"""A run with a made clock: rows, their figures, and the energy of each."""

from collections.abc import Callable
from pathlib import Path

import pytest
from ticking import TickingClock

from fer_edge.benchmark.measure.power import Watts
from fer_edge.benchmark.run import Run
from fer_edge.benchmark.settings import Settings

# Tiny: a turn of 50 calls.
FEW = {"queries": 100, "seconds": 0.05}


class CountingClock(TickingClock):
    """A millisecond passes with each look at it, so that each query takes one."""

    def __call__(self) -> float:
        self.now += 1e-3
        return self.now


class ConstantMeter:
    """A double of a power meter: 5 W. There is none in this machine."""

    name = "double"

    def start(self) -> None:
        self._readings: list[Watts] = []

    def poll(self) -> None:
        self._readings.append({"VDD_IN": 5.0, "VDD_SOC": 1.0})

    def stop(self) -> list[Watts]:
        return self._readings


@pytest.fixture
def settings(expression_file: Path, detector_file: Path) -> Callable[..., Settings]:
    """Settings with the tiny networks."""

    def make(**changes: object) -> Settings:
        return Settings(
            **{"models": [str(expression_file)], "detector": str(detector_file), **FEW, **changes}
        )

    return make


def test_the_rows_of_the_networks(settings: Callable[..., Settings]) -> None:
    scenarios = ["SingleStream", "MultiStream", "Offline"]
    run = Run(settings(scenarios=scenarios, batches=[2, 4], threads=[1, 2]), clock=CountingClock())
    rows = run.result().rows
    assert [(row.scenario, row.batch, row.threads) for row in rows] == [
        *(("SingleStream", 1, threads) for threads in (1, 2)),
        *(("MultiStream", 8, threads) for threads in (1, 2)),
        *(("Offline", batch, threads) for batch in (2, 4) for threads in (1, 2)),
    ]
    for row in rows:
        assert (row.subject, row.model, row.precision) == ("network", "bright-is-happy", "float32")
        assert row.queries >= 100
        assert row.ms["p50"] == pytest.approx(1.0)
        assert row.rate == pytest.approx(1000 * row.batch)
        assert row.rate_95 == pytest.approx((row.rate, row.rate), rel=1e-3)
        assert row.unstable == ()
        assert (row.watts, row.joules_per_face) == (None, None)


def test_energy_is_that_of_a_face(settings: Callable[..., Settings]) -> None:
    run = Run(settings(scenarios=["MultiStream"]), clock=CountingClock(), meter=ConstantMeter())
    result = run.result()
    (row,) = result.rows
    assert result.context["power_meter"] == "double"
    assert row.watts == 5.0
    # 8 faces a query, which takes one look at the clock here.
    assert row.joules_per_face == pytest.approx(5.0 * 1e-3 / 8)


def test_progress_names_the_scenario(settings: Callable[..., Settings]) -> None:
    seen: list[tuple[str, float]] = []
    run = Run(
        settings(scenarios=["SingleStream"]), lambda name, share: seen.append((name, share)), CountingClock()
    )
    run.result()
    assert {name for name, _ in seen} == {"SingleStream"}
    assert seen[-1][1] == 1


def test_a_result_holds_no_path_of_the_user(settings: Callable[..., Settings], tmp_path: Path) -> None:
    photo = tmp_path / "secret-place" / "me.jpg"
    stated = Run(settings(scenarios=[], photo=photo)).result().settings
    assert stated["photo"] == "me.jpg"
    assert "secret-place" not in repr(stated)


def test_quick_asks_for_a_tenth() -> None:
    full, quick = Settings().limits("SingleStream"), Settings(quick=True).limits("SingleStream")
    assert (full.queries, quick.queries) == (1024, 102)
    assert quick.seconds < full.seconds
    assert Settings(queries=7).limits("EndToEnd").queries == 7
    assert [Settings(quick=q).limits("ColdStart").queries for q in (False, True)] == [10, 2]

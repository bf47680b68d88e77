"""What is said before a build. Builds, and what becomes of plans that do not fit: tests/engines/plans."""

from pathlib import Path

import pytest
from made_plans import make_plan

from fer_edge.backends.engines import plans
from fer_edge.backends.engines.products import target_for


@pytest.mark.parametrize(
    ("name", "target", "text"),
    [
        ("face", "rtx", " (the last build took 12 s)"),
        ("other", "rtx", ""),
        ("other", "this", ", which can take minutes"),
    ],
)
def test_about_how_long_a_build_takes_is_said(tmp_path: Path, name: str, target: str, text: str) -> None:
    product = "tensorrt" if target == "this" else None
    assert (
        plans._duration(make_plan(tmp_path / "engines").path.parent, name, target_for(target, product))
        == text
    )

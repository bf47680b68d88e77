"""The dry run of the kernel benchmark without a GPU, and the calculated costs."""

import json
import sys
from pathlib import Path

import pytest

from benchmarks import kernels
from benchmarks.kernel.cases import CASES
from benchmarks.kernel.costs import GPUS, Part, costs

pytestmark = [pytest.mark.slow, pytest.mark.compiles]


def run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr(sys, "argv", ["kernels", *map(str, arguments)])
    return kernels.main()


def test_a_dry_run_runs_all_cases_and_states_that_it_measures_nothing(monkeypatch, tmp_path, capsys):
    path = tmp_path / "kernels.json"
    chosen = ("token_attention", "conv-cut", "warp_normalize")
    assert run(monkeypatch, "--dry-run", "--batch", 1, "--json", path, "--only", *chosen) == 0
    result = json.loads(path.read_text())
    assert result["context"]["gpu"] is None
    assert "the times are not measurements" in result["context"]["dry_run"]
    assert [row["case"] for row in result["rows"]] == [
        "token_attention 256 x 4 x 4",
        "conv-cut",
        "warp_normalize 16 faces from 1080p",
    ]
    ways = {"eager", "eager_graph", "compile_best", "triton_eager", "triton_graph"}
    for row in result["rows"][:2]:
        assert set(row["times"]) == ways
        times = {name: timing["median_us"] for name, timing in row["times"].items()}
        best = min(times["eager_graph"], times["compile_best"])
        assert row["speed_up"] == {"triton_graph": best / times["triton_graph"]}
    assert len(capsys.readouterr().out.splitlines()) == 3


def test_without_a_gpu_it_fails_with_the_reason(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    path = tmp_path / "kernels.json"
    assert run(monkeypatch, "--json", path) == 1
    assert "no CUDA device" in capsys.readouterr().out
    assert not Path(path).exists()


def test_a_dry_run_without_the_interpreter_is_refused(monkeypatch, capsys):
    monkeypatch.delenv("TRITON_INTERPRET")
    with pytest.raises(SystemExit, match="2"):
        run(monkeypatch, "--dry-run")
    assert "TRITON_INTERPRET=1" in capsys.readouterr().err


# With several images PyTorch also copies the tokens and the mixed heads.
@pytest.mark.parametrize(("images", "attention_launches"), [(1, 10), (8, 13)])
def test_costs_are_those_of_the_formulas(images, attention_launches):
    found = {case.name: costs(case, images) for case in CASES}
    cost = found["multi_branch_attention 512 x 7 x 7"]
    products = [part["flops"] for part in cost["parts"] if part["name"] in ("convolution", "addmm")]
    channels, rows = 512, images * 49
    depthwise, pointwise, project, merge = (
        2 * rows * macs for macs in (18 * channels, 4 * channels**2, 2 * channels**2, channels**2)
    )
    assert sorted(products) == sorted([2 * images * channels**2, depthwise, pointwise, project, merge])
    assert cost["launches"] == {"eager": 16, "fused": 3}
    assert found["dcif 512 x 7 x 7"]["launches"] == {"eager": 13, "fused": 1}
    assert found["token_attention 256 x 4 x 4"]["launches"] == {
        "eager": attention_launches,
        "fused": 2,
    }
    for cost in found.values():
        assert cost["bytes"]["least"] <= cost["bytes"]["fused"] < cost["bytes"]["eager"]


def test_the_roofline_is_the_slower_of_memory_and_arithmetic():
    gpu = GPUS["H200"]
    assert Part("copy", 1, int(gpu.bandwidth)).seconds(gpu) == pytest.approx(1.0)
    assert Part("product", int(2 * gpu.arithmetic), 1).seconds(gpu) == pytest.approx(2.0)

"""Logit adjustment: the strengths, the choice among them, and the adjusted network."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from training import adjust_logits as module
from training.data.split import load_prepared
from training.loop.checkpoint import load_checkpoint, model_from_checkpoint


def test_the_frequencies_are_those_of_the_labels(prepared: Path) -> None:
    split = load_prepared(prepared, "train")
    logs = module.log_frequencies(split)
    assert np.exp(logs) == pytest.approx([(split.labels == k).mean() for k in range(8)])
    with pytest.raises(ValueError, match="must have rows of all classes, got none of fear"):
        module.log_frequencies(split.take(split.labels != 6))


def test_the_cost_of_each_strength(prepared: Path) -> None:
    valid = load_prepared(prepared, "valid").take(slice(4))
    # Three neutral rows and one of happiness, with logits that are 0.5 apart.
    votes = np.eye(8, dtype=np.float32)[[0, 0, 0, 1]]
    logits = torch.zeros(4, 8)
    logits[:, 0], logits[:2, 0] = 0.5, 2
    logs = np.array([0.0, -1, 0, 0, 0, 0, 0, 0])
    rows = {
        row["strength"]: row for row in module.measure_strengths(logits, replace(valid, votes=votes), logs)
    }
    # From a strength of 0.5 on, happiness has the larger logit where neutral leads by 0.5.
    assert (rows[0.4]["accuracy"], rows[0.4]["balanced"]) == (0.75, 0.5)
    assert (rows[0.75]["accuracy"], rows[0.75]["balanced"]) == pytest.approx((0.75, 5 / 6))
    assert rows[0.75]["mean"] == pytest.approx((0.75 + 5 / 6) / 2)


@pytest.mark.parametrize(("largest_loss", "strength"), [(0.0, 0.0), (1.0, 0.1), (1.5, 0.1), (5.0, 0.3)])
def test_the_best_mean_within_the_allowed_loss(largest_loss: float, strength: float) -> None:
    rows = [
        {"strength": 0.0, "accuracy": 0.800, "mean": 0.70},
        {"strength": 0.1, "accuracy": 0.792, "mean": 0.72},
        {"strength": 0.2, "accuracy": 0.788, "mean": 0.71},
        {"strength": 0.3, "accuracy": 0.760, "mean": 0.74},
    ]
    assert module.choose_strength(rows, largest_loss) == strength


def test_the_adjusted_checkpoint_gives_adjusted_logits(
    checkpoint: Path,
    prepared: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "new" / "checkpoint.pt"
    report = tmp_path / "reports" / "report.json"
    arguments = [
        str(checkpoint),
        str(prepared),
        "--strength",
        "0.3",
        "--out",
        str(out),
        "--json",
        str(report),
    ]
    monkeypatch.setattr(sys, "argv", ["adjust_logits", *arguments])
    module.main()
    printed = capsys.readouterr().out
    assert "| strength | accuracy | balanced | mean |" in printed
    assert printed.endswith("strength: 0.3\n")
    assert [row["strength"] for row in json.loads(report.read_text())["valid"]] == list(module.STRENGTHS)
    x = torch.randn(5, 1, 64, 64, generator=torch.Generator().manual_seed(1))
    logs = torch.from_numpy(module.log_frequencies(load_prepared(prepared, "train"))).float()
    with torch.no_grad():
        before, after = model_from_checkpoint(checkpoint)(x), model_from_checkpoint(out)(x)
    assert torch.allclose(after, before - 0.3 * logs, atol=1e-5)
    assert load_checkpoint(out)["logit_adjustment"] == 0.3

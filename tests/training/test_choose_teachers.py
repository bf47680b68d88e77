"""Comparing ensembles of teachers, on given probabilities."""

from pathlib import Path

import pytest
import torch

from training.choose_teachers import choices
from training.data.split import load_prepared


def test_every_choice_has_a_row_and_the_best_comes_first(prepared: Path):
    split = load_prepared(prepared, "valid")
    right = torch.eye(8)[torch.from_numpy(split.labels)] * 0.5 + 0.0625
    wrong = right.roll(1, dims=1)
    rows = choices([wrong, right], ["wrong", "right"], split)
    assert rows[0]["teachers"] == "right"
    assert {row["teachers"] for row in rows} == {"wrong", "right", "wrong + right"}
    assert [rows[0]["valid_accuracy"], rows[-1]["valid_accuracy"]] == [1, 0]
    votes = torch.from_numpy(split.votes)
    by_hand = -(votes * ((wrong + right) / 2).log()).sum(1).mean().item()
    (mixed,) = (row for row in rows if row["teachers"] == "wrong + right")
    assert mixed["valid_loss"] == pytest.approx(by_hand, rel=1e-5)

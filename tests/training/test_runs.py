"""The training loops: short runs through the functions of the commands."""

import json
import shutil
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from training import train as module
from training.data.split import load_prepared, save
from training.evaluation.inference import module_outputs
from training.loop.batches import draw_rows
from training.loop.checkpoint import load_checkpoint, model_from_checkpoint
from training.loop.settings import Settings
from training.train import train

Interrupt = Callable[[object, str], AbstractContextManager[None]]
SHORT = Settings(
    epochs=3,
    batch_size=16,
    warmup_steps=2,
    lr=5e-3,
    early_share=0.3,
    final_aug_strength=0.0,
    precision="float32",
    options={"widths": (16, 16, 32)},
)


def weights(out: Path) -> dict[str, torch.Tensor]:
    return load_checkpoint(out / "checkpoint.pt")["ema"]


def log(out: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def whole_run(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("whole")
    train(prepared, out, SHORT)
    return out


@pytest.mark.slow
def test_a_run_leaves_log_curves_and_checkpoint(whole_run: Path):
    records = log(whole_run)
    assert [r["epoch"] for r in records] == [1, 2, 3]
    assert records[2]["train_loss"] < records[0]["train_loss"]
    assert 0 <= records[2]["valid_accuracy"] <= 1
    assert 0 < records[2]["data_wait_share"] < 1
    assert records[2]["images_per_second"] > 1
    assert (whole_run / "curves.png").stat().st_size > 5000


@pytest.mark.slow
def test_a_checkpoint_knows_its_network(whole_run: Path, prepared: Path):
    model = model_from_checkpoint(whole_run / "checkpoint.pt")
    assert not model.training
    logits = module_outputs(model, load_prepared(prepared, "valid"))
    assert logits.shape == (160, 8)
    assert model.trunk[0].out_channels == 16


@pytest.mark.slow
def test_validation_uses_the_alignment_of_training(
    prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    valid = load_prepared(prepared, "valid")
    answers = []
    monkeypatch.setattr(module, "validation_metrics", lambda logits, _: answers.append(logits) or {})
    monkeypatch.setattr(module, "draw_curves", lambda *_: None)
    train(prepared, tmp_path, replace(SHORT, epochs=1, aligned=False))
    model = model_from_checkpoint(tmp_path / "checkpoint.pt")
    torch.testing.assert_close(answers[0], module_outputs(model, valid, aligned=False), rtol=0, atol=1e-6)
    assert (answers[0] - module_outputs(model, valid)).abs().max() > 1e-5


@pytest.mark.slow
def test_a_resumed_run_ends_with_the_same_weights(
    whole_run: Path, prepared: Path, tmp_path: Path, interrupted_after: Interrupt
):
    with interrupted_after(module, "save_checkpoint"):
        train(prepared, tmp_path, SHORT)
    with pytest.raises(ValueError, match=r"written with other settings \(lr: 0.005 there, 0.1 here\)"):
        train(prepared, tmp_path, replace(SHORT, lr=0.1))
    changed = tmp_path / "changed"
    shutil.copytree(prepared, changed)
    split = load_prepared(prepared, "train")
    for name in ("images", "votes", "landmarks"):
        # The same rows, prepared in another way.
        save(replace(split, **{name: getattr(split, name)[::-1]}), changed / "train.npz")
        with pytest.raises(
            ValueError, match=r"written with other settings \(data: '\w+' there, '\w+' here\)"
        ):
            train(changed, tmp_path, SHORT)
    train(prepared, tmp_path, SHORT)
    for name, value in weights(whole_run).items():
        torch.testing.assert_close(weights(tmp_path)[name], value, rtol=1e-4, atol=1e-5, msg=name)


def test_seeds_differ_and_rare_classes_are_drawn_more_often(prepared: Path):
    split = load_prepared(prepared, "train")
    first, again = (np.concatenate(draw_rows(split.votes, SHORT, 0)) for _ in range(2))
    other = np.concatenate(draw_rows(split.votes, replace(SHORT, seed=1), 0))
    np.testing.assert_array_equal(first, again)
    assert (other != first).any()
    rare = load_prepared(prepared, "train")
    rare.votes[:] = np.eye(8)[np.where(np.arange(len(rare)) < 150, 0, 5)]
    drawn = np.concatenate(
        [
            np.concatenate(draw_rows(rare.votes, replace(SHORT, batch_size=1, class_balance_power=0.3), e))
            for e in range(20)
        ]
    )
    assert (drawn >= 150).mean() > 1.5 * 10 / len(rare)


@pytest.mark.slow
def test_validation_and_checkpoints_every_few_epochs_and_after_the_last(prepared: Path, tmp_path: Path):
    train(prepared, tmp_path, replace(SHORT, validate_every=2), limit=32)
    assert [record["epoch"] for record in log(tmp_path)] == [2, 3]
    assert load_checkpoint(tmp_path / "checkpoint.pt")["epoch"] == 2
    with pytest.raises(ValueError, match="validate_every must be at least 1 epoch, got 0"):
        train(prepared, tmp_path, replace(SHORT, validate_every=0), limit=32)


@pytest.mark.slow
def test_every_setting_of_the_loss_trains(prepared: Path, tmp_path: Path):
    settings = replace(
        SHORT,
        epochs=1,
        mixup_prob=0.5,
        cutmix_prob=0.5,
        logit_adjustment_tau=1.0,
        aligned=False,
        precision="bfloat16",
    )
    train(prepared, tmp_path, settings, limit=32)
    assert np.isfinite(log(tmp_path)[0]["train_loss"])


def test_logit_adjustment_raises_the_loss_of_rare_classes(prepared: Path):
    split = load_prepared(prepared, "train")
    split.votes[:] = np.eye(8)[np.where(np.arange(len(split)) < 150, 0, 5)]
    run = module.make_run(
        split.votes, replace(SHORT, logit_adjustment_tau=1.0), module.Process(torch.device("cpu"))
    )
    undecided = torch.zeros(1, 8)
    often, seldom = (
        module.loss_of_batch(undecided, module.Batch(undecided, torch.eye(8)[k : k + 1], None), run)
        for k in (0, 5)
    )
    # The rare class needs a larger logit for the same loss.
    assert seldom > often + 1


@pytest.mark.slow
def test_the_command_line_reads_configs_and_changes(
    prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    changes = ["--set", "epochs=1", "--set", "batch_size=8", "--set", "options.width=4", "--seed", "3"]
    arguments = [
        "train",
        str(prepared),
        "--config",
        "tkfnet-18-slim",
        "--out",
        str(tmp_path),
        "--limit",
        "16",
    ]
    monkeypatch.setattr(sys, "argv", [*arguments, *changes])
    module.main()
    settings = load_checkpoint(tmp_path / "checkpoint.pt")["settings"]
    assert (settings["model"], settings["epochs"], settings["seed"]) == ("tkfnet", 1, 3)
    assert settings["options"] == {"size": 56, "width": 4, "dropout": 0.2}

"""The training loops: short runs through the functions of the commands."""

import json
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

from fer_edge import models
from training import distill
from training import train as module
from training.data.crops import MEAN, SCALE, inputs_from_split, normalised
from training.data.split import load_prepared, save
from training.distill import make_views
from training.evaluation.inference import module_outputs
from training.loop.batches import draw_rows, load_teacher_views
from training.loop.checkpoint import load_checkpoint, model_from_checkpoint
from training.loop.settings import Settings
from training.train import train

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


class StoppedError(Exception):
    """Raised by `interrupted_after`."""


@contextmanager
def interrupted_after(owner: object, name: str) -> Iterator[None]:
    """Stops what runs in the block after the first call of a function of ``owner``."""
    function = getattr(owner, name)

    def stop(*arguments: object) -> None:
        function(*arguments)
        raise StoppedError

    with pytest.MonkeyPatch.context() as patch, pytest.raises(StoppedError):
        patch.setattr(owner, name, stop)
        yield


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
def test_a_resumed_run_ends_with_the_same_weights(whole_run: Path, prepared: Path, tmp_path: Path):
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


@pytest.fixture(scope="module")
def views(whole_run: Path, prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("views")
    make_views([load_prepared(prepared, "train")], [whole_run / "checkpoint.pt"] * 2, out, 2, 64, [0.5])
    return out


@pytest.mark.slow
def test_views_hold_the_teachers_probabilities(views: Path, whole_run: Path, prepared: Path):
    stored = load_teacher_views(views, load_prepared(prepared, "train"))
    assert stored.images.shape == (2, 160, 64, 64)
    assert (stored.images[0] != stored.images[1]).any()
    teacher = model_from_checkpoint(whole_run / "checkpoint.pt")
    x = normalised(torch.from_numpy(stored.images[1, :16].copy())[:, None])
    expected = (teacher(x).softmax(1) + teacher(x.flip(3)).softmax(1)).detach().numpy() / 2
    # The views are labelled in bfloat16 and stored in float16.
    np.testing.assert_allclose(stored.teacher[1, :16], expected, atol=0.03)


def test_an_exported_file_is_a_teacher(prepared: Path, tmp_path: Path):
    split = load_prepared(prepared, "train").take(slice(16))
    network = models.WEIGHTS / "tkfnet-nano-float32.onnx"
    make_views([split], [network], tmp_path, 1, 64, [0.5])
    x = normalised(torch.from_numpy(np.load(tmp_path / "images.npy")[0])[:, None])
    session = onnxruntime.InferenceSession(network, providers=["CPUExecutionProvider"])
    logits = [session.run(["logits"], {"input": view.numpy()})[0] for view in (x, x.flip(3))]
    expected = torch.from_numpy(np.stack(logits)).softmax(2).mean(0)
    np.testing.assert_allclose(np.load(tmp_path / "teacher.npy")[0], expected, atol=1e-3)


def test_views_that_were_stopped_in_the_first_one_are_refused(prepared: Path, tmp_path: Path):
    split = load_prepared(prepared, "train").take(slice(16))
    with interrupted_after(distill, "teacher_probabilities"):
        make_views([split], [models.WEIGHTS / "tkfnet-nano-float32.onnx"], tmp_path, 2, 64, [0.5])
    assert np.load(tmp_path / "images.npy").shape == (2, 16, 64, 64)
    with pytest.raises(
        FileNotFoundError, match=r"views\.json does not exist; run python -m training\.distill"
    ):
        train(prepared, tmp_path / "student", SHORT, limit=16, views=tmp_path)


def test_views_take_the_strengths_in_turn(prepared: Path, tmp_path: Path):
    split = load_prepared(prepared, "train").take(slice(16))
    make_views([split], [models.WEIGHTS / "tkfnet-nano-float32.onnx"], tmp_path, 4, 64, [0.9, 0.0])
    images = np.load(tmp_path / "images.npy")
    plain = ((inputs_from_split(split, 64) / SCALE) + MEAN).round().clip(0, 255)[:, 0]
    # Without distortion a view is the crop, or its mirror image.
    difference = np.minimum(*(np.abs(images - crops).max((2, 3)) for crops in (plain, plain[..., ::-1])))
    assert difference[1::2].max() <= 1
    assert (difference[::2] > 10).mean() > 0.5


@pytest.mark.slow
def test_interrupted_views_are_continued(views: Path, whole_run: Path, prepared: Path, tmp_path: Path):
    def make() -> None:
        make_views(
            [load_prepared(prepared, "train")], [whole_run / "checkpoint.pt"] * 2, tmp_path, 2, 64, [0.5]
        )

    with interrupted_after(distill, "_write_json"):
        make()
    first = np.load(tmp_path / "images.npy")
    assert not first[1].any()
    with pytest.raises(ValueError, match=r"must hold 2 views, got 1, .*run it again with the same arguments"):
        train(prepared, tmp_path / "student", SHORT, views=tmp_path)
    make()
    np.testing.assert_array_equal(np.load(tmp_path / "images.npy"), np.load(views / "images.npy"))
    np.testing.assert_array_equal(np.load(tmp_path / "teacher.npy"), np.load(views / "teacher.npy"))


@pytest.mark.slow
def test_a_student_learns_from_views(views: Path, prepared: Path, tmp_path: Path):
    train(prepared, tmp_path, replace(SHORT, distill_weight=1.0, mixup_prob=0.2), views=views)
    records = log(tmp_path)
    assert records[-1]["train_loss"] < records[0]["train_loss"]


@pytest.mark.slow
def test_unlabelled_faces_are_learnt_from_the_teachers_alone(whole_run: Path, prepared: Path, tmp_path: Path):
    labelled = load_prepared(prepared, "train")
    unlabelled = labelled.take(np.arange(24))
    unlabelled.votes[:] = 0
    out = tmp_path / "views"
    out.mkdir()
    make_views([labelled, unlabelled], [whole_run / "checkpoint.pt"], out, 1, 64, [0.5])
    stored = load_teacher_views(out, labelled)
    assert stored.images.shape == (1, 184, 64, 64)
    np.testing.assert_array_equal(stored.targets[:160], labelled.votes)
    np.testing.assert_allclose(stored.targets[160:], stored.teacher[0, 160:])
    run = module.make_run(
        stored.targets, replace(SHORT, distill_weight=0.0), module.Process(torch.device("cpu"))
    )
    logits, teacher = torch.randn(2, 8), torch.tensor(stored.teacher[0, 160:162]).float()
    votes = torch.stack([torch.zeros(8), torch.eye(8)[3]])
    loss = module.loss_of_batch(logits, module.Batch(logits, votes, teacher), run)
    expected = -(teacher[0] * logits[0].log_softmax(0)).sum() - logits[1].log_softmax(0)[3]
    torch.testing.assert_close(loss, expected / 2)
    train(prepared, tmp_path, replace(SHORT, epochs=1), views=out)
    assert np.isfinite(log(tmp_path)[0]["train_loss"])


@pytest.mark.slow
def test_views_of_other_rows_or_kinds_are_refused(
    views: Path, whole_run: Path, prepared: Path, tmp_path: Path
):
    with pytest.raises(ValueError, match="160 other rows than the 32"):
        train(prepared, tmp_path, SHORT, limit=32, views=views)
    with pytest.raises(FileNotFoundError, match=r"training\.distill"):
        train(prepared, tmp_path, SHORT, views=tmp_path)
    with pytest.raises(ValueError, match=r"other settings .*augment"):
        make_views([load_prepared(prepared, "train")], [whole_run / "checkpoint.pt"] * 2, views, 2, 64, [0.9])
    split = load_prepared(prepared, "train")
    split.landmarks[0] += 1
    with pytest.raises(ValueError, match=r"other settings \(data differ\)"):
        make_views([split], [whole_run / "checkpoint.pt"] * 2, views, 2, 64, [0.5])


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
    assert settings["options"] == {"size": 56, "width": 4, "dropout": 0.3}

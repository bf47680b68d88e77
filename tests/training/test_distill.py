"""Distillation: the views that teachers label, and the student that learns from them."""

import json
from collections.abc import Callable
from contextlib import AbstractContextManager
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
from training.data.split import load_prepared
from training.distill import make_views
from training.loop.batches import Batch, BatchLoader, TeacherViews, load_teacher_views
from training.loop.checkpoint import model_from_checkpoint
from training.loop.precision import PRECISIONS, autocast
from training.loop.settings import Settings
from training.train import train

Interrupt = Callable[[object, str], AbstractContextManager[None]]
SHORT = Settings(
    epochs=3, batch_size=16, warmup_steps=2, lr=5e-3, precision="float32", options={"widths": (16, 16, 32)}
)


def losses(out: Path) -> list[float]:
    return [json.loads(line)["train_loss"] for line in (out / "log.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def views(checkpoint: Path, prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("views")
    make_views([load_prepared(prepared, "train")], [checkpoint] * 2, out, 2, 64, [0.5])
    return out


@pytest.mark.slow
def test_views_hold_the_teachers_probabilities(views: Path, checkpoint: Path, prepared: Path):
    stored = load_teacher_views(views, load_prepared(prepared, "train"))
    assert stored.images.shape == (2, 160, 64, 64)
    assert (stored.images[0] != stored.images[1]).any()
    teacher = model_from_checkpoint(checkpoint)
    x = normalised(torch.from_numpy(stored.images[1, :16].copy())[:, None])
    expected = (teacher(x).softmax(1) + teacher(x.flip(3)).softmax(1)).detach().numpy() / 2
    # Stored in float16; labelled in bfloat16 on a GPU.
    np.testing.assert_allclose(
        stored.teacher[1, :16], expected, atol=0.03 if torch.cuda.is_available() else 5e-4
    )


@pytest.mark.slow
def test_a_teacher_may_answer_in_bfloat16(checkpoint: Path, prepared: Path, tmp_path: Path):
    split = load_prepared(prepared, "train").take(slice(16))
    answers = {}
    for precision in PRECISIONS:
        out = tmp_path / precision
        out.mkdir()
        make_views([split], [checkpoint], out, 1, 64, [0.5], precision=precision)
        answers[precision] = np.load(out / "teacher.npy").astype(np.float32)
    difference = np.abs(answers["float32"] - answers["bfloat16"]).max()
    assert 1e-4 < difference < 0.03
    with pytest.raises(ValueError, match=r"other settings \(precision differ\)"):
        make_views([split], [checkpoint], out, 1, 64, [0.5], precision="float32")


def test_an_unknown_precision_is_named():
    with pytest.raises(ValueError, match="precision must be one of float32, bfloat16, got 'bf16'"):
        autocast(torch.device("cpu"), "bf16")


def test_an_exported_file_is_a_teacher(prepared: Path, tmp_path: Path):
    split = load_prepared(prepared, "train").take(slice(16))
    network = models.WEIGHTS / "tkfnet-nano-float32.onnx"
    make_views([split], [network], tmp_path, 1, 64, [0.5])
    x = normalised(torch.from_numpy(np.load(tmp_path / "images.npy")[0])[:, None])
    session = onnxruntime.InferenceSession(network, providers=["CPUExecutionProvider"])
    logits = [session.run(["logits"], {"input": view.numpy()})[0] for view in (x, x.flip(3))]
    expected = torch.from_numpy(np.stack(logits)).softmax(2).mean(0)
    np.testing.assert_allclose(np.load(tmp_path / "teacher.npy")[0], expected, atol=1e-3)


def test_views_that_were_stopped_in_the_first_one_are_refused(
    prepared: Path, tmp_path: Path, interrupted_after: Interrupt
):
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
def test_interrupted_views_are_continued(
    views: Path, checkpoint: Path, prepared: Path, tmp_path: Path, interrupted_after: Interrupt
):
    def make() -> None:
        make_views([load_prepared(prepared, "train")], [checkpoint] * 2, tmp_path, 2, 64, [0.5])

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
    assert losses(tmp_path)[-1] < losses(tmp_path)[0]


@pytest.mark.slow
def test_unlabelled_faces_follow_the_labelled_ones(checkpoint: Path, prepared: Path, tmp_path: Path):
    labelled = load_prepared(prepared, "train")
    unlabelled = labelled.take(np.arange(24))
    unlabelled.votes[:] = 0
    out = tmp_path / "views"
    out.mkdir()
    make_views([labelled, unlabelled], [checkpoint], out, 1, 64, [0.5])
    stored = load_teacher_views(out, labelled)
    assert stored.images.shape == (1, 184, 64, 64)
    np.testing.assert_array_equal(stored.targets[:160], labelled.votes)
    np.testing.assert_allclose(stored.targets[160:], stored.teacher[0, 160:])
    train(prepared, tmp_path, replace(SHORT, epochs=1), views=out)
    assert np.isfinite(losses(tmp_path)[0])


@pytest.mark.parametrize("weight", [0.0, 0.7])
def test_unlabelled_rows_learn_from_the_teachers_alone_mixed_or_not(prepared: Path, weight: float):
    split, rng = load_prepared(prepared, "train").take(slice(32)), np.random.default_rng(0)
    # Each row has one grey level, by which it is found again.
    grey = np.broadcast_to(np.arange(64, dtype=np.uint8)[None, :, None, None] * 4, (1, 64, 64, 64)).copy()
    teacher = rng.dirichlet(np.ones(8), (1, 64)).astype(np.float16)
    votes = np.concatenate([split.votes, np.zeros((32, 8), np.float32)])
    stored = TeacherViews(grey, teacher, votes)
    settings = replace(SHORT, distill_weight=weight, early_size=0)
    run = module.make_run(stored.targets, settings, module.Process(torch.device("cpu")))

    def batches(mixup: float) -> list[Batch]:
        mixed = replace(settings, mixup_prob=mixup)
        return list(BatchLoader(split, mixed, 64, run.process, stored).epoch(0))

    kinds = set()
    for plain, mixed in zip(batches(0.0), batches(1.0), strict=True):
        levels, own = mixed.x[:, 0, 0, 0], plain.x[:, 0, 0, 0]
        rows = ((own / SCALE + MEAN) / 4).round().long()
        partner = torch.arange(len(rows)) ^ 1
        share = ((levels - own) / (own[partner] - own)).nan_to_num()[:, None]
        own_weight = torch.where(rows < 32, weight, 1.0)[:, None]
        wanted = (1 - own_weight) * torch.from_numpy(votes)[rows]
        wanted += own_weight * torch.from_numpy(teacher)[0, rows].float()
        assert_learns(wanted, plain, run)
        assert_learns(wanted + share * (wanted[partner] - wanted), mixed, run)
        assert torch.equal(mixed.votes.sum(1) > 0.5, rows < 32)
        kinds |= set(((rows < 32).int() - (rows[partner] < 32).int()).tolist())
    assert kinds == {-1, 0, 1}


def test_a_student_sees_half_of_the_views_mirrored(prepared: Path):
    split = load_prepared(prepared, "train").take(slice(32))
    # Dark on the left, bright on the right.
    ramp = np.broadcast_to(np.arange(64, dtype=np.uint8) * 3, (1, 32, 64, 64)).copy()
    stored = TeacherViews(ramp, np.full((1, 32, 8), 1 / 8, np.float16), split.votes)
    process = module.Process(torch.device("cpu"))
    loader = BatchLoader(split, replace(SHORT, early_size=0), 64, process, stored)
    batches = [batch.x for epoch in range(8) for batch in loader.epoch(epoch)]
    x = torch.cat(batches)
    mirrored = x[:, 0, 0, 0] > x[:, 0, 0, -1]
    ramps = torch.where(mirrored[:, None, None, None], x.flip(3), x)
    torch.testing.assert_close(ramps, normalised(torch.from_numpy(ramp[0])[:1, None].float()).expand_as(x))
    # 256 rows: eight standard deviations of a binomial of 1/2.
    assert abs(int(mirrored.sum()) - 128) < 64


def assert_learns(wanted: torch.Tensor, batch: Batch, run: module.Run) -> None:
    """The loss is the cross-entropy with these targets [n, 8], whatever the logits."""
    logits = torch.randn(wanted.shape, generator=torch.Generator().manual_seed(0))
    found = module.loss_of_batch(logits, batch, run)
    # The share of a pair is read from grey levels that are at least 0.06 apart, to 1e-6.
    torch.testing.assert_close(found, module.soft_cross_entropy(logits, wanted), rtol=0, atol=1e-4)


@pytest.mark.slow
def test_views_of_other_rows_or_kinds_are_refused(
    views: Path, checkpoint: Path, prepared: Path, tmp_path: Path
):
    with pytest.raises(ValueError, match="160 other rows than the 32"):
        train(prepared, tmp_path, SHORT, limit=32, views=views)
    with pytest.raises(FileNotFoundError, match=r"training\.distill"):
        train(prepared, tmp_path, SHORT, views=tmp_path)
    with pytest.raises(ValueError, match=r"other settings .*augment"):
        make_views([load_prepared(prepared, "train")], [checkpoint] * 2, views, 2, 64, [0.9])
    split = load_prepared(prepared, "train")
    split.landmarks[0] += 1
    with pytest.raises(ValueError, match=r"other settings \(data differ\)"):
        make_views([split], [checkpoint] * 2, views, 2, 64, [0.5])

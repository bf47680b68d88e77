"""The training loops: short runs from the command line's own functions."""

import json
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from training.ferplus import load_prepared
from training.run import Ema, cosine, load_checkpoint
from training.train import Settings, draw_batches, train
from training.train_detector import Settings as DetectorSettings
from training.train_detector import train as train_detector

SHORT = Settings(epochs=3, batch=16, warmup=2, rate=5e-3, small_share=0.3, calm=0.0)


def weights(out: Path) -> dict[str, torch.Tensor]:
    return load_checkpoint(out / "checkpoint.pt")["ema"]


@pytest.fixture(scope="module")
def whole_run(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("whole")
    train(prepared, out, SHORT, limit=None)
    return out


def test_a_run_leaves_log_curves_and_checkpoint(whole_run: Path):
    log = [json.loads(line) for line in (whole_run / "log.jsonl").read_text().splitlines()]
    assert [r["epoch"] for r in log] == [1, 2, 3]
    assert log[2]["train_loss"] < log[0]["train_loss"]
    assert 0 <= log[2]["valid_accuracy"] <= 1
    assert (whole_run / "curves.png").stat().st_size > 5000


def test_an_interrupted_run_goes_on_to_the_same_weights(whole_run: Path, prepared: Path, tmp_path: Path):
    class StoppedError(Exception):
        pass

    def stop_after_first_epoch(path: Path, content: dict[str, object]) -> None:
        save(path, content)
        raise StoppedError

    import training.train as module

    save = module.save_checkpoint
    module.save_checkpoint = stop_after_first_epoch
    try:
        with pytest.raises(StoppedError):
            train(prepared, tmp_path, SHORT, limit=None)
    finally:
        module.save_checkpoint = save
    train(prepared, tmp_path, SHORT, limit=None)
    for name, value in weights(whole_run).items():
        torch.testing.assert_close(weights(tmp_path)[name], value, rtol=1e-4, atol=1e-5, msg=name)


def test_seeds_differ_and_epochs_visit_the_rare(prepared: Path):
    split = load_prepared(prepared, "train")
    first, again = (np.concatenate(draw_batches(split, SHORT, 0)) for _ in range(2))
    other = np.concatenate(draw_batches(split, replace(SHORT, seed=1), 0))
    np.testing.assert_array_equal(first, again)
    assert (first[: len(other)] != other[: len(first)]).any()
    rare = load_prepared(prepared, "train")
    rare.votes[:] = np.eye(8)[np.where(np.arange(len(rare)) < 150, 0, 5)]
    drawn = np.concatenate(
        [np.concatenate(draw_batches(rare, replace(SHORT, batch=1), e)) for e in range(20)]
    )
    assert (drawn >= 150).mean() > 1.5 * 10 / len(rare)


def test_the_detector_trains_and_resumes(photographs: Path, tmp_path: Path):
    settings = DetectorSettings(epochs=1, epoch_size=16, batch=8, side=96)
    train_detector(photographs, tmp_path, settings, limit=None, workers=0)
    train_detector(photographs, tmp_path, replace(settings, epochs=2), limit=None, workers=0)
    log = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [r["epoch"] for r in log] == [1, 2]
    assert all(np.isfinite(r["total"]) for r in log)


def test_a_checkpoint_cannot_run_code(tmp_path: Path):
    class Evil:
        def __reduce__(self) -> tuple[object, ...]:
            return print, ("code ran",)

    path = tmp_path / "checkpoint.pt"
    torch.save({"ema": Evil()}, path)
    with pytest.raises(pickle.UnpicklingError):
        load_checkpoint(path)


def test_schedule_warms_up_and_ends_at_zero():
    factors = [cosine(k, 100, 10) for k in range(101)]
    assert factors[0] == pytest.approx(0.1)
    assert max(factors) == factors[10] == 1
    assert factors[100] == pytest.approx(0)


def test_average_follows_the_model():
    model, averaged = torch.nn.Linear(2, 2), torch.nn.Linear(2, 2)
    ema = Ema(model, averaged, decay=0.9)
    with torch.no_grad():
        model.weight.add_(1.0)
    before = ema.model.weight.clone()
    for _ in range(200):
        ema.update(model)
    assert not torch.allclose(before, model.weight)
    torch.testing.assert_close(ema.model.weight, model.weight, rtol=0, atol=1e-4)

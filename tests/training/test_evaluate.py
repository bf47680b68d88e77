"""The whole evaluation on synthetic faces: its files, its metrics, and its errors."""

import json
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from fer_edge import models
from training import evaluate
from training.data.split import LABELS, SPLITS, UNKNOWN, Split, load_prepared, random_rows, save
from training.evaluation import abstention, robustness
from training.evaluation import expression_metrics as metrics
from training.evaluation.distortions import DISTORTIONS
from training.evaluation.inference import logits_from_inputs, logits_from_split
from training.evaluation.plots import attention, features
from training.evaluation.predictions import accuracy_metrics, class_metrics, predict_splits
from training.evaluation.predictors import Predictor, predictor_from_file
from training.loop.settings import Settings
from training.models import build

pytestmark = pytest.mark.slow

ONNX = models.WEIGHTS / "tkfnet-nano.onnx"
ABOUT = {"command": "python -m training.evaluate", "commit": "abc1234", "data": "made"}


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("run") / "checkpoint.pt"
    options = {"widths": (16, 16, 16)}
    torch.manual_seed(0)
    weights = build("tkfnet-nano", **options).state_dict()
    torch.save({"ema": weights, "settings": asdict(Settings(options={"widths": [16, 16, 16]}))}, path)
    return path


@pytest.fixture(scope="module")
def splits(prepared: Path) -> tuple[Split, Split]:
    """Valid and test of 96 rows, with landmarks in every second one."""
    return tuple(with_landmarks(split) for split in evaluate.load_valid_and_test(prepared, 96))  # type: ignore[return-value]


def with_landmarks(split: Split) -> Split:
    points = np.array([(15, 19), (33, 19), (24, 28), (17, 36), (31, 36)], np.float32)
    rng = np.random.default_rng(0)
    landmarks = points + rng.normal(0, 1, (len(split), 5, 2)).astype(np.float32)
    landmarks[1::2] = np.nan
    return replace(split, landmarks=landmarks)


@pytest.fixture(scope="module")
def evaluated_folder(
    checkpoint: Path, splits: tuple[Split, Split], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """An evaluation of a checkpoint with all parts, but shortened curves."""
    out = tmp_path_factory.mktemp("evaluation")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(robustness, "DISTORTIONS", [replace(d, levels=d.levels[:2]) for d in DISTORTIONS])
        patch.setattr(abstention, "EYE_DISTANCES", (8,))
        patch.setattr(abstention, "BLURS", (0.0, 2.0))
        patch.setattr(features, "ROWS", 40)
        networks = [predictor_from_file(checkpoint), predictor_from_file(ONNX)]
        evaluate.evaluate(networks, splits, out, ABOUT, robustness_rows=32)
    return out


@pytest.mark.slow
def test_a_checkpoint_leaves_every_file(evaluated_folder: Path):
    pictures = {
        "confusion.png",
        "reliability.png",
        "vote_shares.png",
        "risk_coverage.png",
        "robustness.png",
        "features.png",
        "attention.png",
        "attention_mean.png",
    }
    assert {p.name for p in evaluated_folder.iterdir()} == pictures | {"metrics.json", "report.md"}
    report = (evaluated_folder / "report.md").read_text(encoding="utf-8")
    for name in pictures:
        assert f"]({name})" in report
    assert "nan" not in report.lower().split()


@pytest.mark.slow
def test_the_figures_fit_together(evaluated_folder: Path, splits: tuple[Split, Split]):
    result = json.loads((evaluated_folder / "metrics.json").read_text(encoding="utf-8"))
    test = splits[1]
    assert result["rows"] == 96
    assert result["counts"] == {n: int((test.labels == k).sum()) for k, n in enumerate(LABELS)}
    assert np.sum(result["confusion"]) == 96
    low, high = result["accuracy_95"]
    assert low <= result["accuracy"] <= high
    spec = result["spec"]
    assert set(spec) == {"temperature", "confidence_temperature", "min_confidence", "metrics"}
    for name, figure in (("temperature", "share_temperature"), ("confidence_temperature",) * 2):
        assert spec[name] == result[figure] == round(result[figure], 4)
    assert spec["min_confidence"] == result["abstention"]["min_confidence"]
    names = ("accuracy", "balanced_accuracy", "calibration_error", "accuracy_on_fer2013_labels")
    assert spec["metrics"] == {name: round(result[name], 4) for name in names}
    first, second = result["files"]
    assert first["accuracy"] == result["accuracy"]
    assert first["changed_labels"] == first["max_probability_difference"] == 0
    assert second["precision"] == models.read(ONNX).precision == "int8"
    assert second["changed_labels"] > 0
    assert set(second["spec"]) == set(spec)
    assert result["protocol"]["holds"]
    assert result["robustness_rows"] == 32
    assert result["feature_rows"] == 40
    assert result["attention_maps"] == ["tafe", "dcif"]
    assert result["context"]["model"]["settings"]["model"] == "tkfnet-nano"


def test_a_spec_of_the_figures_is_taken_by_a_model(evaluated_folder: Path):
    spec = json.loads((evaluated_folder / "metrics.json").read_text(encoding="utf-8"))["spec"]
    old = models.load(ONNX, "expression").spec
    new = replace(
        old,
        temperature=spec["temperature"],
        confidence_temperature=spec["confidence_temperature"],
        metrics=spec["metrics"],
    )
    assert models.ModelSpec.from_json(new.to_json()) == new


@pytest.mark.slow
def test_finished_parts_are_kept_after_a_failure(
    splits: tuple[Split, Split], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def fail(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(evaluate, "add_files", fail)
    with pytest.raises(MemoryError):
        evaluate.evaluate([predictor_from_file(ONNX)], splits, tmp_path, ABOUT, quick=True)
    assert json.loads((tmp_path / "metrics.json").read_text(encoding="utf-8"))["accuracy"] >= 0
    assert "## By expression" in (tmp_path / "report.md").read_text(encoding="utf-8")


def test_absent_classes_and_second_labels_are_left_out(splits: tuple[Split, Split]):
    valid, test = splits
    test = test.take(test.labels != 5)
    test = replace(test, single=np.full(len(test), UNKNOWN))
    predictions = predict_splits(predictor_from_file(ONNX), valid, test)
    figures, classes = accuracy_metrics(predictions), class_metrics(predictions)
    assert "accuracy_on_fer2013_labels" not in figures
    assert np.isnan(classes["recall"]["disgust"])
    recalls = [r for name, r in classes["recall"].items() if name != "disgust"]
    assert figures["balanced_accuracy"] == pytest.approx(np.mean(recalls))


def test_the_threshold_is_of_valid_alone():
    rng = np.random.default_rng(0)
    labels = {name: rng.integers(0, 8, 2000) for name in ("valid", "test")}
    logits = {n: rng.normal(size=(2000, 8)) + 2.5 * np.eye(8)[labels[n]] for n in labels}
    probabilities = {n: metrics.softmax(x) for n, x in logits.items()}
    figures = abstention.threshold_metrics(probabilities, labels)
    assert figures["valid"]["accuracy"] >= abstention.TARGET_ACCURACY
    assert figures["valid"]["accuracy"] == pytest.approx(abstention.TARGET_ACCURACY, abs=0.002)
    assert 0.3 < figures["valid"]["coverage"] < 0.95
    assert figures["test"]["accuracy"] == pytest.approx(abstention.TARGET_ACCURACY, abs=0.03)
    again = abstention.threshold_metrics({**probabilities, "test": probabilities["valid"]}, labels)
    assert again["min_confidence"] == figures["min_confidence"]


def test_a_threshold_that_nothing_reaches_keeps_nothing():
    wrong = {name: np.full((10, 8), 0.125) for name in ("valid", "test")}
    figures = abstention.threshold_metrics(wrong, {name: np.ones(10, int) for name in wrong})
    assert figures["min_confidence"] == 1
    assert figures["test"] == {"coverage": 0, "accuracy": None, "accuracy_95": None}


def test_a_file_answers_the_same_in_parts(splits: tuple[Split, Split], monkeypatch: pytest.MonkeyPatch):
    from training.data.crops import inputs_from_split
    from training.evaluation import inference

    network = predictor_from_file(ONNX)
    whole = logits_from_inputs(network.logits, inputs_from_split(splits[1], network.size))
    monkeypatch.setattr(inference, "BATCH", 7)
    np.testing.assert_allclose(logits_from_split(network.logits, splits[1], network.size), whole, atol=1e-5)


def test_other_crops_or_labels_are_refused(tmp_path: Path):
    for change, words in (
        ({"mean": 100.0}, "mean must be 129.0"),
        ({"labels": ("a", "b")}, "labels must be"),
    ):
        model = onnx.load(ONNX)
        spec = replace(models.load(ONNX, "expression").spec, **change)
        del model.metadata_props[:]
        model.metadata_props.add(key=models.METADATA_KEY, value=spec.to_json())
        onnx.save(model, tmp_path / "other.onnx")
        with pytest.raises(ValueError, match=words):
            predictor_from_file(tmp_path / "other.onnx")
    with pytest.raises(ValueError, match=r"a \.pt checkpoint or an \.onnx file"):
        predictor_from_file(tmp_path / "model.pth")


def test_the_clearest_row_of_each_class(splits: tuple[Split, Split]):
    rows = attention.clearest_rows(splits[1])
    labels = splits[1].labels[rows]
    assert labels.tolist() == sorted(set(splits[1].labels.tolist()))
    assert splits[1].found[rows].all()


def test_without_maps_nothing_is_drawn(splits: tuple[Split, Split], tmp_path: Path):
    module = build("tkfnet-nano", widths=(16, 16, 16), tafe="none", dcif=False).eval()
    paths = (tmp_path / "attention.png", tmp_path / "mean.png")
    assert attention.draw_attention(module, splits[1], LABELS, *paths) == []
    assert not any(path.exists() for path in paths)


def test_without_scikit_learn_the_error_has_the_pip_line(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "sklearn.manifold", None)
    with pytest.raises(ImportError, match="pip install scikit-learn"):
        features.coordinates_from_features(np.zeros((9, 4), np.float32))


@pytest.mark.slow
def test_a_wrong_choice_is_a_one_line_error(prepared: Path, tmp_path: Path):
    arguments = [str(ONNX), str(prepared), "--out", str(tmp_path), "--backend", "abacus"]
    command = [sys.executable, "-m", "training.evaluate", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "backend must be one of auto, onnxruntime" in done.stderr
    assert "Traceback" not in done.stderr


def reads_half_of_the_bars(x: np.ndarray) -> np.ndarray:
    """Logits that are right for the first four expressions of `prepared` and say neutral for the others; they
    depend on the batch where it shows both halves.
    """
    shown = x[:, 0, 6:46:5].mean(2).argmax(1)
    first = shown < 4
    logits = 5 * np.eye(8, dtype=np.float32)[np.where(first, shown, 0)]
    return logits + np.float32(0.01) * (first.any() and not first.all())


def test_parts_of_splits_sorted_by_class_show_every_class(
    prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    for name in SPLITS:
        split = load_prepared(prepared, name)
        split = replace(split, landmarks=np.full_like(split.landmarks, np.nan))
        save(split.take(np.argsort(split.labels, kind="stable")), tmp_path / f"{name}.npz")
    for split in evaluate.load_valid_and_test(tmp_path, 60):
        assert len(split) == 60
        assert len(np.unique(split.labels)) == 8
    monkeypatch.setattr(robustness, "DISTORTIONS", [replace(DISTORTIONS[0], levels=(DISTORTIONS[0].plain,))])
    monkeypatch.setattr(abstention, "EYE_DISTANCES", ())
    monkeypatch.setattr(abstention, "BLURS", ())
    monkeypatch.setattr(evaluate, "ROWS", 40)
    facts = {"file": "bars", "precision": "none", "backend": {}}
    network = Predictor(reads_half_of_the_bars, 48, None, facts)
    valid, test = evaluate.load_valid_and_test(tmp_path, None)
    result = evaluate.evaluate([network], (valid, test), tmp_path, ABOUT, robustness_rows=40)
    assert not result["protocol"]["holds"]
    # The logits are those of the drawn rows.
    (case, *_) = result["robustness"][DISTORTIONS[0].name]["cases"].values()
    right = test.labels[random_rows(len(test), 40)] < 4
    assert case[0]["accuracy"] == pytest.approx(right.mean())
    assert 0.2 < right.mean() < 0.8


@pytest.mark.slow
def test_a_predictor_needs_no_module(splits: tuple[Split, Split], tmp_path: Path):
    network = Predictor(lambda x: np.zeros((len(x), 8), np.float32), 16, None, {"file": "zeros"})
    row = {"precision": "none", "backend": {}}
    network = replace(network, facts=network.facts | row)
    result = evaluate.evaluate([network], splits, tmp_path, ABOUT, quick=True)
    assert result["accuracy"] == pytest.approx((splits[1].labels == 0).mean())
    assert result["spec"]["min_confidence"] == 1

"""The five rules of the evaluation protocol: on synthetic data always, on the real FER+ where
FER_EDGE_FERPLUS names a folder of training.prepare, on every network architecture and on the embedded models.
"""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from fer_edge import models
from training import evaluate as evaluation
from training import train as training
from training.data.dedup import near_duplicates_between
from training.data.pictures import Dataset, source_from_arrays
from training.data.split import LABELS, SPLITS, Split, load_prepared, save
from training.evaluation.inference import logits_from_module
from training.evaluation.predictors import predictor_from_file
from training.evaluation.protocol import TOLERANCE, batch_independence, check_people
from training.evaluation.report import PARTS, report_from_result
from training.loop.settings import Settings
from training.models import EXPRESSION_MODELS, build
from training.prepare import open_detector, prepare

Pictures = Callable[[int, int], np.ndarray]

# Small but complete: one network for each option that changes the structure.
ARCHITECTURES: dict[str, tuple[dict[str, Any], ...]] = {
    "tkfnet": (
        {"size": 56, "width": 16},
        {"size": 56, "width": 16, "depth": 34, "fusion": "concatenate"},
        {"size": 56, "width": 16, "depth": 50, "tafe": "none"},
        {"size": 56, "width": 16, "dcif": False},
    ),
    "tkfnet-nano": (
        {},
        {"fusion": "concatenate"},
        {"tafe": "modulation"},
        {"tafe": "local"},
        {"tafe": "none"},
        {"dcif": False},
        {"tafe": "none", "dcif": False},
    ),
    "conv-cut": (
        {"variant": "atto", "size": 56},
        {"variant": "atto", "size": 112},
        {"variant": "atto", "size": 56, "det": False},
        {"variant": "atto", "size": 56, "attention": False},
    ),
    "mobile": (
        {"variant": "mobilenet-v1", "size": 32},
        {"variant": "efficientnet-lite0", "size": 32},
    ),
}
ROWS = 24


@pytest.fixture(scope="module")
def ferplus() -> Path:
    folder = os.environ.get("FER_EDGE_FERPLUS")
    if not folder:
        pytest.skip("FER_EDGE_FERPLUS names no folder of training.prepare; its pictures are not shipped")
    return Path(folder)


def with_random_statistics(module: nn.Module, size: int) -> nn.Module:
    """Gives a fresh network random parameters and statistics.

    A freshly initialised network gives nearly the same logits for all pictures, which would hide a dependence
    on the batch.
    """
    rng = torch.Generator().manual_seed(0)
    for name, value in module.named_parameters():
        if value.ndim == 1:
            # Layer scales and the last normalisation of a block are initialised near 0, which disables the
            # block.
            mean = 1.0 if name.endswith(("weight", "layer_scale")) else 0.0
            value.data.normal_(mean, 0.2, generator=rng)
    norms = [m for m in module.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    for norm in norms:
        norm.momentum = None  # cumulative mean over all batches
    with torch.no_grad():
        module.train()(torch.from_numpy(inputs(size)[0]))
    return module.eval()


def inputs(size: int, rows: int = ROWS) -> tuple[np.ndarray, np.ndarray]:
    """Noise whose brightness shows its class, so that a batch of one class has other statistics."""
    rng = np.random.default_rng(1)
    labels = rng.integers(0, len(LABELS), rows)
    x = rng.normal(size=(rows, 1, size, size)) + (labels[:, None, None, None] - 3.5) / 4
    return x.astype(np.float32), labels


def cases() -> list[Any]:
    return [
        pytest.param(name, options, id=f"{name} {options}")
        for name in ARCHITECTURES
        for options in ARCHITECTURES[name]
    ]


def test_every_architecture_is_tested():
    assert set(ARCHITECTURES) == set(EXPRESSION_MODELS)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "options"), cases())
def test_rule_1_a_network_ignores_the_batch(name: str, options: dict[str, Any]):
    torch.manual_seed(0)
    module = build(name, **options)
    # The limit is meant for trained networks. In float32 the rounding of these random ones reaches it on some
    # CPUs, except that of conv-cut, whose depthwise convolutions would take minutes in float64. A dependence
    # on the batch is far above the limit in any precision.
    dtype = torch.float32 if name == "conv-cut" else torch.float64
    logits = logits_from_module(with_random_statistics(module, module.size).to(dtype))
    x, labels = inputs(module.size, rows=12)
    x = x.astype(np.float32 if name == "conv-cut" else np.float64)
    # The rule can only be tested with a network that distinguishes these pictures.
    assert logits(x).std(0).max() > 100 * TOLERANCE
    result = batch_independence(logits, x, labels)
    assert result["alone_against_mixed"] < TOLERANCE
    assert result["one_class_against_mixed"] < TOLERANCE
    assert result["holds"]


@pytest.mark.parametrize(
    "path",
    [p for p in models.WEIGHTS.glob("*.onnx") if models.read(p).spec.role == "expression"],
    ids=lambda path: path.stem,
)
def test_rule_1_an_embedded_model_ignores_the_batch(path: Path):
    network = predictor_from_file(path)
    assert batch_independence(network.logits, *inputs(network.size))["holds"]


class BatchAttention(nn.Module):
    """The flaw: attention treats the batch [B, 32] as a sequence, so each face attends to the other faces."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.trunk = build("tkfnet-nano")
        self.narrow = nn.Sequential(nn.Linear(128, 32), nn.ReLU(), nn.BatchNorm1d(32))
        self.attend = nn.MultiheadAttention(32, 1)
        self.head = nn.Linear(32, len(LABELS))

    def forward(self, x: Tensor) -> Tensor:
        sequence = self.narrow(self.trunk.features(x))[:, None]
        mixed, _ = self.attend(sequence, sequence, sequence)
        return self.head(mixed[:, 0])


def test_rule_1_exposes_attention_over_the_batch():
    flawed = with_random_statistics(BatchAttention(), 64)
    x, labels = inputs(64)
    result = batch_independence(logits_from_module(flawed), x, labels)
    assert result["alone_against_mixed"] > 100 * TOLERANCE
    assert result["one_class_against_mixed"] > 100 * TOLERANCE
    assert not result["holds"]


def test_rule_1_exposes_what_sorting_by_class_gains():
    def flawed(x: np.ndarray) -> np.ndarray:
        own = x.mean((1, 2, 3))
        # Half of its output is the mean over the faces of the batch.
        said = 0.5 * own + 0.5 * own.mean()
        return -np.abs(4 * said[:, None] + 3.5 - np.arange(len(LABELS))).astype(np.float32)

    result = batch_independence(flawed, *inputs(8, rows=160))
    assert result["accuracy_sorted_minus_shuffled"] > 0.3
    assert not result["holds"]


def test_rule_2_prepare_leaves_no_copy_of_a_held_out_picture(tmp_path: Path, pictures: Pictures):
    images = {name: pictures(seed, 24) for seed, name in enumerate(SPLITS)}
    images["train"][3] = images["test"][5]
    images["train"][4] = images["valid"][6][:, ::-1]
    noise = np.random.default_rng(0).integers(-6, 7, (48, 48))
    images["valid"][7] = np.clip(images["test"][8].astype(int) + noise, 0, 255)
    votes = np.eye(len(LABELS), dtype=np.float32)[np.arange(24) % len(LABELS)]
    sources = {
        name: source_from_arrays([f"{name}-{k}" for k in range(24)], planes.__getitem__, votes, np.arange(24))
        for name, planes in images.items()
    }
    prepare(Dataset(sources, side=48), tmp_path, 48, open_detector("face-luma"))
    splits = {name: load_prepared(tmp_path, name) for name in SPLITS}
    assert not {3, 4} & set(splits["train"].rows.tolist())
    assert 7 not in splits["valid"].rows
    assert len(splits["test"]) == 24
    assert_no_copies(splits)
    with pytest.raises(AssertionError):
        assert_no_copies({**splits, "train": replace(splits["train"], images=images["train"])})


def test_rule_2_on_ferplus(ferplus: Path):
    assert_no_copies({name: load_prepared(ferplus, name) for name in SPLITS})


def assert_no_copies(splits: dict[str, Split]) -> None:
    assert near_duplicates_between(splits["train"].images, splits["test"].images) == []
    assert near_duplicates_between(splits["train"].images, splits["valid"].images) == []
    assert near_duplicates_between(splits["valid"].images, splits["test"].images) == []


@pytest.mark.slow
def test_rule_3_training_never_opens_the_test_split(
    prepared: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    assert opened_in_training(prepared, monkeypatch, tmp_path) == ["train", "valid"]


def test_rule_3_on_ferplus(ferplus: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    assert opened_in_training(ferplus, monkeypatch, tmp_path) == ["train", "valid"]


def opened_in_training(data: Path, monkeypatch: pytest.MonkeyPatch, out: Path) -> list[str]:
    opened: list[str] = []

    def spy(folder: Path, split: str) -> Split:
        opened.append(split)
        return load_prepared(folder, split)

    monkeypatch.setattr(training, "load_prepared", spy)
    training.train(data, out, Settings(epochs=1, batch_size=32, precision="float32"), limit=64)
    return opened


def test_rule_4_each_person_is_in_one_split():
    check_people({"train": np.array([1, 2, -1]), "valid": np.array([3, -1]), "test": np.array([4, -1])})
    with pytest.raises(ValueError, match=r"got 1 in both valid and test \(person 3 is one\)"):
        check_people({"train": np.array([1]), "valid": np.array([3, 4]), "test": np.array([5, 3, 3])})


def test_rule_4_nothing_is_evaluated_where_people_repeat(prepared: Path, tmp_path: Path):
    for name in SPLITS:
        split = load_prepared(prepared, name)
        save(replace(split, people=np.arange(len(split))), tmp_path / f"{name}.npz")
    with pytest.raises(ValueError, match="the splits must show different people"):
        evaluation.load_valid_and_test(tmp_path, None)


def test_rule_5_the_report_is_complete(tmp_path: Path, prepared: Path):
    network = predictor_from_file(models.WEIGHTS / "tkfnet-nano.onnx")
    about = {"command": "python -m training.evaluate a.onnx data", "commit": "abc1234", "data": "data"}
    splits = evaluation.load_valid_and_test(prepared, 64)
    result = evaluation.evaluate([network], splits, tmp_path, about, quick=True)
    needed = ("accuracy", "balanced_accuracy", "recall", "counts", "calibration_error")
    assert all(name in result for name in needed)
    report = (tmp_path / "report.md").read_text(encoding="utf-8")
    for words in (
        "All 64 rows of the test split",
        "| accuracy |",
        "balanced accuracy",
        "expected calibration error |",
        "abc1234",
        "a.onnx data",
    ):
        assert words in report
    for name in LABELS:
        assert f"| {name} | {result['counts'][name]} |" in report
    assert {needed for needed, *_ in PARTS} - set(result) == {
        "limits",
        "robustness",
        "attention_maps",
        "feature_rows",
    }
    assert report_from_result({"context": result["context"]}, tmp_path).startswith(
        "# tkfnet-nano.onnx on data"
    )

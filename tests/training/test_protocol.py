"""The honest protocol on the real FER+, where a folder of training.prepare_ferplus is at hand, and on the
embedded model.
"""

import os
from pathlib import Path

import numpy as np
import pytest

from fer_edge import models
from training.copies import copies_between
from training.evaluate import network_from_file, protocol
from training.ferplus import SPLITS, Split, load_prepared
from training.models.tkfnet_nano import SIZE


@pytest.fixture(scope="module")
def ferplus() -> Path:
    folder = os.environ.get("FER_EDGE_FERPLUS")
    if not folder:
        pytest.skip(
            "FER_EDGE_FERPLUS names no folder of training.prepare_ferplus; its pictures are not shipped"
        )
    return Path(folder)


def test_rule_1_holds_for_the_embedded_model():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(96, 1, SIZE, SIZE)).astype(np.float32)
    network = network_from_file(models.WEIGHTS / "tkfnet-nano.onnx")
    labels = network(x).argmax(1)
    result = protocol(network, x, labels)
    assert result["alone_against_mixed"] < 1e-5
    assert result["one_class_against_mixed"] < 1e-5
    assert result["accuracy_sorted_minus_shuffled"] == 0


def test_rule_2_no_held_out_picture_was_trained_on(ferplus: Path):
    train, valid, test = (load_prepared(ferplus, name) for name in SPLITS)
    assert copies_between(train.images, test.images) == []
    assert copies_between(train.images, valid.images) == []
    assert copies_between(valid.images, test.images) == []


def test_rule_3_training_never_opens_the_test_split(
    ferplus: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    from training import train as module

    opened: list[str] = []

    def spy(folder: Path, split: str) -> Split:
        opened.append(split)
        return load_prepared(folder, split)

    monkeypatch.setattr(module, "load_prepared", spy)
    module.train(ferplus, tmp_path, module.Settings(epochs=1, batch=32), limit=64)
    assert opened == ["train", "valid"]

"""A peer beside our network: a tiny ONNX file and a tiny folder with known labels."""

import csv
import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from fer_edge import models
from fer_edge.arrays import F32
from training import evaluate
from training.data.labelled_pictures import read_labelled
from training.data.split import LABELS
from training.evaluation import peers
from training.evaluation.predictors import Predictor

SIZE = 16
# The colour, BGR, of the pictures of each label; the peer knows the colours, ours only the brightness.
COLOURS = {"happy": (0, 0, 250), "sad": (0, 250, 0), "angry": (250, 0, 0)}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four pictures a label, and one of a label that the peer does not know."""
    root = tmp_path_factory.mktemp("labelled")
    for label, colour in {**COLOURS, "contempt": (9, 9, 9)}.items():
        (root / label).mkdir()
        for number in range(4 if label in COLOURS else 1):
            picture = np.full((40 + number, 50, 3), colour, np.uint8)
            cv2.imwrite(str(root / label / f"{number}.png"), picture)
    (root / "happy" / "broken.png").write_bytes(b"no picture")
    return root


@pytest.fixture(scope="module")
def peer_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its three outputs are the means of red, green and blue; runs one face at a time."""
    nodes = [
        helper.make_node("ReduceMean", ["x", "axes"], ["mean"], keepdims=0),
        helper.make_node("Identity", ["mean"], ["scores"]),
    ]
    graph = helper.make_graph(
        nodes,
        "colours",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, SIZE, SIZE])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, [1, 3])],
        [numpy_helper.from_array(np.array([2, 3], np.int64), "axes")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    path = tmp_path_factory.mktemp("peer") / "colours.onnx"
    onnx.save(model, path)
    return path


@pytest.fixture
def ours() -> Predictor:
    """A double of our network that always says happiness: the tables must show it."""

    def logits(x: F32) -> F32:
        return np.eye(len(LABELS), dtype=np.float32)[[LABELS.index("happiness")] * len(x)]

    return Predictor(logits, SIZE, None, {"file": "always-happy.onnx"})


@pytest.fixture
def settings(peer_file: Path) -> Callable[..., peers.PeerSettings]:
    """Settings of the peer."""

    def make(**changes: object) -> peers.PeerSettings:
        given = {
            "path": peer_file,
            "labels": peers.labels_from_map("happy,sad,angry"),
            "size": SIZE,
            "channels": 3,
            "mean": [0.0],
            "scale": [1.0],
            "order": "rgb",
            "crop": "whole",
        }
        return peers.PeerSettings(**{**given, **changes})

    return make


def test_figures_of_both(folder: Path, ours: Predictor, settings: Callable[..., peers.PeerSettings]) -> None:
    result = peers.compare(ours, folder, settings())
    assert result["labels"] == ["happiness", "sadness", "anger"]
    assert (result["pictures"], result["left_out"], result["without_a_face"]) == (12, 1, 12)
    assert result["broken"] == {"broken.png": "not a picture, or cut off"}
    assert result["peer"]["accuracy"] == result["peer"]["balanced_accuracy"] == 1
    assert result["peer"]["confusion"] == [[4, 0, 0], [0, 4, 0], [0, 0, 4]]
    assert result["ours"]["accuracy"] == pytest.approx(1 / 3)
    assert result["ours"]["confusion"] == [[4, 0, 0], [4, 0, 0], [4, 0, 0]]
    low, high = result["ours"]["accuracy_95"]
    assert 0 < low < 1 / 3 < high < 0.8
    assert result["peer_minus_ours"] == pytest.approx(2 / 3)
    low, high = result["peer_minus_ours_95"]
    assert 0 < low < 2 / 3 < high < 1


def test_the_order_of_the_channels_and_the_map_decide(
    folder: Path, ours: Predictor, settings: Callable[..., peers.PeerSettings]
) -> None:
    # Blue first: happiness and anger are exchanged.
    result = peers.compare(ours, folder, settings(order="bgr"))
    assert result["peer"]["confusion"] == [[0, 0, 4], [0, 4, 0], [4, 0, 0]]
    swapped = peers.labels_from_map("angry,sad,happy")
    assert peers.compare(ours, folder, settings(order="bgr", labels=swapped))["peer"]["accuracy"] == 1
    # An output that is none of ours is never chosen.
    without = peers.compare(ours, folder, settings(labels=peers.labels_from_map("happy,none,angry")))
    assert (without["labels"], without["pictures"], without["left_out"]) == (["happiness", "anger"], 8, 5)


def test_mean_and_scale_of_each_channel(
    folder: Path, ours: Predictor, settings: Callable[..., peers.PeerSettings]
) -> None:
    # Red is subtracted so much that it never wins.
    result = peers.compare(ours, folder, settings(mean=[900.0, 0.0, 0.0], scale=[1.0, 1.0, 1.0]))
    assert [row[0] for row in result["peer"]["confusion"]] == [0, 0, 0]


def test_a_csv_gives_the_same(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    expected = read_labelled(folder)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerows([("label", "path"), *((LABELS[p.label], p.path) for p in expected)])
    assert read_labelled(path) == expected


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("path,label\na.png,bored\n", "label in line 2 must be one of"),
        ("file,label\na.png,happy\n", "must have the columns path and label, got none named path"),
        ("path,label\n", "found none"),
    ],
)
def test_a_wrong_csv_is_named(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "labels.csv"
    path.write_text(content)
    with pytest.raises(ValueError, match=message):
        read_labelled(path)


@pytest.mark.parametrize("text", ["happy", "happy,happy", "happy,none", "happy,bored"])
def test_a_map_that_cannot_be_meant(text: str) -> None:
    with pytest.raises(ValueError, match="--labels"):
        peers.labels_from_map(text)


def test_a_map_from_a_file(tmp_path: Path) -> None:
    expected = peers.labels_from_map("sad,none,happy")
    for name, content in (("map.json", '["sad", "none", "happy"]'), ("map.txt", "sad\nnone\nhappy\n")):
        (tmp_path / name).write_text(content)
        assert peers.labels_from_map(str(tmp_path / name)) == expected


def test_a_map_of_another_length(
    folder: Path, ours: Predictor, settings: Callable[..., peers.PeerSettings]
) -> None:
    with pytest.raises(
        ValueError, match=r"must name each output of .*, which gives \[3\] a face, got 2 names"
    ):
        peers.compare(ours, folder, settings(labels=peers.labels_from_map("happy,sad")))


@pytest.mark.slow
def test_the_command(
    folder: Path,
    peer_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    model, out = models.WEIGHTS / "tkfnet-nano.onnx", tmp_path / "out"
    shape = ["--peer-size", SIZE, "--peer-mean", 0, "--peer-scale", 1, "--peer-crop", "whole"]
    command = ["evaluate", model, folder, "--out", out, "--peer", peer_file, *shape]
    monkeypatch.setattr("sys.argv", [*map(str, command), "--labels", "happy,sad,angry"])
    evaluate.main()
    result = json.loads((out / "peers.json").read_text())
    assert result["peer"]["accuracy"] == 1
    report = capsys.readouterr().out
    assert report == (out / "peers.md").read_text()
    assert "| peer: colours.onnx | 100.00% (100.00% to 100.00%) |" in report
    monkeypatch.setattr("sys.argv", [*map(str, command)])
    with pytest.raises(SystemExit, match="2"):
        evaluate.main()
    assert "--peer needs --labels" in capsys.readouterr().err


def test_a_large_face_is_averaged_as_for_ours(settings: Callable[..., peers.PeerSettings]) -> None:
    pixels = np.zeros((40 * SIZE, 40 * SIZE, 3), np.uint8)
    # One sample in each 40 px would see either the stripes or what is between them.
    pixels[:, ::4] = (240, 120, 60)
    x = peers._input(pixels, pixels[..., 0], None, settings(scale=[0.5]))
    np.testing.assert_allclose(x.mean((1, 2)), [7.5, 15, 30], atol=0.5)
    assert x.std((1, 2)).max() < 1

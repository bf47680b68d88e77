"""Peers: tiny ONNX files of others, run as a user's would be."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from fer_edge.benchmark.work.clips import Clip
from fer_edge.benchmark.work.peers.expression import OnnxPeer, PeerInput
from fer_edge.benchmark.work.peers.yunet import YuNet
from fer_edge.models import ModelError

SIZE = 8
EXPECTS = PeerInput(SIZE, 3, 100.0, 0.5)


@pytest.fixture
def peer_file(tmp_path: Path) -> Callable[..., Path]:
    """Writes a network whose outputs are the means of its channels."""

    def write(batch: object = "n", channels: int = 3) -> Path:
        nodes = [helper.make_node("ReduceMean", ["x", "axes"], ["means"], keepdims=0)]
        graph = helper.make_graph(
            nodes,
            "means",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, [batch, channels, SIZE, SIZE])],
            [helper.make_tensor_value_info("means", TensorProto.FLOAT, [batch, channels])],
            [numpy_helper.from_array(np.array([2, 3], np.int64), "axes")],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
        path = tmp_path / f"means-{batch}-{channels}.onnx"
        onnx.save(model, path)
        return path

    return write


@pytest.fixture
def yunet_file(tmp_path: Path) -> Path:
    """A network with the twelve outputs of YuNet that finds a face wherever an 8 x 8 cell is bright."""
    nodes, weights, outputs = [], [], []
    for stride in (8, 16, 32):
        for name, channels in (("cls", 1), ("obj", 1), ("bbox", 4), ("kps", 10)):
            kernel = np.zeros((channels, 3, stride, stride), np.float32)
            if stride == 8 and name in ("cls", "obj"):
                # The mean brightness, from 0 to 1.
                kernel[:] = 1 / (255 * 3 * stride**2)
            out = f"{name}_{stride}"
            weights += [
                numpy_helper.from_array(kernel, f"w_{out}"),
                numpy_helper.from_array(np.array([1, -1, channels], np.int64), f"s_{out}"),
            ]
            nodes += [
                helper.make_node("Conv", ["input", f"w_{out}"], [f"c_{out}"], strides=[stride, stride]),
                helper.make_node("Transpose", [f"c_{out}"], [f"t_{out}"], perm=[0, 2, 3, 1]),
                helper.make_node("Reshape", [f"t_{out}", f"s_{out}"], [out]),
            ]
            outputs.append(helper.make_tensor_value_info(out, TensorProto.FLOAT, [1, None, channels]))
    # In the order in which OpenCV asks for them.
    outputs.sort(key=lambda output: ("cls", "obj", "bbox", "kps").index(output.name.partition("_")[0]))
    value = helper.make_tensor_value_info("input", TensorProto.FLOAT, [1, 3, 64, 96])
    graph = helper.make_graph(nodes, "yunet", [value], outputs, weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    path = tmp_path / "yunet.onnx"
    onnx.save(model, path)
    return path


def bright_cells(*cells: tuple[int, int]) -> Clip:
    """A clip of one frame of 96 x 64 with bright cells at (column, row)."""
    frame = np.zeros((64, 96, 3), np.uint8)
    for column, row in cells:
        frame[8 * row : 8 * row + 8, 8 * column : 8 * column + 8] = 255
    return Clip("cells", [frame], 30.0)


@pytest.mark.parametrize("batch", ["n", 1])
def test_any_batch_of_any_file(peer_file: Callable[..., Path], batch: object) -> None:
    peer = OnnxPeer(peer_file(batch), EXPECTS, threads=1)
    inputs = np.arange(5 * 3, dtype=np.float32).reshape(5, 3, 1, 1) * np.ones((SIZE, SIZE), np.float32)
    np.testing.assert_allclose(peer.run(inputs), np.arange(15).reshape(5, 3), rtol=1e-6)
    candidate = peer.candidate(4)
    assert (candidate.name, candidate.batch, candidate.count()) == (f"means-{batch}-3", 4, 4.0)
    candidate.subject.run()


def test_faces_are_cut_out_and_scaled(
    peer_file: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    peer = OnnxPeer(peer_file(), EXPECTS, threads=1)
    frame = np.zeros((40, 60, 3), np.uint8)
    frame[10:20, 5:25] = (110, 120, 130)
    seen: list[np.ndarray] = []
    monkeypatch.setattr(peer, "run", seen.append)
    # The second box goes beyond the frame, the third is empty.
    peer.read_faces(frame, np.array([[5, 10, 25, 20], [-9, -9, 4, 4], [70, 70, 80, 80]], np.float32))
    peer.read_faces(frame, np.empty((0, 4), np.float32))
    (inputs,) = seen
    assert inputs.shape == (3, 3, SIZE, SIZE)
    # (pixel - 100) * 0.5
    np.testing.assert_allclose(inputs[0].mean((1, 2)), [5, 10, 15])
    np.testing.assert_allclose(inputs[1], -50)


def test_another_input_is_one_error(peer_file: Callable[..., Path], tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="cannot run on float32"):
        OnnxPeer(peer_file(channels=1), EXPECTS, threads=1)
    (tmp_path / "text.onnx").write_text("no network")
    with pytest.raises(ModelError, match=r"text\.onnx .*; give an ONNX file"):
        OnnxPeer(tmp_path / "text.onnx", EXPECTS, threads=1)


def test_yunet_finds_each_cell(yunet_file: Path, peer_file: Callable[..., Path]) -> None:
    clip = bright_cells((2, 1), (8, 5))
    yunet = YuNet(yunet_file, clip, threads=1)
    boxes = yunet.find(clip.frames[0])
    # A box of YuNet is centred on the corner of its cell, here of the size of a cell.
    assert sorted(map(tuple, boxes.round().tolist())) == [(12, 4, 20, 12), (60, 36, 68, 44)]
    candidate = yunet.candidate()
    assert (candidate.name, candidate.input) == ("YuNet", "cells")
    for _ in range(3):
        candidate.subject.run()
    assert candidate.count() == 2
    reader = OnnxPeer(peer_file(), EXPECTS, threads=1)
    assert YuNet(yunet_file, clip, 1, reader).candidate().name == "YuNet and means-n-3"


def test_a_file_that_is_no_yunet(peer_file: Callable[..., Path]) -> None:
    with pytest.raises(ModelError, match="cannot be used by OpenCV"):
        YuNet(peer_file(), bright_cells(), threads=1)

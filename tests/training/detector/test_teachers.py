"""Decoding of the teachers, from networks that are made by hand: constant outputs in an ONNX graph."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from training.detector.detections import agreement, detect_all, read_detections, write_detections
from training.detector.marks import DETECTORS
from training.detector.teachers import CenterFace, RetinaFace, Teacher, YuNet

PLANE = np.full((60, 90), 7, np.uint8)  # an input of 64 x 96
BOX = np.array([16.0, 8, 48, 40])  # of the face that each network answers
SHARES = np.array([(0.3, 0.4), (0.7, 0.4), (0.5, 0.6), (0.35, 0.8), (0.65, 0.8)])
POINTS = BOX[:2] + SHARES * 32


def network(path: Path, outputs: dict[str, np.ndarray]) -> Path:
    """A graph that ignores its input."""
    constants = [numpy_helper.from_array(value.astype(np.float32), f"{n}_") for n, value in outputs.items()]
    nodes = [helper.make_node("Identity", [f"{n}_"], [n]) for n in outputs]
    given = [helper.make_tensor_value_info("input", TensorProto.FLOAT, [1, 3, "h", "w"])]
    answers = [helper.make_tensor_value_info(n, TensorProto.FLOAT, v.shape) for n, v in outputs.items()]
    graph = helper.make_graph(nodes, "made", given, answers, constants)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), path)
    return path


def yunet(folder: Path) -> Path:
    outputs: dict[str, np.ndarray] = {}
    for kind, channels in (("cls", 1), ("obj", 1), ("bbox", 4), ("kps", 10)):
        for stride in (8, 16, 32):
            outputs[f"{kind}_{stride}"] = np.zeros((1, 64 // stride * (96 // stride), channels))
    cell = 1 * 6 + 2  # row 1, column 2 at stride 16: origin (32, 16)
    outputs["cls_16"][0, cell], outputs["obj_16"][0, cell] = 0.81, 1.0
    outputs["bbox_16"][0, cell] = (0, 0.5, np.log(2), np.log(2))
    outputs["kps_16"][0, cell] = ((POINTS - (32, 16)) / 16).ravel()
    return network(folder / "yunet.onnx", outputs)


def centerface(folder: Path) -> Path:
    outputs = {
        name: np.zeros((1, channels, 16, 24))
        for name, channels in (("heatmap", 1), ("scale", 2), ("offset", 2), ("landmarks", 10))
    }
    at = (0, slice(None), 5, 7)  # centre of the cell: (30, 22)
    outputs["heatmap"][at] = 0.9
    outputs["scale"][at] = np.log(8)
    outputs["offset"][at] = (0.5, 0.5)
    outputs["landmarks"][at] = SHARES[:, ::-1].ravel()
    return network(folder / "centerface.onnx", outputs)


def retinaface(folder: Path) -> Path:
    count = 2 * (8 * 12 + 4 * 6 + 2 * 3)
    outputs = {name: np.zeros((1, count, c)) for name, c in (("loc", 4), ("conf", 2), ("landms", 10))}
    prior = 2 * (2 * 12 + 3) + 1  # row 2, column 3 at stride 8, the second size: centre (28, 20), side 32
    outputs["conf"][0, prior, 1] = 0.9
    outputs["loc"][0, prior, :2] = (4 / 32 / 0.1, 4 / 32 / 0.1)
    outputs["landms"][0, prior] = ((POINTS - (28, 20)) / 32 / 0.1).ravel()
    return network(folder / "retinaface.onnx", outputs)


NETWORKS = [(YuNet, yunet), (CenterFace, centerface), (RetinaFace, retinaface)]


@pytest.mark.parametrize(("kind", "make"), NETWORKS, ids=DETECTORS)
def test_a_face_is_decoded(kind: type[Teacher], make, tmp_path: Path):
    found = kind(make(tmp_path), 0.5)(PLANE)
    assert found.scores == pytest.approx([0.9], abs=1e-6)
    np.testing.assert_allclose(found.boxes[0], BOX, atol=1e-3)
    np.testing.assert_allclose(found.landmarks[0], POINTS, atol=1e-3)


@pytest.mark.parametrize(("kind", "make"), NETWORKS, ids=DETECTORS)
def test_the_scale_is_undone_and_the_threshold_kept(kind: type[Teacher], make, tmp_path: Path):
    path = make(tmp_path)
    half = kind(path, 0.5)(PLANE[::2, ::2], 2.0)
    np.testing.assert_allclose(half.boxes[0], BOX / 2, atol=1e-3)
    assert len(kind(path, 0.95)(PLANE)) == 0


def test_retinaface_subtracts_its_means_beyond_the_picture_too(tmp_path: Path):
    shape = [1, 3, "h", "w"]
    conf = numpy_helper.from_array(np.zeros((1, 0, 2), np.float32), "conf_")
    graph = helper.make_graph(
        [helper.make_node("Identity", [a], [b]) for a, b in (("input", "loc"), ("conf_", "conf"))],
        "made",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, shape)],
        [
            helper.make_tensor_value_info("loc", TensorProto.FLOAT, shape),
            helper.make_tensor_value_info("conf", TensorProto.FLOAT, [1, 0, 2]),
        ],
        [conf],
    )
    path = tmp_path / "echo.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), path)
    seen = []

    class Echo(RetinaFace):
        def _decode(self, outputs, height, width) -> tuple[np.ndarray, ...]:
            seen.append(outputs[0])
            return np.zeros((0, 4)), np.zeros((0, 5, 2)), np.zeros(0)

    Echo(path, 0.5)(PLANE)
    assert seen[0].shape == (1, 3, 64, 96)
    assert seen[0][0, :, 0, 0].tolist() == [7 - 104, 7 - 117, 7 - 123]
    assert seen[0][0, :, -1, -1].tolist() == [-104, -117, -123]


def test_detections_are_written_read_and_compared(photographs: Path, tmp_path: Path):
    rows = detect_all(photographs, [make(tmp_path) for _, make in NETWORKS], pictures=2)
    assert rows["picture"].tolist() == [0, 0, 0, 59, 59, 59]
    assert rows["detector"].tolist() == [0, 1, 2] * 2
    # CenterFace's answer does not depend on the size of the picture, which is enlarged twice.
    np.testing.assert_allclose(rows["box"][1], BOX / 2, atol=1e-3)
    write_detections(tmp_path / "detections.npz", rows)
    stored = read_detections(tmp_path / "detections.npz")
    moved = {name: value.copy() for name, value in stored.items()}
    moved["landmarks"][1] += 0.5
    moved["box"][2] += 20
    second, third = agreement(moved, stored, 1), agreement(moved, stored, 2)
    assert (second["new"], second["stored"], second["pairs"]) == (2, 2, 2)
    assert second["largest landmark difference, px"] == pytest.approx(0.5)
    assert (third["new"], third["stored"], third["pairs"]) == (2, 2, 1)


def test_detections_of_other_detectors_are_refused(tmp_path: Path):
    np.savez(tmp_path / "detections.npz", detector_names=np.array(["mtcnn"]))
    with pytest.raises(ValueError, match="centerface"):
        read_detections(tmp_path / "detections.npz")

"""Our networks on OpenVINO, where it is installed: the logits of the peer are those of the runtime."""

from pathlib import Path

import numpy as np
import pytest

from fer_edge import models
from fer_edge.backends import opener_for
from fer_edge.benchmark.work.networks import prepared_faces
from fer_edge.benchmark.work.peers.openvino import OpenVinoPeer

pytest.importorskip("openvino", reason="needs OpenVINO: pip install openvino")


def test_the_logits_are_those_of_the_runtime() -> None:
    model = models.read(Path(models.WEIGHTS / "tkfnet-nano-float32.onnx"))
    inputs = prepared_faces(model.spec, 3)
    peer = OpenVinoPeer(model, threads=1)
    network = opener_for("onnxruntime")(model, 1)
    network.reserve(inputs.shape)[:] = inputs
    # Where the CPU has bfloat16 OpenVINO uses it: 8 bits of mantissa.
    np.testing.assert_allclose(peer.run(inputs)[0], network.run()[0], rtol=2**-6, atol=0.1)
    candidate = peer.candidate(3)
    assert (candidate.name, candidate.model, candidate.batch) == ("openvino", "tkfnet-nano", 3)
    network.close()

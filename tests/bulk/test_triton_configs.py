"""Each config.pbtxt of the repository for Triton, by NVIDIA's published schema.

Not in tests/export, because only the environment of `make test-bulk` has the package with the schema.
"""

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from google.protobuf import json_format, text_format

from export.triton_repository import write_repository
from tests.export.inference_server.server_double import load_model, run_model


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with the embedded models."""
    out = tmp_path_factory.mktemp("repository") / "models"
    write_repository(out, "tkfnet-nano", "face-luma", 3)
    return out


@pytest.fixture(scope="module")
def schema() -> Any:
    """The module model_config_pb2 of tritonclient, by its path: the package around it needs gRPC."""
    package = importlib.util.find_spec("tritonclient")
    assert package is not None
    assert package.submodule_search_locations is not None
    path = Path(package.submodule_search_locations[0]) / "grpc" / "model_config_pb2.py"
    spec = importlib.util.spec_from_file_location("model_config_pb2", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _parsed(repository: Path, name: str, schema: Any) -> Any:
    text = (repository / name / "config.pbtxt").read_text()
    config = text_format.Parse(text, schema.ModelConfig())
    assert config.name == name
    assert config.HasField("dynamic_batching")
    assert [(group.kind, group.count) for group in config.instance_group] == [
        (schema.ModelInstanceGroup.KIND_CPU, 3)
    ]
    return config


@pytest.mark.parametrize(("name", "sizes"), [("face-luma", {-1: 96}), ("tkfnet-nano", {})])
def test_networks(repository: Path, schema: Any, name: str, sizes: dict[int, int]) -> None:
    config = _parsed(repository, name, schema)
    assert config.backend == "onnxruntime"
    session = onnxruntime.InferenceSession(repository / name / "1" / "model.onnx")
    inputs = {}
    for tensor in config.input:
        assert tensor.data_type == schema.TYPE_FP32
        shape = [config.max_batch_size, *(sizes.get(dim, dim) for dim in tensor.dims)]
        inputs[tensor.name] = np.zeros(shape, np.float32)
    names = [tensor.name for tensor in config.output]
    assert names == [output.name for output in session.get_outputs()]
    for tensor, values in zip(config.output, session.run(names, inputs), strict=True):
        assert tensor.data_type == schema.TYPE_FP32
        assert len(values) == config.max_batch_size
        assert all(dim in (-1, size) for dim, size in zip(tensor.dims, values.shape[1:], strict=True))


def test_labels_of_the_classification(repository: Path, schema: Any) -> None:
    config = _parsed(repository, "tkfnet-nano", schema)
    logits, _ = config.output
    labels = (repository / "tkfnet-nano" / logits.label_filename).read_text().splitlines()
    assert len(labels) == logits.dims[0] == 8


def test_pipeline(repository: Path, schema: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    config = _parsed(repository, "fer_edge", schema)
    assert config.backend == "python"
    assert [(t.name, t.data_type, list(t.dims)) for t in config.input] == [
        ("PICTURE", schema.TYPE_STRING, [1])
    ]
    assert [(t.name, t.data_type, list(t.dims)) for t in config.output] == [
        ("FACES", schema.TYPE_STRING, [1])
    ]
    # The server passes the configuration in this form.
    as_json = json_format.MessageToDict(config, preserving_proto_field_name=True)
    model = load_model(repository / "fer_edge", as_json, monkeypatch)
    assert "error" in run_model(model, [[b""]])[0][0]
    model.finalize()

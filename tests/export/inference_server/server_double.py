"""A double of `triton_python_backend_utils`, the one module that exists only inside the server.

It has what the pipeline uses, with the behaviour that NVIDIA documents:
https://github.com/triton-inference-server/python_backend
"""

import importlib.util
import json
import sys
import types
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest


class Tensor:
    """A named array; texts are bytes in an array of objects."""

    def __init__(self, name: str, values: np.ndarray) -> None:
        self._name, self._values = name, values

    def name(self) -> str:
        """The name of the input or output."""
        return self._name

    def as_numpy(self) -> np.ndarray:
        """The array."""
        return self._values


class InferenceRequest:
    """The inputs of one request."""

    def __init__(self, inputs: Sequence[Tensor]) -> None:
        self.tensors = inputs


class InferenceResponse:
    """The outputs of one request."""

    def __init__(self, output_tensors: Sequence[Tensor]) -> None:
        self.tensors = output_tensors


def get_input_tensor_by_name(request: InferenceRequest, name: str) -> Tensor | None:
    """The input of this name, None if the request has none."""
    return next((tensor for tensor in request.tensors if tensor.name() == name), None)


def load_model(folder: Path, config: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> Any:
    """Loads version 1 of a Python model as the server does, and initializes it."""
    module = types.ModuleType("triton_python_backend_utils")
    for item in (Tensor, InferenceRequest, InferenceResponse, get_input_tensor_by_name):
        setattr(module, item.__name__, item)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    found = importlib.util.spec_from_file_location("1.model", folder / "1" / "model.py")
    assert found is not None
    assert found.loader is not None
    code = importlib.util.module_from_spec(found)
    found.loader.exec_module(code)
    model = code.TritonPythonModel()
    model.initialize({"model_config": json.dumps(config), "model_name": folder.name, "model_version": "1"})
    return model


def run_model(model: Any, batches: Sequence[Sequence[bytes]]) -> list[list[dict[str, Any]]]:
    """Sends requests of encoded pictures to the pipeline in one call; returns what it says of each."""
    requests = [
        InferenceRequest([Tensor("PICTURE", np.array(batch, np.object_).reshape(-1, 1))]) for batch in batches
    ]
    responses = model.execute(requests)
    results = []
    for batch, response in zip(batches, responses, strict=True):
        (faces,) = response.tensors
        assert faces.name() == "FACES"
        assert faces.as_numpy().shape == (len(batch), 1)
        results.append([json.loads(text) for text in faces.as_numpy().ravel()])
    return results

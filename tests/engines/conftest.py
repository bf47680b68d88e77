"""NVIDIA's own parser and builder, from the wheels of TensorRT for RTX: `make test-engines`.

They need no GPU. Every test module here has the marker ``engines``, which `make test` leaves out, and takes
the bindings from the fixture ``tensorrt``, so that it can be collected where they are not installed. Without
the wheels a test fails; none is skipped.
"""

import importlib
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

# Least, usual and largest input of a plan: batch, and sides where they are not fixed.
PROFILE = ((1, 64), (4, 256), (8, 320))


@pytest.fixture(scope="session")
def tensorrt() -> ModuleType:
    """The bindings of TensorRT for RTX."""
    return importlib.import_module("tensorrt_rtx_bindings")


@pytest.fixture(scope="session")
def builder(tensorrt: ModuleType) -> Any:
    """A builder, which may be used for any number of networks."""
    return tensorrt.Builder(tensorrt.Logger(tensorrt.Logger.ERROR))


@pytest.fixture
def parse(tensorrt: ModuleType, builder: Any) -> Callable[[Path], Any]:
    """Parses an ONNX file into a strongly typed network; raises ValueError with the parser's first error."""
    kept = []  # the parser owns the weights of its network

    def parse(path: Path) -> Any:
        network = builder.create_network(1 << int(tensorrt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
        parser = tensorrt.OnnxParser(network, builder.logger)
        kept.append((parser, network))
        if not parser.parse(path.read_bytes()):
            raise ValueError(parser.get_error(0).desc())
        return network

    return parse


@pytest.fixture
def build(tensorrt: ModuleType, builder: Any) -> Callable[[Any], bytes]:
    """Builds the plan of a network for batches of 1 to 8; a detector's input has two sizes."""

    def build(network: Any) -> bytes:
        given = network.get_input(0)
        shapes = [[n, *(side if side > 0 else px for side in given.shape[1:])] for n, px in PROFILE]
        profile = builder.create_optimization_profile()
        profile.set_shape(given.name, *shapes)
        config = builder.create_builder_config()
        config.add_optimization_profile(profile)
        plan = builder.build_serialized_network(network, config)
        assert plan is not None, "the builder refused the network"
        return bytes(plan)

    return build

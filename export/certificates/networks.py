"""Networks as the measurements run them: an ONNX file computed as its graph says, or one of the runtime's
engines.
"""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime

from export.certificates.rounding import rounded_in_float32
from fer_edge.arrays import F32
from fer_edge.backends import LOADERS, opener_for
from fer_edge.backends.base import Backend
from fer_edge.backends.cpu_sampling import SamplesOnCpu
from fer_edge.backends.engines.products import PRODUCTS
from fer_edge.backends.ort import DEFAULT_THREADS, PROVIDER, open_session, session_options
from fer_edge.models import read

# A backend for measuring, beside the runtime's. On CPUs without VNNI, ONNX Runtime's int8 kernels add pairs
# of products in 16 bits, which overflow with weights of 8 bits: an S8S8 file then changes three times as many
# labels as its graph says. Q/DQ pairs in float32 are as exact as TensorRT's sums in 32 bits.
GRAPH = "graph"
BACKENDS = (GRAPH, *LOADERS, *PRODUCTS)


class OnnxNetwork(SamplesOnCpu):
    """A `fer_edge.backends.base.Backend` from the bytes of a file: ONNX Runtime on the CPU.

    Args:
        file: an ONNX file with a float32 or float16 input.
        as_graph: compute what the graph says: Q/DQ pairs in float32, float16 tensors rounded each; else with
            the kernels of this CPU.
    """

    def __init__(self, file: bytes, *, as_graph: bool = False) -> None:
        options = session_options(DEFAULT_THREADS)
        if as_graph:
            options.add_session_config_entry("session.disable_quant_qdq", "1")
            file = _with_rounding(file)
        self._session: Any = open_session(file, options=options)
        self._input = np.empty(0, np.float32)

    def reserve(self, shape: tuple[int, ...]) -> F32:
        self._input = np.empty(shape, np.float32)
        return self._input

    def sampled(self) -> F32:
        return self._input

    def run(self) -> list[F32]:
        outputs: list[F32] = self._session.run(None, {"input": self._input})
        return outputs

    def close(self) -> None:
        self._session = None

    def info(self) -> dict[str, object]:
        return {"backend": GRAPH, "version": onnxruntime.__version__, "provider": PROVIDER}


def open_network(path: Path, backend: str, engines: Path | None = None) -> Backend:
    """Opens a file on a backend of `BACKENDS`; raises ModelError if it cannot run it, and as `GpuNetwork`.

    `engines` is the folder of engines for GPUs; None: the user's cache.
    """
    if backend == GRAPH:
        return OnnxNetwork(path.read_bytes(), as_graph=True)
    if backend in PRODUCTS:
        # Not before it is needed: pycuda is installed where there is a GPU.
        from export.certificates.gpu_network import GpuNetwork

        return GpuNetwork(backend, read(path), engines)
    return opener_for(backend)(read(path), None)


def outputs_of(network: Backend, x: F32) -> list[F32]:
    """The outputs of a network for one input, as copies: an engine may use its buffers again."""
    network.reserve(x.shape)[...] = x
    return [np.array(output) for output in network.run()]


def _with_rounding(file: bytes) -> bytes:
    proto = onnx.load_model_from_string(file)
    if all(weight.data_type != onnx.TensorProto.FLOAT16 for weight in proto.graph.initializer):
        return file
    return rounded_in_float32(proto).SerializeToString()

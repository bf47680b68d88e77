"""Our own files on OpenVINO, beside the backends of the package."""

from typing import Any

from fer_edge.arrays import F32
from fer_edge.benchmark.measure.loop import Subject
from fer_edge.benchmark.work.candidate import Candidate
from fer_edge.benchmark.work.networks import prepared_faces
from fer_edge.models import ModelFile


class OpenVinoPeer:
    """An expression network compiled by OpenVINO for the CPU. OpenVINO decides the precision it computes in.

    Raises:
        ImportError: OpenVINO is not installed.
    """

    def __init__(self, model: ModelFile, threads: int) -> None:
        try:
            import openvino
        except ImportError as error:
            raise ImportError(f"--openvino needs OpenVINO ({error}); pip install openvino") from error
        settings = {"INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY"}
        compiled: Any = openvino.Core().compile_model(str(model.path), "CPU", settings)
        self._version = openvino.__version__.partition("-")[0]
        self._precision = compiled.get_property("INFERENCE_PRECISION_HINT").to_string()
        self._request: Any = compiled.create_infer_request()
        self._model, self._threads = model, threads

    def candidate(self, batch: int) -> Candidate:
        """A query of so many prepared faces."""
        inputs = prepared_faces(self._model.spec, batch)
        return Candidate(
            name="openvino",
            subject=Subject(lambda: self.run(inputs)),
            model=self._model.spec.name,
            precision=f"{self._model.precision}, in {self._precision}",
            backend=f"OpenVINO {self._version}",
            threads=self._threads,
            batch=batch,
            count=lambda: float(batch),
        )

    def run(self, inputs: F32) -> Any:
        """Runs inputs float32 [N, 1, S, S]."""
        return self._request.infer([inputs], share_inputs=True)

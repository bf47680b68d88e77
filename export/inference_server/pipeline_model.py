"""The whole pipeline as a model of Triton's Python backend: encoded pictures to faces as JSON.

`python -m export.triton_repository` copies this file into the repository, beside the two networks. It needs
fer_edge with OpenCV in the Python environment of the backend, and nothing else of the project.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import triton_python_backend_utils as pb_utils

import fer_edge
from fer_edge.pictures.read_picture import picture_from_bytes

# Parameters of config.pbtxt that are settings of fer_edge.Recognizer.
SETTINGS = {"threads": int, "min_face": float, "min_face_share": float, "threshold": float, "max_faces": int}


class TritonPythonModel:
    """The interface that the backend calls; the server makes one for each instance."""

    def initialize(self, args: dict[str, str]) -> None:
        """Opens the networks that lie beside this file."""
        parameters = json.loads(args["model_config"]).get("parameters", {})
        settings = {
            name: kind(parameters[name]["string_value"])
            for name, kind in SETTINGS.items()
            if name in parameters
        }
        folder = Path(__file__).parent
        self._recognizer = fer_edge.Recognizer(
            folder / "expression.onnx", detector=folder / "detector.onnx", **settings
        )

    def execute(self, requests: list[Any]) -> list[Any]:
        """Returns a response for each request; see docs/serving.md for the tensors."""
        return [self._response(request) for request in requests]

    def _response(self, request: Any) -> Any:
        pictures = pb_utils.get_input_tensor_by_name(request, "PICTURE").as_numpy()  # bytes [N, 1]
        texts = [json.dumps(self._result(picture)).encode() for picture in pictures.ravel()]
        faces = np.array(texts, np.object_).reshape(pictures.shape)
        return pb_utils.InferenceResponse(output_tensors=[pb_utils.Tensor("FACES", faces)])

    def _result(self, data: bytes) -> dict[str, Any]:
        """The faces of a picture, or an error, so that the others of the batch get their result."""
        try:
            picture = picture_from_bytes(data)
            faces = self._recognizer(picture.pixels)
        except (ValueError, MemoryError, fer_edge.ModelError) as error:
            return {"error": str(error) or "is too large for the memory"}
        height, width = picture.pixels.shape[:2]
        return {"width": width, "height": height, "faces": [face.to_dict() for face in faces]}

    def finalize(self) -> None:
        """Releases the networks."""
        self._recognizer.close()

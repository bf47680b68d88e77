"""Other software beside ours in the same run: what is installed, and how each peer is called.

A peer takes its turns as our networks do, so both meet the same load of the machine.
"""

import importlib.util

from fer_edge.installation.repair_commands import install_extra

# import name -> what it offers as a peer, and the pip command.
OFFERS = {
    "cv2": ("YuNet by OpenCV's FaceDetectorYN (--yunet FILE)", install_extra("opencv")),
    "onnxruntime": ("any expression network as ONNX (--peer FILE)", "pip install onnxruntime"),
}


def installed() -> dict[str, bool]:
    """Which of OFFERS can be used here."""
    return {module: importlib.util.find_spec(module) is not None for module in OFFERS}

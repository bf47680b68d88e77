"""The options of the commands that need a recogniser: which networks, and how they run."""

import argparse
from typing import TYPE_CHECKING, Any

from fer_edge.backends.cuda.device import DeviceError
from fer_edge.models import ModelError

if TYPE_CHECKING:
    from fer_edge.recognizer import Recognizer

# What a recogniser or source raises that cannot start; the user reads the message.
CANNOT_START = (ModelError, DeviceError, ImportError, ValueError, OSError)


def add_recognizer_arguments(parser: argparse.ArgumentParser, *, min_face: str) -> None:
    """Adds the options of a recogniser.

    Args:
        parser: of the command.
        min_face: the default of --min-face in words.
    """
    parser.add_argument(
        "--model", default="tkfnet-nano", help="embedded name or ONNX file (default: %(default)s)"
    )
    parser.add_argument(
        "--detector", default="face-luma", help="embedded name or ONNX file (default: %(default)s)"
    )
    parser.add_argument(
        "--backend",
        default="auto",
        help="auto, onnxruntime, openvino, tensorrt or tensorrt-rtx (default: %(default)s)",
    )
    parser.add_argument("--threads", type=int, help="CPU threads of the engine (default: 1)")
    parser.add_argument(
        "--min-face", type=float, metavar="PX", help=f"smallest face to search for (default: {min_face})"
    )
    parser.add_argument(
        "--threshold", type=float, help="minimum score of a face (default: the value of the detector)"
    )


def recognizer_from_options(options: argparse.Namespace, **settings: Any) -> "Recognizer":
    """Returns the recogniser of the options; `settings` are others of Recognizer.

    Raises:
        ModelError: a model cannot be used.
        DeviceError: the GPU cannot be used.
        ImportError: the engine is missing.
        ValueError: an option is outside its range.
    """
    # Imported here, so that `fer-edge --help` needs no engine and a wrong FER_EDGE_OPS is reported like any
    # other setting.
    from fer_edge.recognizer import Recognizer

    return Recognizer(
        options.model,
        detector=options.detector,
        backend=options.backend,
        threads=options.threads,
        min_face=options.min_face,
        threshold=options.threshold,
        **settings,
    )

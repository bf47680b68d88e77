"""`import fer_edge` loads no engine, and the public names exist as documented."""

import re
import subprocess
import sys

import pytest

import fer_edge


def test_import_loads_no_engine_and_no_opencv() -> None:
    code = (
        "import sys, fer_edge; "
        "print([m for m in ('onnxruntime', 'cv2', 'torch', 'numpy') if m in sys.modules]); "
        "fer_edge.Recognizer, fer_edge.Stream, fer_edge.Face, fer_edge.ModelError, fer_edge.models; "
        "print([m for m in ('onnxruntime', 'cv2', 'torch') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[:2] == ["[]", "[]"]


def test_the_models_come_on_first_use_too() -> None:
    code = "import fer_edge; print(fer_edge.models.embedded())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "tkfnet-nano" in done.stdout


def test_public_names_exist_and_are_listed() -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+", fer_edge.__version__)
    assert fer_edge.__all__ == sorted(fer_edge.__all__)
    assert set(fer_edge.__all__) == {"Face", "ModelError", "Recognizer", "Stream", "__version__", "models"}
    assert dir(fer_edge) == sorted(fer_edge.__all__)
    assert fer_edge.models.ModelError is fer_edge.ModelError
    assert issubclass(fer_edge.ModelError, RuntimeError)


def test_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(AttributeError, match=r"no attribute 'Recogniser'.*Recognizer"):
        fer_edge.Recogniser  # noqa: B018 (the access is what is tested)

"""The code that the repository has for the Python backend, in a double of the server."""

import json
from pathlib import Path

import cv2
import pytest
import skimage
from server_double import load_model, run_model
from tiny import write_picture

import fer_edge
from export.triton_repository import PIPELINE, write_repository

ASTRONAUT = Path(skimage.__file__).parent / "data" / "astronaut.png"


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with the embedded models."""
    out = tmp_path_factory.mktemp("repository") / "models"
    write_repository(out, "tkfnet-nano", "face-luma", 1)
    return out


def test_the_pipeline_returns_what_a_recognizer_finds(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = load_model(repository / PIPELINE, {"parameters": {"threads": {"string_value": "1"}}}, monkeypatch)
    astronaut = ASTRONAUT.read_bytes()
    empty = write_picture(tmp_path / "empty.png").read_bytes()
    first, second = run_model(model, [[astronaut, b"is no picture"], [empty]])
    with fer_edge.Recognizer(threads=1) as recognizer:
        expected = recognizer(cv2.imread(str(ASTRONAUT)))
    assert expected[0].label == "happiness"
    faces = json.loads(json.dumps([face.to_dict() for face in expected]))
    assert first[0] == {"width": 512, "height": 512, "faces": faces}
    assert "is not a picture" in first[1].pop("error")
    assert first[1] == {}
    assert second == [{"width": 320, "height": 256, "faces": []}]
    model.finalize()
    with pytest.raises(RuntimeError, match="closed"):
        run_model(model, [[astronaut]])


def test_parameters_are_settings_of_the_recognizer(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = {"parameters": {"threshold": {"string_value": "0.99"}, "max_faces": {"string_value": "2"}}}
    model = load_model(repository / PIPELINE, config, monkeypatch)
    # The face of the astronaut has a score of 0.95.
    assert run_model(model, [[ASTRONAUT.read_bytes()]])[0][0]["faces"] == []
    model.finalize()


def test_a_wrong_parameter_stops_the_model(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="threshold"):
        load_model(repository / PIPELINE, {"parameters": {"threshold": {"string_value": "2"}}}, monkeypatch)

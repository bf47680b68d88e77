"""Face: frozen, comparable, and the same after JSON, pickle and copy."""

import copy
import dataclasses
import json
import pickle

import numpy as np
import orjson
import pandas
import pydantic
import pytest
from fastapi.encoders import jsonable_encoder
from hypothesis import given
from hypothesis import strategies as st

from fer_edge.result import Detections, Face, faces_from_arrays

LABELS = ("neutral", "happiness", "surprise")
COORDINATE = st.floats(-1e6, 1e6, width=32)
POINTS = st.lists(st.tuples(COORDINATE, COORDINATE), min_size=5, max_size=5).map(tuple)
FACES = st.builds(
    Face,
    box=st.tuples(COORDINATE, COORDINATE, COORDINATE, COORDINATE),
    landmarks=st.one_of(st.just(()), POINTS),
    score=st.floats(0, 1, width=32),
    label=st.sampled_from(LABELS),
    confidence=st.floats(0, 1, width=32),
    probabilities=st.fixed_dictionaries({label: st.floats(0, 1, width=32) for label in LABELS}),
    abstain_reason=st.one_of(st.none(), st.just("face too small")),
)


@given(FACES)
def test_to_dict_survives_json(face: Face) -> None:
    record = face.to_dict()
    assert json.loads(json.dumps(record)) == record
    assert Face(**record | {"box": face.box, "landmarks": face.landmarks}) == face


@given(FACES)
def test_face_survives_pickle_and_copy(face: Face) -> None:
    assert pickle.loads(pickle.dumps(face)) == face
    assert copy.deepcopy(face) == face
    assert hash(copy.copy(face)) == hash(face)


def test_face_cannot_be_changed() -> None:
    given = {"neutral": 1.0}
    face = Face((0, 0, 1, 1), (), 1.0, "neutral", 1.0, given)
    given["neutral"] = 0.0
    assert face.probabilities["neutral"] == 1.0
    with pytest.raises(dataclasses.FrozenInstanceError):
        face.label = "fear"


@given(FACES)
def test_other_libraries_serialize_a_face(face: Face) -> None:
    record = face.to_dict()
    as_lists = json.loads(json.dumps(dataclasses.asdict(face)))
    assert as_lists == record
    assert json.loads(orjson.dumps(face)) == record
    adapter = pydantic.TypeAdapter(Face)
    assert adapter.validate_json(adapter.dump_json(face)) == face
    assert jsonable_encoder(face) == record
    table = pandas.DataFrame([face, face])
    assert table["probabilities"].tolist() == [face.probabilities] * 2
    assert table["label"].tolist() == [face.label] * 2
    flat = pandas.json_normalize([record])
    assert flat[f"probabilities.{LABELS[0]}"].tolist() == [face.probabilities[LABELS[0]]]


def test_faces_from_arrays_keeps_order_and_names_the_best() -> None:
    found = Detections(
        np.arange(8, dtype=np.float32).reshape(2, 4),
        np.arange(20, dtype=np.float32).reshape(2, 5, 2),
        np.array([0.75, 0.5], np.float32),
    )
    probabilities = np.array([[0.25, 0.5, 0.25], [0.125, 0.125, 0.75]], np.float32)
    first, second = faces_from_arrays(
        found, probabilities, np.array([0.625, 0.875], np.float32), LABELS, [None, "face too blurred"]
    )
    assert (first.label, first.confidence, first.score, first.abstain_reason) == (
        "happiness",
        0.625,
        0.75,
        None,
    )
    assert (second.label, second.abstain_reason) == ("surprise", "face too blurred")
    assert second.box == (4, 5, 6, 7)
    assert second.landmarks[0] == (10, 11)
    assert list(first.probabilities) == list(LABELS)


def test_the_fields_of_a_face_as_json_and_in_memory() -> None:
    face = Face(
        (0, 1, 2, 3), ((4, 5), (6, 7)), 0.5, "fear", 0.25, {"fear": 0.75, "anger": 0.25}, "face too small"
    )
    assert list(face.to_dict().items()) == [
        ("box", [0, 1, 2, 3]),
        ("landmarks", [[4, 5], [6, 7]]),
        ("score", 0.5),
        ("label", "fear"),
        ("confidence", 0.25),
        ("probabilities", {"fear": 0.75, "anger": 0.25}),
        ("abstain_reason", "face too small"),
    ]
    assert Face((0, 0, 1, 1), (), 1.0, "fear", 1.0, {}).abstain_reason is None
    for record in (face, Detections(*np.zeros((3, 1), np.float32))):
        assert not hasattr(record, "__dict__")
    with pytest.raises(dataclasses.FrozenInstanceError):
        Detections(*np.zeros((3, 1), np.float32)).scores = None
    # Probabilities are not part of the hash, because a mapping has no hash.
    assert hash(face) == hash(dataclasses.replace(face, probabilities={"fear": 1.0}))


def test_every_face_has_a_row_of_each_array() -> None:
    found = Detections(np.zeros((2, 4), np.float32), np.zeros((2, 0, 2), np.float32), np.ones(2, np.float32))
    one, two = np.zeros((1, 3), np.float32), np.zeros((2, 3), np.float32)
    sure = np.zeros(2, np.float32)
    for arrays in ((one, sure, [None] * 2), (two, sure[:1], [None] * 2), (two, sure, [None])):
        with pytest.raises(ValueError, match="zip"):
            faces_from_arrays(found, arrays[0], arrays[1], LABELS, arrays[2])
    with pytest.raises(ValueError, match="zip"):
        faces_from_arrays(found, two, sure, LABELS[:2], [None] * 2)


def test_no_faces_from_empty_arrays() -> None:
    none = Detections(np.empty((0, 4), np.float32), np.empty((0, 5, 2), np.float32), np.empty(0, np.float32))
    assert faces_from_arrays(none, np.empty((0, 3), np.float32), np.empty(0, np.float32), LABELS, []) == []

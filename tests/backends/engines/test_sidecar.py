"""The record beside a plan."""

import hashlib
import json

import pytest
from made_plans import BUILT, KEY, ORIN

import fer_edge
from fer_edge.backends.engines.sidecar import Sidecar, sidecar_for
from fer_edge.models import ModelError

SIDECAR = sidecar_for(b"plan", KEY, BUILT)


def test_the_record_of_a_plan() -> None:
    assert (SIDECAR.sha256, SIDECAR.size) == (hashlib.sha256(b"plan").hexdigest(), 4)
    assert (SIDECAR.key, SIDECAR.built, SIDECAR.fer_edge) == (KEY, BUILT, fer_edge.__version__)


def test_it_survives_the_file() -> None:
    assert Sidecar.from_json(SIDECAR.to_json(), "face.json") == SIDECAR


def test_a_gpu_survives_too() -> None:
    values = json.loads(SIDECAR.to_json())
    values["key"]["gpu"] = {
        "name": "Orin",
        "compute_capability": 87,
        "multiprocessors": 16,
        "driver": "12.6",
    }
    assert Sidecar.from_json(json.dumps(values), "face.json").key.gpu == ORIN


def test_people_can_read_it() -> None:
    assert '"min": [ 1, 1, 16, 16 ],\n' in SIDECAR.to_json()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"size": 4', '"size": "4"', "face.json: size: expected int, got '4'"),
        ('"size": 4', '"length": 4', "face.json: fields must be format, fer_edge, sha256, size, key, built"),
        ('"recipe": 1', '"recipe": true', "face.json: key: recipe: expected int, got True"),
        ('"format": 1', '"format": 2', "face.json: format must be 1, got 2"),
        ("{", "", "face.json: expected JSON, got "),
    ],
)
def test_anything_else_is_refused(old: str, new: str, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        Sidecar.from_json(SIDECAR.to_json().replace(old, new, 1), "face.json")


@pytest.mark.parametrize("text", ["", "[]", "null", "7", "\x00", "[" * 100_000])
def test_other_json_is_refused(text: str) -> None:
    with pytest.raises(ModelError, match=r"^face.json"):
        Sidecar.from_json(text, "face.json")

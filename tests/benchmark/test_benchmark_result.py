"""The JSON of a result: what is written is read again, and what is no result is refused."""

import json
from pathlib import Path

import pytest
from ticking import CONTEXT, row

from fer_edge.benchmark.result import KEPT_CALLS, KEPT_TURNS, Result, kept, read_result, write_result
from fer_edge.models import ModelError

RESULT = Result(CONTEXT, {"seconds": 3.0}, (row(), row(watts=4.5, peak_mb=None, unstable=("drifted",))))


def test_a_result_survives_its_file(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.json"
    write_result(RESULT, path)
    assert read_result(path) == RESULT
    content = json.loads(path.read_text())
    assert (content["format"], content["version"]) == ("fer_edge benchmark", 1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": 2}, "version must be 1, got 2"),
        ({"format": "other"}, 'no "format": "fer_edge benchmark"'),
        ({"rows": {}}, "rows is missing or no list"),
        ({"context": None}, "context is missing or no dict"),
        ({"rows": [{}]}, r"rows\[0\]: fields must be scenario"),
    ],
)
def test_what_is_no_result_is_refused(tmp_path: Path, change: dict[str, object], message: str) -> None:
    path = tmp_path / "a.json"
    write_result(RESULT, path)
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(ModelError, match=message):
        read_result(path)


def test_a_field_of_the_wrong_type_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_result(RESULT, path)
    content = json.loads(path.read_text())
    content["rows"][1]["threads"] = "two"
    path.write_text(json.dumps(content))
    with pytest.raises(ModelError, match=r"rows\[1\]: threads: expected int, got 'two'"):
        read_result(path)


def test_a_part_of_the_times_is_kept_from_begin_to_end() -> None:
    turns = [[float(1000 * turn + call) for call in range(50)] for turn in range(250)]
    some = kept(turns)
    assert (len(some), {len(turn) for turn in some}) == (KEPT_TURNS, {KEPT_CALLS})
    assert some[0][0] == 0
    assert some[-1][0] >= 240_000
    assert kept([[1.0, 2.0]]) == ((1.0, 2.0),)

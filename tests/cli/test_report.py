"""The three output formats: a table, JSON lines and CSV."""

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from tiny import LABELS, write_picture

from fer_edge.cli.report import CsvReport, JsonReport, TableReport
from fer_edge.result import Face

Predict = Callable[..., Any]
TwoPictures = tuple[Path, Path]


def test_table(predict: Predict, two: TwoPictures) -> None:
    done = predict(*two)
    head, first, second, none = done.out.splitlines()
    assert (done.code, done.err) == (0, "")
    assert head.split() == ["file", "face", "expression", "conf.", "box", "(x0", "y0", "x1", "y1)", "note"]
    assert first.split()[1:8] == ["1", "neutral", "49%", "68", "44", "100", "76"]
    assert second.split()[1] == "2"
    assert none.split()[1:] == ["-", "no", "face", "of", "16", "px", "and", "more"]
    assert head.index("expression") == first.index("neutral") == none.index("no face")


def test_csv(predict: Predict, two: TwoPictures) -> None:
    done = predict("--csv", *two)
    rows = list(csv.DictReader(io.StringIO(done.out)))
    assert done.code == 0
    assert [(row["file"], row["face"], row["label"]) for row in rows] == [
        (str(two[0]), "1", "neutral"),
        (str(two[0]), "2", "neutral"),
        (str(two[1]), "", ""),
    ]
    assert float(rows[0]["x0"]) == pytest.approx(68, abs=1e-3)
    assert sum(float(rows[0][label]) for label in LABELS) == pytest.approx(1, abs=1e-3)
    assert rows[0]["confidence"] == rows[0]["neutral"]


def test_csv_has_these_columns_and_every_row_has_all(predict: Predict, two: TwoPictures) -> None:
    head, *rows = csv.reader(io.StringIO(predict("--csv", *two).out))
    own = ["file", "face", "label", "confidence", "abstain_reason", "score", "x0", "y0", "x1", "y1"]
    assert head == [*own, *LABELS]
    assert [len(row) for row in rows] == [18, 18, 18]
    assert rows[2] == [str(two[1])] + [""] * 17
    faces = json.loads(predict("--json", two[0]).out)["faces"]
    for row, number, face in zip(rows, "12", faces, strict=False):
        numbers = [face["score"], *face["box"], *face["probabilities"].values()]
        own = [str(two[0]), number, face["label"], f"{face['confidence']:.4f}", face["abstain_reason"]]
        assert row == own + [f"{value:.4f}" for value in numbers]


def test_the_same_faces_in_all_three_formats(predict: Predict, tmp_path: Path) -> None:
    # With eyes 3 px apart, every format must contain the reason not to trust the label.
    small = np.zeros((256, 320), np.uint8)
    small[40:44, 80:84] = 255
    cv2.imwrite(str(tmp_path / "small.png"), small)
    options = (tmp_path / "small.png", "--min-face", "8")
    (record,) = (json.loads(line) for line in predict("--json", *options).out.splitlines())
    (face,) = record["faces"]
    assert face["abstain_reason"] == "face too small"
    assert list(record) == ["file", "min_face_px", "faces"]
    assert record["min_face_px"] == 8
    (row,) = csv.DictReader(io.StringIO(predict("--csv", *options).out))
    assert (row["label"], row["abstain_reason"]) == (face["label"], "face too small")
    assert [float(row[key]) for key in ("x0", "y0", "x1", "y1")] == pytest.approx(face["box"], abs=1e-3)
    assert float(row["score"]) == pytest.approx(face["score"], abs=1e-3)
    line = predict(*options).out.splitlines()[1]
    assert line.endswith("  face too small")


def test_the_table_shortens_long_names_at_the_front(predict: Predict, tmp_path: Path) -> None:
    short, long = write_picture(tmp_path / "b.png"), write_picture(tmp_path / f"{'n' * 60}.png")
    head, first, second = predict(short, long, "--threads", "1").out.splitlines()
    assert first.split("  ")[0] == (str(short) if len(str(short)) <= 48 else f"...{str(short)[-45:]}")
    assert second.startswith(f"...{str(long)[-45:]}     -  no face")
    assert head.index("face") == 50
    assert len({line.index("no face") for line in (first, second)} | {head.index("expression")}) == 1


def _face(**changes: Any) -> Face:
    fields = {"label": "b", "confidence": 0.876, "probabilities": {"a": 0.25, "b": 0.75}, "score": 0.5}
    return Face(**({"box": (1.6, 20, 300, 4000.4), "landmarks": ()} | fields | changes))


@pytest.mark.parametrize(
    ("names", "labels", "widths"),
    [
        (["a"], ["a", "b"], (4, 10)),
        (["12345"], ["a", "b" * 10], (5, 10)),
        (["a", "a" * 47, "b"], ["a", "b" * 11], (47, 11)),
        (["a" * 48], ["a"], (48, 10)),
        (["a" * 49, "a" * 100], ["c" * 30], (48, 30)),
    ],
)
def test_the_columns_are_as_wide_as_they_must_be(
    names: list[str], labels: list[str], widths: tuple[int, int], capsys: pytest.CaptureFixture[str]
) -> None:
    report = TableReport([Path(name) for name in names], labels)
    for name in names:
        report.picture(Path(name), [_face(), _face(abstain_reason="too far", confidence=1)], None, 16)
    report.picture(Path(names[0]), [], Path("copy.jpg"), 49.96)
    report.failure(names[0], "is printed on stderr")
    first, second = widths
    expected = [f"{'file':{first}}  face  {'expression':{second}}  conf.  box (x0 y0 x1 y1)    note"]
    for name in names:
        shown = name if len(name) <= 48 else "..." + name[-45:]
        expected.append(f"{shown:{first}}     1  {'b':{second}}    88%     2   20  300 4000")
        expected.append(f"{shown:{first}}     2  {'b':{second}}   100%     2   20  300 4000  too far")
    shown = names[0] if len(names[0]) <= 48 else "..." + names[0][-45:]
    expected += [f"{shown:{first}}     -  {'no face':{second}}{'of 50 px and more':>47}", "  drawn: copy.jpg"]
    assert capsys.readouterr().out.splitlines() == expected


def test_the_text_of_the_csv(capsys: pytest.CaptureFixture[str]) -> None:
    report = CsvReport(["a", "b"])
    report.picture(Path("x,y.jpg"), [_face(), _face(abstain_reason="too far")], Path("copy.jpg"), 49.96)
    report.picture(Path("z.jpg"), [], None, 16)
    report.failure("w.jpg", "is printed on stderr")
    assert capsys.readouterr().out == (
        "file,face,label,confidence,abstain_reason,score,x0,y0,x1,y1,a,b\n"
        '"x,y.jpg",1,b,0.8760,,0.5000,1.6000,20.0000,300.0000,4000.4000,0.2500,0.7500\n'
        '"x,y.jpg",2,b,0.8760,too far,0.5000,1.6000,20.0000,300.0000,4000.4000,0.2500,0.7500\n'
        "z.jpg,,,,,,,,,,,\n"
    )


def test_the_records_of_the_json_lines(capsys: pytest.CaptureFixture[str]) -> None:
    report = JsonReport()
    report.picture(Path("x.jpg"), [_face()], Path("copy.jpg"), 49.96)
    report.picture(Path("y.jpg"), [], None, 16)
    report.failure("z.jpg", "is damaged")
    first, *rest = map(json.loads, capsys.readouterr().out.splitlines())
    assert first == {
        "file": "x.jpg",
        "min_face_px": 50.0,
        "faces": [_face().to_dict()],
        "drawn": "copy.jpg",
    }
    assert rest == [
        {"file": "y.jpg", "min_face_px": 16, "faces": []},
        {"file": "z.jpg", "error": "is damaged"},
    ]

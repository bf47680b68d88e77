"""The three forms of the results: a table, JSON lines and CSV."""

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

Predict = Callable[..., Any]
TwoPictures = tuple[Path, Path]


def test_table(predict: Predict, two: TwoPictures) -> None:
    done = predict(*two)
    head, first, second, none = done.out.splitlines()
    assert (done.code, done.err) == (0, "")
    assert head.split() == ["file", "face", "expression", "conf.", "box", "(x0", "y0", "x1", "y1)", "note"]
    assert first.split()[1:8] == ["1", "neutral", "49%", "68", "44", "100", "76"]
    assert second.split()[1] == "2"
    assert none.split()[1:] == ["-", "no", "face"]
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


def test_the_same_faces_in_all_three_forms(predict: Predict, tmp_path: Path) -> None:
    # Eyes 3 px apart: every form has to say why the label should not be trusted.
    small = np.zeros((256, 320), np.uint8)
    small[40:44, 80:84] = 255
    cv2.imwrite(str(tmp_path / "small.png"), small)
    options = (tmp_path / "small.png", "--min-face", "8")
    (record,) = (json.loads(line) for line in predict("--json", *options).out.splitlines())
    (face,) = record["faces"]
    assert face["abstain_reason"] == "face too small"
    assert list(record) == ["file", "faces"]
    (row,) = csv.DictReader(io.StringIO(predict("--csv", *options).out))
    assert (row["label"], row["abstain_reason"]) == (face["label"], "face too small")
    assert [float(row[key]) for key in ("x0", "y0", "x1", "y1")] == pytest.approx(face["box"], abs=1e-3)
    assert float(row["score"]) == pytest.approx(face["score"], abs=1e-3)
    line = predict(*options).out.splitlines()[1]
    assert line.endswith("  face too small")


def test_the_table_cuts_long_names_in_front(predict: Predict, tmp_path: Path) -> None:
    short, long = write_picture(tmp_path / "b.png"), write_picture(tmp_path / f"{'n' * 60}.png")
    head, first, second = predict(short, long, "--threads", "1").out.splitlines()
    assert first.split("  ")[0] == (str(short) if len(str(short)) <= 48 else f"...{str(short)[-45:]}")
    assert second.startswith(f"...{str(long)[-45:]}     -  no face")
    assert head.index("face") == 50
    assert len({line.index("no face") for line in (first, second)} | {head.index("expression")}) == 1

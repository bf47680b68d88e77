"""`fer-edge predict`: three output formats, annotated copies, and errors in one line each."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from made_pictures import tiff
from tiny import DETECTOR_SPEC, LABELS, frame_with_cells, limited_detector_graph, write_picture

from fer_edge.cli import main
from fer_edge.models import ModelError

Predict = Callable[..., Any]
Run = Callable[..., subprocess.CompletedProcess[str]]
TwoPictures = tuple[Path, Path]


def test_json_lines(predict: Predict, two: TwoPictures, tmp_path: Path) -> None:
    done = predict("--json", *two, tmp_path / "missing.png")
    records = [json.loads(line) for line in done.out.splitlines()]
    assert done.code == 1
    assert [record["file"] for record in records] == [str(two[0]), str(two[1]), str(tmp_path / "missing.png")]
    assert [len(record["faces"]) for record in records[:2]] == [2, 0]
    assert records[2]["error"] == "No such file or directory"
    face = records[0]["faces"][0]
    assert list(face["probabilities"]) == list(LABELS)
    assert face["label"] == "neutral"


def test_an_argument_without_files_is_a_failure(predict: Predict, two: TwoPictures, tmp_path: Path) -> None:
    assert predict(*two).code == 0
    for argument in (f"{tmp_path}/*.gif", str(tmp_path / "bare")):
        (tmp_path / "bare").mkdir(exist_ok=True)
        done = predict("--json", argument, *two)
        assert done.code == 1
        assert done.err.startswith(f"fer-edge: {argument}: ")
        records = [json.loads(line) for line in done.out.splitlines()]
        assert records[0]["file"] == argument
        assert "error" in records[0]
        assert [record["file"] for record in records[1:]] == [str(path) for path in two]


def test_a_folder_with_a_picture_that_cannot_be_read_fails_but_the_rest_is_done(
    predict: Predict, two: TwoPictures, tmp_path: Path
) -> None:
    (tmp_path / "phone.heic").write_bytes(b"\0\0\0\x1cftypheic")
    done = predict("--json", tmp_path)
    records = [json.loads(line) for line in done.out.splitlines()]
    assert done.code == 1
    assert done.err.startswith(f"fer-edge: {tmp_path}: OpenCV cannot read phone.heic (HEIC); ")
    assert len(done.err.splitlines()) == 1
    assert [record["file"] for record in records] == [str(tmp_path), *map(str, two)]
    assert "phone.heic" in records[0]["error"]
    assert [len(record["faces"]) for record in records[1:]] == [2, 0]


def test_only_the_first_frame_is_said_on_stderr(predict: Predict, tmp_path: Path) -> None:
    (tmp_path / "scan.tif").write_bytes(tiff(frame_with_cells((10, 7)), pages=3))
    done = predict("--json", tmp_path)
    assert (done.code, len(json.loads(done.out)["faces"])) == (0, 1)
    assert done.err == f"fer-edge: {tmp_path}/scan.tif: holds 3 frames or pages; only the first is used\n"


def test_a_photograph_is_searched_more_finely_than_a_frame(predict: Predict, tmp_path: Path) -> None:
    # More small faces than Recognizer finds, and keeps, by default.
    cells = [(5 * column + 2, 5 * row + 2) for row in range(16) for column in range(25)]
    cv2.imwrite(str(tmp_path / "group.png"), frame_with_cells(*cells, width=1280, height=960))
    (record,) = map(json.loads, predict("--json", tmp_path / "group.png").out.splitlines())
    assert (len(record["faces"]), record["min_face_px"]) == (400, 16)
    (record,) = map(json.loads, predict("--json", "--min-face", 64, tmp_path / "group.png").out.splitlines())
    assert (record["faces"], record["min_face_px"]) == ([], 64)


def test_every_argument_without_files_is_reported(predict: Predict, two: TwoPictures) -> None:
    done = predict("none*.png", two[1], "none*.jpg")
    assert done.err.splitlines() == [
        "fer-edge: none*.png: no file matches",
        "fer-edge: none*.jpg: no file matches",
    ]
    assert done.code == 1


def test_a_copy_larger_than_a_jpeg_can_be_is_one_failure(
    predict: Predict, two: TwoPictures, tmp_path: Path
) -> None:
    cv2.imwrite(str(tmp_path / "wide.png"), np.zeros((2, 65501, 3), np.uint8))
    done = predict("--draw", tmp_path / "new", tmp_path / "wide.png", two[1])
    assert done.code == 1
    (line,) = done.err.splitlines()
    assert line.endswith(" cannot be written: a JPEG holds at most 65500 pixels a side, got 65501 x 2")
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["zero-faces.jpg"]


def test_a_picture_that_the_model_cannot_run_on_is_one_failure(
    predict: Predict, two: TwoPictures, tmp_path: Path, write_model: Callable[..., Path]
) -> None:
    detector = write_model(limited_detector_graph(256), DETECTOR_SPEC)
    tall = tmp_path / "tall.png"
    cv2.imwrite(str(tall), np.zeros((320, 320, 3), np.uint8))
    done = predict("--json", two[0], tall, two[0], two[1], "--detector", detector)
    records = [json.loads(line) for line in done.out.splitlines()]
    assert done.code == 1
    assert [len(record.get("faces", "-")) for record in records] == [2, 1, 0]
    assert records[1]["file"] == str(tall)
    assert "cannot run on float32 [1, 1, 320, 320]" in records[1]["error"]
    assert done.err.startswith(f"fer-edge: {tall}: ")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], {"threads": None, "min_face": None, "threshold": None, "backend": "auto"}),
        (["--threads", "3"], {"threads": 3}),
        (["--min-face", "33.5"], {"min_face": 33.5}),
        (["--threshold", "0.25"], {"threshold": 0.25}),
        (["--backend", "onnxruntime"], {"backend": "onnxruntime"}),
        (["--model", "m.onnx", "--detector", "d.onnx"], {"model": "m.onnx", "detector": "d.onnx"}),
        ([], {"model": "tkfnet-nano", "detector": "face-luma"}),
        ([], {"min_face_share": 1 / 80, "max_faces": 1000}),
    ],
)
def test_options_reach_the_recognizer(
    arguments: list[str], expected: dict[str, Any], monkeypatch: pytest.MonkeyPatch, two: TwoPictures
) -> None:
    given: dict[str, Any] = {}

    def refuse(model: str, **settings: Any) -> None:
        given.update(settings, model=model)
        raise ModelError("seen enough")

    monkeypatch.setattr("fer_edge.recognizer.Recognizer", refuse)
    assert main(["predict", str(two[0]), *arguments]) == 2
    assert given | expected == given


def test_an_abstention_is_noted(predict: Predict, two: TwoPictures) -> None:
    # Faces of the tiny network have an eye distance of 12 px; scaled by a quarter, 3 px.
    picture = cv2.resize(cv2.imread(str(two[0])), None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    cv2.imwrite(str(two[1]), picture)
    done = predict(two[1])
    assert "face too small" in done.out


def test_one_bad_file_in_a_folder_is_reported_and_the_rest_done(predict: Predict, tmp_path: Path) -> None:
    write_picture(tmp_path / "a.png", (10, 7))
    (tmp_path / "b.png").write_bytes((tmp_path / "a.png").read_bytes()[:50])
    (tmp_path / "c.mp4").write_bytes(b"film")
    write_picture(tmp_path / "d.png", (10, 7))
    done = predict("--json", tmp_path)
    assert done.code == 1
    assert [len(json.loads(line).get("faces", "")) for line in done.out.splitlines()] == [1, 0, 0, 1]
    errors = done.err.splitlines()
    assert len(errors) == 2
    assert errors[0] == f"fer-edge: {tmp_path}/b.png: is damaged or cut short; copy or download it again"
    assert errors[1].startswith(f"fer-edge: {tmp_path}/c.mp4: cannot be read as a video")


def test_draw_never_collides_nor_touches_an_input(predict: Predict, tmp_path: Path) -> None:
    inputs = [
        write_picture(tmp_path / "x" / "me.png", (10, 7)),
        write_picture(tmp_path / "y" / "me.jpg", (10, 7)),
        write_picture(tmp_path / "y" / "ME.png", (10, 7)),
        write_picture(tmp_path / "y" / "me-faces.jpg", (10, 7)),
    ]
    before = [path.read_bytes() for path in inputs]
    done = predict("--json", "--draw", tmp_path / "y", *inputs)
    drawn = [json.loads(line)["drawn"] for line in done.out.splitlines()]
    assert done.code == 0
    assert [path.read_bytes() for path in inputs] == before
    assert [Path(path).name for path in drawn] == [
        "me-faces-2.jpg",
        "me-faces-3.jpg",
        "ME-faces-4.jpg",
        "me-faces-faces.jpg",
    ]
    # Enlarged by two, to at least 640 px.
    assert all(cv2.imread(path).shape == (512, 640, 3) for path in drawn)


def test_draw_says_where_in_the_table_and_draws_pictures_without_faces(
    predict: Predict, two: TwoPictures, tmp_path: Path
) -> None:
    done = predict("--draw", tmp_path / "new" / "folder", *two)
    assert done.code == 0
    for name in ("two", "zero"):
        path = tmp_path / "new" / "folder" / f"{name}-faces.jpg"
        assert path.exists()
        assert f"drawn: {path}" in done.out


def test_draw_into_a_file_is_refused_before_any_work(predict: Predict, two: TwoPictures) -> None:
    done = predict("--draw", two[1], two[0])
    assert done.code == 2
    assert done.out == ""
    expected = f"fer-edge: --draw must be a folder, and {two[1]} cannot be made: a file has this name or that"
    assert done.err.startswith(expected)
    below = predict("--draw", two[1] / "drawn", two[0])
    assert (below.code, below.err) == (2, done.err.replace(str(two[1]), str(two[1] / "drawn")))


def test_an_interrupt_is_130(predict: Predict, two: TwoPictures, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(path: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("fer_edge.cli.predict.picture_of", interrupt)
    assert predict(two[0]).code == 130


@pytest.fixture
def in_a_process(detector_file: Path, expression_file: Path) -> Run:
    """Runs `python -m fer_edge predict` in a shell, as a user does."""

    def run(arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        command = (
            f"'{sys.executable}' -m fer_edge predict {arguments} --model '{expression_file}' "
            f"--detector '{detector_file}' --threads 1"
        )
        return subprocess.run(
            ["bash", "-c", f"{command} | head -n 2; exit ${{PIPESTATUS[0]}}"],
            capture_output=True,
            text=True,
            env={**os.environ, **environment},
            check=False,
        )

    return run


def test_a_closed_pipe_is_no_traceback(in_a_process: Run, tmp_path: Path) -> None:
    for number in range(40):
        write_picture(tmp_path / f"{number}.png", *[(c, r) for c in range(2, 38, 5) for r in range(2, 30, 5)])
    done = in_a_process(f"--json '{tmp_path}'")
    assert done.stderr == ""
    assert len(done.stdout.splitlines()) == 2
    assert done.returncode == 1


def test_a_wrong_target_of_the_kernels_is_one_line(in_a_process: Run, two: TwoPictures) -> None:
    done = in_a_process(f"'{two[0]}'", FER_EDGE_OPS="abacus")
    assert done.returncode == 2
    assert done.stderr.startswith("fer-edge: ")
    assert len(done.stderr.splitlines()) == 1


def test_without_opencv_the_pip_line_is_given(
    predict: Predict, two: TwoPictures, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "cv2", None)
    done = predict(two[0])
    assert done.code == 2
    assert done.err.startswith(
        "fer-edge: reading and drawing pictures and videos needs OpenCV: cv2 cannot be imported ("
    )
    assert "); pip install " in done.err

"""`fer-edge predict` on videos: JSON, CSV, a summary, annotated copies, timelines, and a progress bar."""

import csv
import json
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import pytest
from made_videos import cell_video, cut_video, face_video, full_disk, noise_video, read_video
from tiny import LABELS, write_picture

from fer_edge.cli import main
from fer_edge.cli.pictures import VIDEOS

Predict = Callable[..., Any]


def test_real_faces_are_summed_up_and_drawn(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    video = face_video(tmp_path / "two.mp4", fps=24.0)
    assert main(["predict", str(video), "--draw", str(tmp_path / "drawn")]) == 0
    copy, timeline = (tmp_path / "drawn" / f"two-faces{ending}" for ending in (".mp4", "-timeline.png"))
    assert capsys.readouterr().out.splitlines() == [
        f"{video}: 36 frames, 2 faces",
        "  #1        0.0 s to     1.5 s  happiness 100%",
        "  #2        0.0 s to     1.5 s  happiness 100%",
        f"  drawn: {copy}, {timeline}",
    ]
    frames, fps = read_video(copy)
    assert (len(frames), fps) == (36, 24.0)
    picture = cv2.imread(str(timeline))
    # Mostly yellow in both rows: happiness.
    yellow = (abs(picture.astype(int) - (66, 228, 240)).max(axis=2) == 0)[100:]
    assert yellow.mean() > 0.4


def test_json_and_pictures_in_the_order_of_the_arguments(predict: Predict, tmp_path: Path) -> None:
    video = cell_video(tmp_path / "cell.mp4", frames=4)
    picture = write_picture(tmp_path / "one.png", (10, 7))
    done = predict("--json", video, picture, "--draw", tmp_path / "drawn")
    records = [json.loads(line) for line in done.out.splitlines()]
    assert done.code == 0
    assert [record["file"] for record in records] == [str(video)] * 5 + [str(picture)]
    assert [record["index"] for record in records[:4]] == [0, 1, 2, 3]
    assert [record["faces"][0]["id"] for record in records[:4]] == [1] * 4
    # Nothing that differs from run to run.
    assert "timings" not in records[0]
    assert records[4]["timeline"] == str(tmp_path / "drawn" / "cell-faces-timeline.png")
    assert len(read_video(Path(records[4]["drawn"]))[0]) == 4


def test_csv_has_a_row_a_face_and_frame(predict: Predict, tmp_path: Path) -> None:
    done = predict("--csv", cell_video(tmp_path / "cell.mp4", frames=4))
    head, *rows = csv.reader(done.out.splitlines())
    assert head[:5] == ["file", "frame", "time", "id", "label"]
    assert head[-8:] == list(LABELS)
    assert [row[1:4] for row in rows] == [[str(k), f"{k / 20:.4f}", "1"] for k in range(4)]
    assert all(sum(map(float, row[-8:])) == pytest.approx(1, abs=1e-3) for row in rows)


def test_csv_of_a_video_without_faces_has_every_frame(predict: Predict, tmp_path: Path) -> None:
    video = cell_video(tmp_path / "dark.mp4", frames=3, cells=())
    rows = list(csv.reader(predict("--csv", video).out.splitlines()))
    assert {len(row) for row in rows} == {len(rows[0])}
    assert [row[1:4] for row in rows[1:]] == [[str(k), f"{k / 20:.4f}", ""] for k in range(3)]
    assert predict(video).out == f"{video}: 3 frames, no face\n"


def test_csv_of_pictures_and_videos_is_refused(predict: Predict, tmp_path: Path) -> None:
    video, picture = cell_video(tmp_path / "a.mp4", frames=1), write_picture(tmp_path / "b.png")
    done = predict("--csv", video, picture)
    assert (done.code, done.out) == (2, "")
    assert done.err == "fer-edge: --csv takes pictures or videos, not both; their columns differ\n"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("bad.mp4", b"film", "cannot be read as a video; is it complete, and its codec known?"),
        ("empty.mov", b"", "is empty (0 bytes)"),
        ("none.avi", None, "No such file or directory"),
    ],
)
def test_a_video_that_cannot_be_read_is_one_line_and_the_rest_is_done(
    name: str, content: bytes | None, message: str, predict: Predict, tmp_path: Path
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    good = cell_video(tmp_path / "good.mp4", frames=2)
    done = predict(tmp_path / name, good)
    assert done.code == 1
    assert done.err == f"fer-edge: {tmp_path / name}: {message}\n"
    assert done.out.startswith(f"{good}: 2 frames, 1 face\n")


@pytest.mark.parametrize("suffix", VIDEOS)
def test_every_ending_of_a_video_is_read_as_one(suffix: str, predict: Predict, tmp_path: Path) -> None:
    path = tmp_path / f"film{suffix.upper()}"
    path.write_bytes(b"film")
    assert "is it complete" in predict(path).err


def test_no_output_is_an_input(predict: Predict, tmp_path: Path) -> None:
    inputs = [
        cell_video(tmp_path / "a.mp4", frames=1),
        cell_video(tmp_path / "a-faces.mp4", frames=1),
        write_picture(tmp_path / "a-faces-2-timeline.png"),
    ]
    before = [path.read_bytes() for path in inputs]
    done = predict("--json", "--draw", tmp_path, *inputs)
    assert done.code == 0
    assert [path.read_bytes() for path in inputs] == before
    assert (tmp_path / "a-faces-3.mp4").exists()
    assert (tmp_path / "a-faces-3-timeline.png").exists()


def test_a_copy_that_cannot_be_written_is_named(predict: Predict, tmp_path: Path) -> None:
    video, copy = cell_video(tmp_path / "a.mp4", frames=1), tmp_path / "drawn" / "a-faces.mp4"
    copy.mkdir(parents=True)
    done = predict("--draw", tmp_path / "drawn", video)
    assert done.code == 1
    assert done.err == f"fer-edge: {video}: {copy} cannot be written: Is a directory\n"


def test_a_copy_that_a_full_disk_cuts_is_not_reported_as_drawn(predict: Predict, tmp_path: Path) -> None:
    video, good = noise_video(tmp_path / "a.mp4"), cell_video(tmp_path / "good.mp4", frames=2)
    with full_disk():
        done = predict("--draw", tmp_path / "drawn", video, good)
    copies = [tmp_path / "drawn" / f"{name}-faces.mp4" for name in ("a", "good")]
    assert done.code == 1
    assert done.err == (
        f"fer-edge: {video}: {copies[0]} cannot be written: its 20 frames cannot be read back; "
        "is the disk full?\n"
    )
    assert str(copies[0]) not in done.out
    assert f"drawn: {copies[1]}" in done.out


def test_a_video_that_breaks_off_is_drawn_and_named(predict: Predict, tmp_path: Path) -> None:
    video, good = cut_video(tmp_path / "cut.avi"), cell_video(tmp_path / "good.mp4", frames=2)
    done = predict("--draw", tmp_path, video, good)
    frames = len(read_video(tmp_path / "cut-faces.mp4")[0])
    assert done.code == 1
    assert done.err == f"fer-edge: {video}: lacks its last {20 - frames} frames; is it complete?\n"
    assert f"{video}: {frames} frames, 1 face\n" in done.out
    assert f"{good}: 2 frames, 1 face\n" in done.out
    assert str(tmp_path / "cut-faces.mp4") in done.out


def _command(detector: Path, expression: Path, *arguments: object) -> list[str]:
    command = (sys.executable, "-m", "fer_edge", "predict", "--model", expression, "--detector", detector)
    return list(map(str, (*command, *arguments)))


def test_ctrl_c_finishes_the_copy(detector_file: Path, expression_file: Path, tmp_path: Path) -> None:
    # More lines than a pipe holds, so that it waits.
    video = cell_video(tmp_path / "a.mp4", frames=400)
    command = _command(detector_file, expression_file, "--json", "--draw", tmp_path, video)
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for _ in range(5):
            process.stdout.readline()
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=60)[1] == ""
    assert process.returncode == 130
    assert 4 <= len(read_video(tmp_path / "a-faces.mp4")[0]) < 400


def test_progress_is_shown_on_a_terminal_only(
    detector_file: Path, expression_file: Path, tmp_path: Path, predict: Predict
) -> None:
    video = cell_video(tmp_path / "a.mp4", frames=20)
    ours, theirs = pty.openpty()
    command = _command(detector_file, expression_file, video)
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=theirs, text=True, check=True)
    os.close(theirs)
    shown = os.read(ours, 100_000).decode()
    os.close(ours)
    assert shown.startswith(f"\r{video}  [#.......................]   5%  1/20 frames, ")
    # It is erased at the end.
    assert shown.endswith("\r\033[K")
    silent = predict(video)
    assert (silent.out, silent.err) == (done.stdout, "")

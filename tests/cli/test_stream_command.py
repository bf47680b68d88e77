"""`fer-edge stream`: the log, JSON lines, annotated videos, and errors in one line each."""

import json
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import cv2
import numpy as np
import pytest
from made_videos import cell_video, cut_video, face_video, full_disk, noise_video, read_video

from fer_edge.cli import main

Output = pytest.CaptureFixture[str]
Stream = Callable[..., int]


@pytest.fixture
def stream(detector_file: Path, expression_file: Path) -> Stream:
    """Runs `fer-edge stream` with the tiny networks."""

    def run(*arguments: object) -> int:
        models = ("--model", expression_file, "--detector", detector_file, "--threads", 1)
        return main(["stream", *map(str, (*models, *arguments))])

    return run


def test_a_log_of_real_faces_and_an_annotated_video(tmp_path: Path, capsys: Output) -> None:
    source, out = face_video(tmp_path / "two.mp4", fps=24.0), tmp_path / "out.mp4"
    assert main(["stream", str(source), "--out", str(out)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines == [
        "   0.1 s  #1 appeared",
        "   0.1 s  #1 happiness entered",
        "   0.1 s  #2 appeared",
        "   0.1 s  #2 happiness entered",
        "36 frames, 2 faces",
    ]
    before, after = read_video(source), read_video(out)
    assert after[1] == before[1] == 24.0
    assert len(after[0]) == len(before[0]) == 36
    changed = np.abs(after[0][20].astype(int) - before[0][20]).max(axis=2) > 100
    # The boxes and labels of both faces, and not the rest of the picture.
    assert changed[:, :320].sum() > 500
    assert changed[:, 320:].sum() > 500
    assert changed.mean() < 0.3


def test_one_json_object_a_frame(stream: Stream, tmp_path: Path, capsys: Output) -> None:
    assert stream(cell_video(tmp_path / "cell.mp4"), "--json") == 0
    records = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [record["index"] for record in records] == list(range(10))
    assert [record["time"] for record in records] == pytest.approx([k / 20 for k in range(10)])
    for record in records:
        (face,) = record["faces"]
        assert face["id"] == 1
        assert {"label", "probabilities", "abstain_reason", "box", "confidence"} <= face.keys()
        assert {"events", "skipped", "timings", "dropped", "searched"} <= record.keys()
    assert [event["kind"] for record in records for event in record["events"]][:1] == ["appeared"]


def test_a_folder_with_a_damaged_picture_and_pictures_of_two_sizes(
    stream: Stream, tmp_path: Path, capsys: Output
) -> None:
    folder = tmp_path / "frames"
    folder.mkdir()
    for name, size in (("1.png", (320, 256)), ("3.png", (160, 256)), ("4.png", (320, 256))):
        cv2.imwrite(str(folder / name), np.full((size[1], size[0], 3), 60, np.uint8))
    (folder / "2.png").write_bytes(b"no picture")
    assert stream(folder, "--fps", 10, "--json", "--out", tmp_path / "out.avi") == 1
    output = capsys.readouterr()
    results = [json.loads(line) for line in output.out.splitlines()]
    assert [(result["index"], result["time"]) for result in results] == [(0, 0.0), (2, 0.2), (3, 0.3)]
    (line,) = output.err.splitlines()
    assert line.startswith(f"fer-edge: frame 1 of {folder}: 2.png is not a picture")
    frames, fps = read_video(tmp_path / "out.avi")
    assert fps == 10.0
    assert [frame.shape for frame in frames] == [(256, 320, 3)] * 4
    # The first picture stays where the damaged one is missing.
    np.testing.assert_allclose(frames[1].astype(int), frames[0], atol=2)
    # The narrow picture is in the middle, with black margins.
    assert frames[2][128, ::40, 0] == pytest.approx([0, 0, 60, 60, 60, 60, 0, 0], abs=8)


class _ShortVideo(BaseHTTPRequestHandler):
    """A camera with an HTTP address, which gives 8 pictures and is then gone."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        self.end_headers()
        data = cv2.imencode(".jpg", np.full((240, 320, 3), 90, np.uint8))[1].tobytes()
        for _ in range(8):
            head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(data)}\r\n\r\n"
            self.wfile.write(head.encode() + data + b"\r\n")

    def log_message(self, format: str, *arguments: object) -> None:
        """Logs nothing."""


def test_a_lost_source_is_1(stream: Stream, capsys: Output, tmp_path: Path) -> None:
    server = HTTPServer(("127.0.0.1", 0), _ShortVideo)
    # It answers once.
    thread = Thread(target=lambda: (server.handle_request(), server.server_close()))
    thread.start()
    url = f"http://127.0.0.1:{server.server_port}/camera.mjpg"
    code = stream(url, "--reconnect", 0.3, "--out", tmp_path / "out.mp4")
    thread.join()
    output = capsys.readouterr()
    assert code == 1
    assert f"fer-edge: {url} was lost and did not come back in 0.3 s" in output.err
    assert "Traceback" not in output.err
    assert output.out.endswith("0 faces\n")
    assert len(read_video(tmp_path / "out.mp4")[0]) >= 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("{folder}/none.mp4", "{folder}/none.mp4 does not exist"),
        ("{folder}/bad.mp4", "{folder}/bad.mp4 cannot be read as a video"),
        ("{folder}/empty", "{folder}/empty has no pictures"),
        ("61", "camera 61 cannot be opened"),
        ("/dev/video61", "camera /dev/video61 cannot be opened"),
        ("{video} --window", "--window needs "),
        ("{video} --out {folder}/a.gif", "a video is written as .mp4, .m4v, .mov, .mkv, .avi, got a.gif"),
        ("{video} --out {folder}/none/a.mp4", "--out {folder}/none/a.mp4 cannot be written: No such file"),
        ("{video} --out {video}", "--out must be another file than the source"),
        ("{folder}/empty --fps 0", "--fps must be 1 to 240 frames per second, got 0"),
        ("{video} --reconnect -1", "reconnect_s must be at least 0, got -1.0"),
        ("{video} --metrics 70000", "--metrics must be a port, 0 to 65535, got 70000"),
        ("{video} --threads 0", "threads must be None or a whole number from 1 to 1024, got 0"),
    ],
)
def test_what_cannot_start_is_2_and_one_line(
    arguments: str,
    message: str,
    stream: Stream,
    tmp_path: Path,
    capsys: Output,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    video = cell_video(tmp_path / "cell.mp4", frames=2)
    before = video.read_bytes()
    (tmp_path / "bad.mp4").write_bytes(b"film")
    (tmp_path / "empty").mkdir()
    places = {"folder": str(tmp_path), "video": str(video)}
    assert stream(*arguments.format(**places).split()) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert len(output.err.splitlines()) == 1
    assert output.err.startswith(f"fer-edge: {message.format(**places)}")
    assert video.read_bytes() == before


def test_a_video_without_frames_is_1(stream: Stream, tmp_path: Path, capsys: Output) -> None:
    # OpenCV takes any file with this ending for a video.
    path = tmp_path / "film.m4v"
    path.write_bytes(b"film")
    assert stream(path, "--out", tmp_path / "out.mp4") == 1
    output = capsys.readouterr()
    assert output.err == f"fer-edge: {path} has no frame that can be read; is it complete?\n"
    assert output.out == "0 frames, 0 faces\n"
    assert not (tmp_path / "out.mp4").exists()


def test_a_video_that_a_full_disk_cuts_is_1(stream: Stream, tmp_path: Path, capsys: Output) -> None:
    source, out = noise_video(tmp_path / "noise.mp4"), tmp_path / "out.mp4"
    with full_disk():
        assert stream(source, "--out", out) == 1
    assert capsys.readouterr().err == (
        f"fer-edge: {out} cannot be used: its 20 frames cannot be read back; is the disk full?\n"
    )


def test_a_video_that_breaks_off_is_1(stream: Stream, tmp_path: Path, capsys: Output) -> None:
    video, out = cut_video(tmp_path / "cut.avi"), tmp_path / "out.mp4"
    assert stream(video, "--out", out) == 1
    output = capsys.readouterr()
    frames = len(read_video(out)[0])
    assert 5 <= frames <= 12
    assert output.out.endswith(f"{frames} frames, 1 face\n")
    assert output.err == f"fer-edge: {video} lacks its last {20 - frames} frames; is it complete?\n"

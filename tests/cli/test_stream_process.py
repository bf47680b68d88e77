"""`fer-edge stream` as a process: interrupted, terminated, scraped, and with a reader that goes away."""

import json
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from made_videos import cell_video, read_video

Start = Callable[..., "subprocess.Popen[str]"]
# More JSON lines than a pipe holds, so that the process waits until they are read.
FRAMES = 400


@pytest.fixture
def start(detector_file: Path, expression_file: Path, tmp_path: Path) -> Iterator[Start]:
    """Starts `fer-edge stream VIDEO --json`; its output must be read, or it waits."""
    started: list[subprocess.Popen[str]] = []

    def run(*arguments: object) -> "subprocess.Popen[str]":
        video = cell_video(tmp_path / "cell.mp4", frames=FRAMES)
        models = ("--model", expression_file, "--detector", detector_file, "--threads", 1)
        command = [sys.executable, "-m", "fer_edge", "stream", video, "--json", *arguments, *models]
        started.append(
            subprocess.Popen(
                list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
            )
        )
        return started[-1]

    yield run
    for process in started:
        process.kill()
        process.communicate()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_stopped_process_finishes_its_video(
    number: signal.Signals, code: int, start: Start, tmp_path: Path
) -> None:
    process = start("--out", tmp_path / "out.mp4")
    assert process.stdout is not None
    lines = [process.stdout.readline() for _ in range(5)]
    assert process.stderr is not None
    process.send_signal(number)
    # Not communicate(), which would lose what readline() has buffered.
    rest, errors = process.stdout.read(), process.stderr.read()
    assert process.wait(timeout=60) == code
    assert errors == ""
    records = [json.loads(line) for line in [*lines, *rest.splitlines()]]
    assert len(records) < FRAMES
    frames, fps = read_video(tmp_path / "out.mp4")
    assert fps == 20.0
    # The frame in progress may be printed and not drawn yet.
    assert len(records) - 1 <= len(frames) <= len(records)


def test_a_reader_that_goes_away_ends_it_and_the_video_is_finished(start: Start, tmp_path: Path) -> None:
    process = start("--out", tmp_path / "out.mp4")
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.wait(timeout=60) == 1
    assert process.stderr is not None
    assert process.stderr.read() == ""
    assert len(read_video(tmp_path / "out.mp4")[0]) >= 1


def test_metrics_are_served_while_it_runs(start: Start) -> None:
    process = start("--metrics", 0)
    assert process.stdout is not None
    assert process.stderr is not None
    url = process.stderr.readline().split()[-1]
    assert url.startswith("http://127.0.0.1:")
    for _ in range(20):
        process.stdout.readline()
    with urllib.request.urlopen(url, timeout=10) as answer:
        text = answer.read().decode()
    values = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    frames = float(values["fer_edge_frames_total"])
    # A frame is printed before it is counted.
    assert 19 <= frames < FRAMES
    assert float(values["fer_edge_faces"]) == 1
    assert float(values["fer_edge_faces_seen_total"]) == pytest.approx(frames, abs=1)
    assert float(values["fer_edge_dropped_frames_total"]) == 0
    assert float(values['fer_edge_events_total{kind="appeared",label=""}']) == 1
    assert float(values['fer_edge_searches_total{reason="first frame"}']) == 1
    assert float(values['fer_edge_stage_seconds_count{stage="total"}']) == pytest.approx(frames, abs=1)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode == 143
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(url, timeout=10)

"""`fer-edge benchmark` on the tiny networks: outputs, bad input, Ctrl-C."""

import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest
from tiny import write_picture

from fer_edge.benchmark.result import read_result
from fer_edge.cli import main

Benchmark = Callable[..., tuple[int, str, str]]


@pytest.mark.slow
def test_all_scenarios_and_outputs(benchmark: Benchmark, tmp_path: Path) -> None:
    files = {name: tmp_path / f"out.{name}" for name in ("json", "markdown", "svg")}
    outputs = ("--json", files["json"], "--markdown", files["markdown"], "--picture", files["svg"])
    # The tiny detector would find a face in each bright cell.
    what = ("--detector", "face-luma", "--faces", 1, "--frame", "160x120", "--batch", 2)
    code, out, err = benchmark(*what, "--quick", *outputs)
    assert code == 0
    scenarios = ["SingleStream", "MultiStream", "Offline", "EndToEnd", "ColdStart"]
    result = read_result(files["json"])
    assert list(dict.fromkeys(row.scenario for row in result.rows)) == scenarios
    measuring = [line.partition(",")[0] for line in err.splitlines()]
    assert measuring == [f"measuring {name}" for name in scenarios]
    markdown = files["markdown"].read_text()
    for name in scenarios:
        assert f"{name}: milliseconds" in out
        assert f"**{name}: milliseconds" in markdown
    assert ElementTree.parse(files["svg"]).getroot().tag.endswith("svg")
    for row in result.rows:
        assert row.peak_mb is not None
        assert 10 < row.peak_mb < 1000
        assert 0 < row.ms["p50"] <= row.ms["p90"]
        assert row.rate == pytest.approx(1e3 * row.batch / row.ms["mean"], rel=1e-3)
    cold = result.rows[-1]
    assert list(cold.stages) == ["import", "constructor", "first result"]


def test_a_picture_of_the_users(benchmark: Benchmark, tmp_path: Path) -> None:
    photo, path = write_picture(tmp_path / "two.png", (10, 7), (25, 20)), tmp_path / "a.json"
    code, out, _ = benchmark("--photo", photo, "--budget", 0.001, "--json", path)
    assert code == 0
    rows = read_result(path).rows
    # --budget measures EndToEnd only.
    assert [(row.scenario, row.subject, row.faces) for row in rows] == [
        ("EndToEnd", "each frame searched", 2.0),
        ("EndToEnd", "stream", 2.0),
    ]
    assert {row.input for row in rows} == {"two.png, 320x256"}
    assert list(rows[0].stages) == ["luma", "detect", "align", "preprocess", "infer"]
    assert {"detect", "infer", "smooth"} <= set(rows[1].stages)
    assert "At 0.001 frames a second" in out
    assert out.count("at least 2 faces") == 2


def test_a_result_is_shown_again_and_compared(benchmark: Benchmark, tmp_path: Path) -> None:
    first, second = tmp_path / "a.json", tmp_path / "b.json"
    shown = [
        benchmark("--scenario", "singlestream", "--json", path)[1].partition("\n\n")[2]
        for path in (first, second)
    ]
    code, out, err = benchmark("--read", first)
    assert (code, out.partition("\n\n")[2], err) == (0, shown[0], "")
    code, out, _ = benchmark("--compare", first, second)
    assert code == 0
    assert out.splitlines()[0].split() == (
        ["scenario", "input", "subject", "of", "time,", "second", "/", "first", "95", "%", "second", "is"]
    )
    assert out.splitlines()[1].startswith("SingleStream")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--scenario", "Server"], "--scenario must be of SingleStream, MultiStream"),
        (["--frame", "big"], "--frame must be WIDTHxHEIGHT in px, as 640x480, got big"),
        (["--frame", "10x480"], "--frame must be from 64 to 8192, got 10"),
        (["--threads", "0"], "--threads must be from 1 to 1024, got 0"),
        (["--faces", "99"], "--faces must be from 0 to 32, got 99"),
        (["--seconds", "0"], "--seconds must be from 0 to 3600, got 0"),
        (["--queries", "0"], "--queries must be at least 1, got 0"),
        (["--video", "a", "--photo", "b"], "--video and --photo exclude each other"),
        (["--picture", "a.png"], "--picture writes SVG"),
        (["--json", "."], ". is a folder"),
        (["--model", "nobody"], "model 'nobody' is no file, nor an embedded model"),
        (["--backend", "abacus"], "backend must be one of auto"),
        (["--peer-channels", "2"], "--peer-channels must be 1 (grey) or 3 (BGR), got 2"),
        (["--peer-size", "4"], "--peer-size must be from 8 to 1024 px, got 4"),
        (["--peer", "nowhere.onnx"], "--peer nowhere.onnx cannot be read"),
        (["--scenario", "EndToEnd", "--video", "nowhere.mp4"], "--video nowhere.mp4 is no file"),
        (["--scenario", "EndToEnd", "--photo", "nowhere.jpg"], "nowhere.jpg"),
        (["--scenario", "EndToEnd", "--faces", "0", "--yunet", "nowhere.onnx"], "--yunet nowhere.onnx"),
        (["--read", "nowhere.json"], "nowhere.json"),
        (["--compare", "nowhere.json", "b.json"], "nowhere.json"),
    ],
)
def test_bad_input_is_one_line(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["benchmark", "--quick", *arguments]) == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if not line.startswith("measuring ")]
    assert len(lines) == 1
    assert lines[0].startswith("fer-edge: ")
    assert message in lines[0]


def test_a_budget_needs_frames_before_it_measures(benchmark: Benchmark) -> None:
    code, _, err = benchmark("--scenario", "SingleStream", "--budget", 30)
    assert (code, err) == (2, "fer-edge: --budget needs rows of EndToEnd; add it to --scenario\n")
    code, _, err = benchmark("--budget", -5)
    assert (code, err) == (2, "fer-edge: --budget must be a positive number of frames a second, got -5\n")


def test_a_result_without_frames_has_no_budget(benchmark: Benchmark, tmp_path: Path) -> None:
    assert benchmark("--scenario", "SingleStream", "--json", tmp_path / "a.json")[0] == 0
    code, _, err = benchmark("--read", tmp_path / "a.json", "--budget")
    assert (code, "--budget needs rows of EndToEnd" in err) == (2, True)


def test_a_relative_name_of_a_model(
    expression_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, benchmark: Benchmark
) -> None:
    shutil.copy(expression_file, tmp_path / "mine.onnx")
    monkeypatch.chdir(tmp_path)
    code, _, err = benchmark("--model", "mine.onnx", "--scenario", "SingleStream", "--json", "a.json")
    assert (code, err) == (0, "measuring SingleStream\n")
    (row,) = read_result(tmp_path / "a.json").rows
    assert row.peak_mb is not None


def test_the_peers_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["benchmark", "--peers"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["cv2", "onnxruntime"]
    assert lines[1].endswith(": installed")


def test_ctrl_c_while_it_measures(detector_file: Path, expression_file: Path, tmp_path: Path) -> None:
    models = ["--model", str(expression_file), "--detector", str(detector_file)]
    result = tmp_path / "a.json"
    command = [sys.executable, "-m", "fer_edge", "benchmark", *models, "--seconds", "3600"]
    with subprocess.Popen(
        [*command, "--json", str(result)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        assert process.stderr.readline() == "measuring SingleStream\n"
        process.send_signal(signal.SIGINT)
        out, err = process.communicate()
    assert (process.returncode, out, err) == (130, "", "")
    assert not result.exists()

"""`fer-edge stream --web` as a process, beside the other outputs, and what cannot start."""

import json
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, TextIO

import pytest
from made_videos import cell_video, read_video
from tiny import frame_with_cells

from fer_edge import Recognizer, Stream
from fer_edge.cli import main
from fer_edge.cli.live_page import PacedPage
from fer_edge.installation.repair_commands import install_extra
from tests.web.page_client import Viewer, get

# 20 s at its own pace, so that the process still runs when it is looked at.
FRAMES = 400
Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def arguments(detector_file: Path, expression_file: Path, tmp_path: Path) -> list[str]:
    """A video and the tiny networks."""
    video = cell_video(tmp_path / "cell.mp4", frames=FRAMES)
    models = ("--model", expression_file, "--detector", detector_file, "--threads", 1)
    return ["stream", *map(str, (video, *models))]


@pytest.fixture
def start(arguments: list[str]) -> Iterator[Start]:
    """Starts `fer-edge stream VIDEO`."""
    started: list[subprocess.Popen[str]] = []

    def run(*more: object, stdout: int | TextIO = subprocess.PIPE) -> "subprocess.Popen[str]":
        command = [sys.executable, "-m", "fer_edge", *arguments, *map(str, more)]
        started.append(subprocess.Popen(command, stdout=stdout, stderr=subprocess.PIPE, text=True))
        return started[-1]

    yield run
    for process in started:
        process.kill()
        process.communicate()


def _address(process: "subprocess.Popen[str]") -> str:
    assert process.stderr is not None
    line = process.stderr.readline()
    found = re.fullmatch(r"fer-edge: (?:live page|metrics) at (\S+)\n", line)
    assert found is not None, line
    return found[1]


def test_a_page_beside_all_other_outputs(start: Start, tmp_path: Path) -> None:
    results = tmp_path / "results.jsonl"
    # Not a pipe: once it is full, the stream stands still.
    with results.open("w") as stdout:
        process = start("--web", 0, "--json", "--out", tmp_path / "out.mp4", "--metrics", 0, stdout=stdout)
    page, metrics = _address(process), _address(process)
    assert page.startswith("http://127.0.0.1:")
    viewer = Viewer(page)
    assert viewer.first["source"] == str(tmp_path / "cell.mp4")
    fields, _ = viewer.picture()
    assert [face["id"] for face in fields["faces"]] == [1]
    later, picture = fields, None
    # The message after the first may show a frame that was read before it was sent.
    while later["frames"] == fields["frames"]:
        viewer.answer()
        later, picture = viewer.picture()
    assert later["frames"] > fields["frames"]
    assert picture is not None
    assert picture.shape == (256, 320, 3)
    assert b"fer_edge_frames_total" in get(metrics, "/metrics").body
    process.send_signal(signal.SIGINT)
    while not viewer.receive()[0]["ends"]:
        viewer.answer()
    viewer.close()
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert errors == ""
    records = [json.loads(line) for line in results.read_text().splitlines()]
    # The video is shown at its own pace.
    assert later["frames"] <= len(records) < FRAMES
    assert len(read_video(tmp_path / "out.mp4")[0]) == pytest.approx(len(records), abs=1)


def test_frames_of_a_file_wait_for_their_times(recognizer: Recognizer) -> None:
    with Stream(recognizer, [(5.0, frame_with_cells((20, 15)))]) as stream:
        result = next(stream)
    now, shown = 100.0, []

    def clock() -> float:
        return now

    class Page:
        """Notes when a frame came."""

        def frame(self, result: Any) -> None:
            shown.append(now)

    def sleep(seconds: float) -> None:
        nonlocal now
        now += seconds

    for paced in (True, False):
        page = PacedPage(Page(), paced=paced, clock=clock, sleep=sleep)  # type: ignore[arg-type]
        for time, busy in ((5.0, 0.1), (5.5, 0.1), (6.0, 0.9), (6.5, 0.0), (7.0, 0.0)):
            page.frame(replace(result, time=time))
            now += busy
    assert shown[:5] == pytest.approx([100.0, 100.5, 101.0, 101.9, 102.0])
    assert shown[5:] == pytest.approx([102.0, 102.1, 102.2, 103.1, 103.1])


def test_a_gap_of_a_file_is_not_waited_for(recognizer: Recognizer) -> None:
    frame = frame_with_cells((20, 15))
    slept: list[float] = []

    class Page:
        """Takes the frames."""

        def frame(self, result: Any) -> None:
            pass

    page = PacedPage(Page(), paced=True, clock=lambda: 100.0, sleep=slept.append)  # type: ignore[arg-type]
    with Stream(recognizer, [(time, frame) for time in (0.0, 10.0, 3600.0, 3600.5)]) as stream:
        for result in stream:
            page.frame(result)
    assert slept == pytest.approx([10.0, 0.5])


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ("--web {port}", "the live page cannot listen on 127.0.0.1:{port}: Address already in use; choose "),
        ("--web 70000", "the live page's port must be 0 to 65535, where 0 takes a free one, got 70000"),
        ("--web 0 --web-host 192.0.2.1", "the live page cannot listen on 192.0.2.1:0: Cannot assign"),
        ("--web-host 0.0.0.0", "--web-host is the address of the page, and needs --web"),
    ],
)
def test_what_cannot_start_is_2_and_one_line(
    more: str, message: str, arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert main([*arguments, *more.format(port=port).split()]) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert len(output.err.splitlines()) == 1
    assert output.err.startswith(f"fer-edge: {message.format(port=port)}")


@pytest.mark.parametrize("missing", ["starlette", "uvicorn", "websockets"])
def test_without_the_extra_it_says_what_to_install(
    missing: str, arguments: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in list(sys.modules):
        if module.partition(".")[0] == missing or module.startswith(("fer_edge.web", "uvicorn.protocols")):
            monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, missing, None)
    assert main([*arguments, "--web", "0"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("fer-edge: the live page needs starlette, uvicorn and websockets (")
    assert error.endswith(f"); {install_extra('web')}\n")


def test_a_stream_without_a_page_does_not_import_it(arguments: list[str]) -> None:
    cell_video(Path(arguments[1]), frames=2)
    code = (
        f"import sys, fer_edge.cli; fer_edge.cli.main({[*arguments, '--json']!r}); "
        "sys.exit(bool({'starlette', 'uvicorn', 'websockets'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], stdout=subprocess.DEVNULL, check=False)
    assert done.returncode == 0

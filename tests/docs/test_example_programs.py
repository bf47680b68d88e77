"""The programs of docs/examples, each run as a user runs it, on made videos of a real face."""

import compileall
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import pytest
import skimage.data
from code_blocks import EXAMPLES, ROOT, blocks_of_page, examples
from mcap.reader import make_reader
from mcap_ros2.decoder import DecoderFactory
from mcap_ros2.writer import Writer
from ros_interfaces import DETECTION_2D_ARRAY, definition

from benchmarks.streaming.made_video import Actor, sway, video

FPS = 15


@pytest.fixture(scope="module")
def visitor(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A smiling face in the left half, which leaves after 0.8 s of 2.2 s."""
    path = tmp_path_factory.mktemp("visitor") / "visitor.avi"
    return _written(path, [Actor(sway(200, 240, 140), present=(0, 0.8))], 2.2)


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two smiling faces, the nearer one on the right, for 0.8 s."""
    return _pair(tmp_path_factory.mktemp("pair") / "pair.avi", 0.8)


@pytest.fixture(scope="module")
def lasting_pair(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same for 5 s: a fast processor reads a shorter file before the robot's loop looks twice."""
    return _pair(tmp_path_factory.mktemp("lasting_pair") / "pair.avi", 5.0)


def _pair(path: Path, seconds: float) -> Path:
    return _written(path, [Actor(sway(170, 240, 100)), Actor(sway(470, 240, 130), mirrored=True)], seconds)


def _written(path: Path, actors: list[Actor], seconds: float) -> Path:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), FPS, (640, 480))
    for _, frame, _ in video(actors, seconds, FPS):
        writer.write(frame)
    writer.release()
    return path


def _run(name: str, *arguments: object, **environment: str) -> list[str]:
    """Runs a program in its folder; returns the lines that it prints."""
    done = _process(name, *arguments, **environment)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


def _process(name: str, *arguments: object, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, name, *map(str, arguments)],
        cwd=EXAMPLES,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1", **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_each_program_is_short_and_on_the_page() -> None:
    page = (ROOT / "docs" / "embedding.md").read_text(encoding="utf-8")
    shown = [block.text for block in blocks_of_page(page)]
    assert len(examples()) == 8
    for name, text in examples().items():
        assert text.count("\n") <= 40, name
        assert text in shown, name
        assert f"(examples/{name})" in page


def test_the_kiosk_greets_and_returns_to_its_start_page(visitor: Path) -> None:
    assert _run("kiosk.py", visitor) == ["Hello!", "Thank you for your smile!", "Touch to start"]


def test_the_robot_turns_to_the_nearest_face_and_is_called_back(lasting_pair: Path) -> None:
    # Two threads print, so that two lines may be joined.
    output = " ".join(_run("robot.py", lasting_pair))
    assert sorted(re.findall(r"face \d shows happiness", output)) == [
        "face 1 shows happiness",
        "face 2 shows happiness",
    ]
    turns = [float(turn) for turn in re.findall(r"turn by ([+-]\d\.\d\d)", output)]
    assert turns
    assert all(0.3 < turn < 0.7 for turn in turns)


def test_asyncio_goes_on_between_the_frames(visitor: Path) -> None:
    lines = _run("with_asyncio.py", visitor)
    events = [re.sub(r"^[\d.]+ s: ", "", line).strip() for line in lines if line != "still alive"]
    assert events == [
        "face 1 appeared",
        "face 1 expression_entered happiness",
        "face 1 expression_left happiness",
        "face 1 disappeared",
    ]
    assert "still alive" in lines


def test_asyncio_ends_with_the_error_of_the_stream(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_text("no picture")
    done = _process("with_asyncio.py", tmp_path)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith(f"ValueError: frame 0 of {tmp_path}: a.png")


@pytest.mark.parametrize("method", ["spawn", "fork"])
def test_processes_have_a_recognizer_each(method: str, tmp_path: Path) -> None:
    photo = tmp_path / "astronaut.png"
    cv2.imwrite(str(photo), skimage.data.astronaut()[:, :, ::-1])
    text = tmp_path / "text.png"
    text.write_text("no picture")
    lines = _run("processes.py", photo, text, photo, START_METHOD=method)
    assert lines == [f"{photo}: happiness", f"{text}: is not a picture", f"{photo}: happiness"]


def test_cameras_take_turns(visitor: Path, pair: Path) -> None:
    lines = _run("cameras.py", f"door={visitor}", f"hall={pair}")
    entered = [line.split(":")[0].split()[0] for line in lines if "entered happiness" in line]
    assert sorted(entered) == ["door", "hall", "hall"]
    assert lines[-2:] == ["door: 33 frames, 0 dropped", "hall: 12 frames, 0 dropped"]


def test_supervision_takes_the_detections(pair: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.mp4"
    assert _run("supervision_detections.py", pair, out) == ["12 smiles in the left half"]
    capture = cv2.VideoCapture(str(out))
    assert capture.get(cv2.CAP_PROP_FRAME_COUNT) == 12
    assert capture.read()[1].shape == (480, 640, 3)


def _plain(message: Any, fields: Any) -> Any:
    """What a message has in the place of each of the given fields."""
    if isinstance(fields, dict):
        return {name: _plain(getattr(message, name), value) for name, value in fields.items()}
    if isinstance(fields, list):
        assert len(message) == len(fields)
        return [_plain(item, value) for item, value in zip(message, fields, strict=True)]
    return message


def test_ros_messages_come_back_from_a_bag(pair: Path, tmp_path: Path) -> None:
    """Serialised as ROS 2 does (CDR), by a library that knows the fields of the message, and read again."""
    given = [json.loads(line) for line in _run("ros_messages.py", pair)]
    assert len(given) == 12
    with (tmp_path / "faces.mcap").open("wb") as file:
        writer = Writer(file)
        schema = writer.register_msgdef(DETECTION_2D_ARRAY, definition())
        for fields in given:
            writer.write_message("/faces", schema, fields)
        writer.finish()
    with (tmp_path / "faces.mcap").open("rb") as file:
        bag = make_reader(file, decoder_factories=[DecoderFactory()])
        read = [item.decoded_message for item in bag.iter_decoded_messages()]
    assert [_plain(message, fields) for message, fields in zip(read, given, strict=True)] == given
    last = read[-1]
    assert last.header.stamp.nanosec == pytest.approx(11 / FPS * 1e9, abs=1e6)
    assert [detection.id for detection in last.detections] == ["1", "2"]
    assert last.detections[0].results[0].hypothesis.class_id == "happiness"
    assert last.detections[0].bbox.center.position.x == pytest.approx(170, abs=40)
    assert last.detections[1].bbox.size_x == pytest.approx(130, abs=30)


def test_the_ros_node_compiles(tmp_path: Path) -> None:
    # It runs where ROS 2 is; here only its syntax can be checked.
    (tmp_path / "ros_node.py").write_text(examples()["ros_node.py"], encoding="utf-8")
    assert compileall.compile_file(tmp_path / "ros_node.py", quiet=1)

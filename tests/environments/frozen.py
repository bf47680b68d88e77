"""Applications packed by PyInstaller find the networks, the engine and the compiled core.

    python -m tests.environments.frozen WHEEL PICTURE

Packs two applications from a fresh virtual environment with the wheel, and runs them without this environment
and without any variable of the shell. They must give what the same programs give unpacked.
"""

import argparse
import json
import socket
import subprocess
import time
import urllib.request
from pathlib import Path
from typing import Any

from tests.environments.fresh import Environment, run

HERE = Path(__file__).parent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("wheel", type=Path)
    parser.add_argument("picture", type=Path, help="with one smiling face")
    options = parser.parse_args()
    folder = options.wheel.resolve().parents[1] / "frozen"
    environment = Environment(folder / "venv")
    environment.install(f"fer_edge[opencv,web] @ {options.wheel.resolve().as_uri()}", "pyinstaller>=6")
    frame = folder / "frame.npy"
    environment.python(
        "import cv2, numpy, sys; numpy.save(sys.argv[2], cv2.imread(sys.argv[1]))",
        options.picture.resolve(),
        frame,
    )
    python = environment.command("python")
    expected = json.loads(run(python, HERE / "frozen_app.py", frame))
    for form in ("--onedir", "--onefile"):
        _check_app(_packed(environment, "frozen_app.py", form), frame, expected)
    command = _packed(environment, "frozen_command.py", "--onedir")
    _check_command(command, options.picture.resolve(), expected)
    _check_page(command, options.picture.resolve(), folder / "frames")


def _packed(environment: Environment, program: str, form: str) -> Path:
    """Packs a program and returns the executable."""
    start = time.monotonic()
    name = f"{Path(program).stem}{form}"
    folder = environment.folder.parent
    paths = ("--distpath", folder / "dist", "--workpath", folder / "work", "--specpath", folder)
    options = (form, "--name", name, "--noconfirm", "--log-level", "ERROR")
    run(environment.command("pyinstaller"), *options, *paths, HERE / program)
    print(f"{program} {form}: packed in {time.monotonic() - start:.0f} s", flush=True)
    executable = folder / "dist" / name
    return executable / name if form == "--onedir" else executable


def _output(*command: object) -> str:
    """The output of a command that has no environment variables."""
    done = subprocess.run(
        list(map(str, command)), env={}, cwd="/", capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"exit code {done.returncode}: {command}\n{done.stdout}\n{done.stderr}")
    return done.stdout


def _check_app(executable: Path, frame: Path, expected: dict[str, Any]) -> None:
    found = json.loads(_output(executable, frame))
    if "site-packages" in found.pop("file"):
        raise SystemExit(f"{executable} runs the installed package")
    if found != {key: value for key, value in expected.items() if key != "file"}:
        raise SystemExit(f"{executable}: got {found}, expected {expected}")
    (face,) = found["faces"]
    if (face["label"], face["abstain_reason"]) != ("happiness", None):
        raise SystemExit(f"{executable}: got {face}, expected happiness")
    if found["kernels"] == "reference":
        raise SystemExit(f"{executable} has no compiled core")
    print(f"  {face['label']} {face['confidence']:.2f}, kernels {found['kernels']}", flush=True)


def _check_command(executable: Path, picture: Path, expected: dict[str, Any]) -> None:
    """The packed command line: OpenCV reads the picture, and doctor finds everything."""
    (face,) = json.loads(_output(executable, "predict", picture, "--json"))["faces"]
    if face["label"] != expected["faces"][0]["label"]:
        raise SystemExit(f"{executable}: got {face}, expected {expected}")
    report = _output(executable, "doctor")
    if "fix:" in report:
        raise SystemExit(report)
    print(f"  predict: {face['label']}; doctor: no problem", flush=True)


def _check_page(executable: Path, picture: Path, frames: Path) -> None:
    """The packed command serves the live page: its files, and the WebSocket that its script opens."""
    frames.mkdir(exist_ok=True)
    for number in range(60):
        copy = frames / f"{number}{picture.suffix}"
        copy.unlink(missing_ok=True)
        copy.symlink_to(picture)
    command = [executable, "stream", frames, "--fps", "1", "--web", "0"]
    with subprocess.Popen(
        list(map(str, command)), env={}, cwd="/", stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        line = process.stderr.readline()
        try:
            url = line.split()[-1]
            for path in ("", "static/page.js", "static/style.css"):
                with urllib.request.urlopen(url + path, timeout=20) as answer:
                    if not answer.read():
                        raise SystemExit(f"{executable}: {url}{path} is empty")
            _check_live(url)
        finally:
            process.terminate()
    if process.returncode != 143:
        raise SystemExit(f"{executable}: exit code {process.returncode}, expected 143")
    print("  live page: its files and its WebSocket", flush=True)


def _check_live(url: str) -> None:
    """The WebSocket answers 101 and sends the first message."""
    host = url.split("/")[2]
    request = (
        f"GET /live HTTP/1.1\r\nHost: {host}\r\nOrigin: http://{host}\r\nConnection: Upgrade\r\n"
        "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    name, _, port = host.partition(":")
    with socket.create_connection((name, int(port)), timeout=20) as connection:
        connection.sendall(request.encode())
        received = b""
        while b'"labels"' not in received:
            part = connection.recv(4096)
            if not part:
                raise SystemExit(f"{url}live: {received!r}")
            received += part
    if not received.startswith(b"HTTP/1.1 101 "):
        raise SystemExit(f"{url}live: {received!r}")


if __name__ == "__main__":
    main()

"""What users of each kind of OpenCV and ONNX Runtime see, with the true wheels from the package index.

    python -m tests.environments.installs WHEEL PICTURE

One fresh virtual environment goes from one state to the next. In each bad state `fer-edge doctor` must name
the problem, and the command that it prints is run and must mend it. onnxruntime-gpu is a double: the wheel of
onnxruntime under the other name, since the true one has 250 MB.
"""

import argparse
import json
import os
import re
import subprocess
import time
import zipfile
from pathlib import Path
from typing import NamedTuple

from tests.environments.fresh import Environment, run

GPU_VERSION = "99.0"
# Modules that only the build with the contributed modules has; it needs no libraries of a desktop.
CONTRIB = "opencv-contrib-python-headless"
HAS_CONTRIB = "import cv2; print(hasattr(getattr(cv2, 'ximgproc', None), 'thinning'))"


class Done(NamedTuple):
    """Exit code and output of a command."""

    code: int
    out: str
    err: str


class Installation:
    """An environment, and the commands that a user types in it."""

    def __init__(self, environment: Environment, wheel: Path, picture: Path, wheels: Path) -> None:
        self.environment, self.wheel, self.picture, self.wheels = environment, wheel, picture, wheels

    def type(self, command: str) -> Done:
        """Runs a shell command with this environment first on PATH."""
        variables = {
            **os.environ,
            "PATH": f"{self.environment.folder / 'bin'}:{os.environ['PATH']}",
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            "PIP_NO_COMPILE": "1",
            "PIP_FIND_LINKS": f"{self.wheels} {os.environ.get('PIP_FIND_LINKS', '')}",
        }
        variables.pop("PYTHONPATH", None)
        done = subprocess.run(
            command,
            shell=True,
            cwd=self.environment.folder,
            env=variables,
            capture_output=True,
            text=True,
            check=False,
        )
        return Done(done.returncode, done.stdout, done.stderr)

    def must(self, command: str) -> str:
        """Runs a command that must succeed; returns its output."""
        done = self.type(command)
        if done.code:
            raise SystemExit(f"{command}: exit code {done.code}\n{done.out}\n{done.err}")
        return done.out

    def predict(self) -> None:
        """The command line must find the smile."""
        (face,) = json.loads(self.must(f"fer-edge predict '{self.picture}' --json"))["faces"]
        expect(face["label"] == "happiness", face)

    def healthy(self) -> None:
        """Doctor finds no problem, and a picture can be processed."""
        report = self.must("fer-edge doctor")
        expect("fix:" not in report, report)
        self.predict()

    def mend(self, state: str, library: str, detail: str) -> str:
        """Doctor must report this state; runs and returns the command that it prints, which must mend it."""
        done = self.type("fer-edge doctor")
        found = re.search(rf"^  (\w+) +{library} +(.*)\n +fix: (.*)$", done.out, re.MULTILINE)
        expect(found is not None and found[1] == state and detail in found[2], done)
        expect(done.code == (0 if state == "absent" else 1), done)
        expect("Traceback" not in done.err and "NumPy 1.x" not in done.err, done)
        assert found is not None
        self.must(found[3])
        self.healthy()
        return found[3]


def expect(condition: bool, seen: object) -> None:
    """Ends the program with what was seen, unless the condition holds."""
    if not condition:
        raise SystemExit(f"not as expected: {seen}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("wheel", type=Path)
    parser.add_argument("picture", type=Path, help="with one smiling face")
    options = parser.parse_args()
    folder = options.wheel.resolve().parents[1] / "installs"
    environment = Environment(folder / "venv")
    user = Installation(environment, options.wheel.resolve(), options.picture.resolve(), folder / "wheels")
    for scenario in (
        _without_opencv,
        _opencv_older_than_numpy,
        _another_opencv,
        _two_opencvs,
        _half_an_opencv,
        _onnxruntime_gpu,
    ):
        start = time.monotonic()
        scenario(user)
        print(f"{scenario.__name__[1:]}: {time.monotonic() - start:.0f} s", flush=True)


def _without_opencv(user: Installation) -> None:
    """The plain installation: a Recognizer works, and predict says what is missing."""
    user.must(f"pip install '{user.wheel}'")
    user.must('python -c "import numpy, fer_edge; fer_edge.Recognizer()(numpy.zeros((9, 9), numpy.uint8))"')
    done = user.type(f"fer-edge predict '{user.picture}'")
    expect((done.code, done.err.count("\n")) == (2, 1), done)
    expect("pip install 'opencv-python-headless>=" in done.err, done)
    user.mend("absent", "cv2", "fer-edge predict needs it")


def _opencv_older_than_numpy(user: Installation) -> None:
    """Pip is content with an OpenCV that was built for NumPy 1 beside NumPy 2."""
    user.must("pip install opencv-python-headless==4.8.1.78")
    user.must("pip check")
    done = user.type(f"fer-edge predict '{user.picture}'")
    expect((done.code, done.err.count("\n")) == (2, 1), done)
    user.mend("broken", "cv2", "numpy")


def _another_opencv(user: Installation) -> None:
    """A plain installation leaves another build of OpenCV as it is."""
    user.must(f"pip uninstall -y fer_edge opencv-python-headless && pip install {CONTRIB}")
    user.must(f"pip install '{user.wheel}'")
    expect(user.must(f'python -c "{HAS_CONTRIB}"') == "True\n", "the contributed modules are lost")
    user.must("pip check")
    user.healthy()


def _two_opencvs(user: Installation) -> None:
    """The extra `opencv` beside another build overwrites it; doctor brings the other back."""
    user.must(f"pip install '{user.wheel}[opencv]'")
    expect(user.must(f'python -c "{HAS_CONTRIB}"') == "False\n", "nothing was overwritten")
    user.mend("double", "cv2", "opencv-contrib-python-headless")
    expect(user.must(f'python -c "{HAS_CONTRIB}"') == "True\n", "the contributed modules are lost")


def _half_an_opencv(user: Installation) -> None:
    """One of two builds was uninstalled, which took the files of both and left a folder."""
    user.must("pip install opencv-python-headless && pip uninstall -y opencv-python-headless")
    folder = user.must("python -c \"import sysconfig; print(sysconfig.get_path('purelib'))\"").strip()
    (Path(folder) / "cv2/left").mkdir(parents=True, exist_ok=True)
    done = user.type(f"fer-edge predict '{user.picture}'")
    expect((done.code, done.err.count("\n")) == (2, 1), done)
    expect("has no cv2.imdecode" in done.err and "pip install --force-reinstall" in done.err, done)
    command = user.mend("broken", "cv2", "has no cv2.imdecode")
    expect(CONTRIB in command, command)


def _onnxruntime_gpu(user: Installation) -> None:
    """`pip install --no-deps` leaves onnxruntime-gpu alone; doctor mends what a plain installation does."""
    user.must("pip uninstall -y fer_edge onnxruntime")
    user.wheels.mkdir(exist_ok=True)
    run(user.environment.command("pip"), "download", "-q", "--no-deps", "-d", user.wheels, "onnxruntime")
    (original,) = user.wheels.glob("onnxruntime-*.whl")
    _renamed(original)
    user.must(f"pip install onnxruntime-gpu=={GPU_VERSION}")
    user.must(f"pip install --no-deps '{user.wheel}'")
    user.healthy()
    user.must(f"pip install '{user.wheel}'")
    command = user.mend("double", "onnxruntime", f"onnxruntime-gpu {GPU_VERSION}")
    expect(command.endswith(f"--no-deps onnxruntime-gpu=={GPU_VERSION}"), command)


def _renamed(wheel: Path) -> None:
    """Writes a copy of a wheel of onnxruntime with the name onnxruntime-gpu and the version GPU_VERSION."""
    version = wheel.name.split("-")[1]
    old, new = f"onnxruntime-{version}.dist-info", f"onnxruntime_gpu-{GPU_VERSION}.dist-info"
    copy = wheel.with_name(wheel.name.replace(f"onnxruntime-{version}", f"onnxruntime_gpu-{GPU_VERSION}"))
    with zipfile.ZipFile(wheel) as source, zipfile.ZipFile(copy, "w") as target:
        for name in source.namelist():
            data = source.read(name)
            if name == f"{old}/METADATA":
                data = data.replace(b"Name: onnxruntime\n", b"Name: onnxruntime-gpu\n", 1)
                data = data.replace(f"Version: {version}\n".encode(), f"Version: {GPU_VERSION}\n".encode(), 1)
            elif name == f"{old}/RECORD":
                # Without the hash of METADATA, which has changed; pip accepts a record without hashes.
                lines = data.decode().replace(old, new).splitlines()
                data = "".join(f"{line.split(',')[0]},,\n" for line in lines).encode()
            target.writestr(name.replace(old, new), data)


if __name__ == "__main__":
    main()

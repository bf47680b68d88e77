"""The images in docker/: their syntax, and that what they install and run is in this project.

No image was built: that needs NVIDIA's base images, and for Jetson an aarch64 machine.
"""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from fer_edge.cli import main

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "docker").glob("*.Dockerfile"))
pytestmark = pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)


def test_there_are_images(path: Path) -> None:
    assert {file.stem for file in FILES} == {"desktop", "jetpack6", "jetpack7"}
    assert path.read_text().startswith("# syntax=docker/dockerfile:1\n")


def test_the_linter_finds_nothing(path: Path, tmp_path: Path) -> None:
    hadolint = Path(sys.executable).parent / "hadolint"
    config = ROOT / ".hadolint.yaml"
    done = subprocess.run([hadolint, "--config", config, path], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    # It would have found an instruction that does not exist, and a mistake in a shell command.
    for wrong in ("RUM true", "RUN if true"):
        broken = tmp_path / "broken.Dockerfile"
        broken.write_text(f"{path.read_text()}{wrong}\n")
        assert subprocess.run(
            [hadolint, "--config", config, broken], capture_output=True, check=False
        ).returncode


def test_the_extras_that_are_installed_exist(path: Path) -> None:
    project = (ROOT / "pyproject.toml").read_text()
    declared = project.partition("[project.optional-dependencies]")[2].partition("\n[")[0]
    (extras,) = re.findall(r"pip install [^\n]*'/source\[(.+)\]'", path.read_text())
    assert set(extras.split(",")) <= set(re.findall(r"^(\w+) = \[", declared, re.MULTILINE))


def test_the_commands_exist(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = path.read_text()
    (default,) = re.findall(r"^CMD (\[.+\])$", text, re.MULTILINE)
    built = re.findall(r"build face-luma .*--out \S+", text)
    assert len(built) == 1
    for command in (json.loads(default), shlex.split(built[0].replace('"$TARGET"', "rtx"))):
        # With --help, the arguments before it are checked, and nothing is run.
        with pytest.raises(SystemExit) as ended:
            main([*command, "--help"])
        assert ended.value.code == 0
        assert capsys.readouterr().err == ""


def test_what_is_copied_into_an_image_exists(path: Path) -> None:
    copied = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    assert "setup.py" in copied
    assert [name for name in copied if not (ROOT / name).exists()] == []
    assert "--mount=type=bind,target=/source,rw" in path.read_text()

"""The context of a measurement: what the machine says of itself, also where it says nothing."""

import os
import platform
import subprocess
from pathlib import Path
from typing import Any

import pytest

import fer_edge
from fer_edge import ops
from fer_edge.benchmark.measure import context
from fer_edge.device import processor


@pytest.fixture
def proc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A double of /proc, for other processors than the one that is there."""
    monkeypatch.setattr(context, "Path", lambda path: tmp_path / Path(path).relative_to("/proc"))
    monkeypatch.setattr(processor, "CPUINFO", tmp_path / "cpuinfo")
    return tmp_path


def test_everything_is_there_in_this_order() -> None:
    found = context.context()
    assert list(found) == [
        "processor",
        "instruction_sets",
        "cores",
        "system",
        "python",
        "fer_edge",
        "commit",
        "ops",
        "packages",
        "load_average",
        "stolen_percent",
    ]
    assert (found["cores"], found["system"]) == (len(os.sched_getaffinity(0)), platform.platform())
    assert (found["python"], found["fer_edge"]) == (platform.python_version(), fer_edge.__version__)
    assert (found["ops"], found["processor"]) == (ops.target, context.context()["processor"])
    packages: Any = found["packages"]
    assert list(packages) == ["numpy", "onnxruntime", "opencv-python-headless"]
    assert all(version[0].isdigit() for version in packages.values())
    assert isinstance(found["load_average"], float)


def test_only_the_cores_of_this_process_count() -> None:
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})
    try:
        assert context.context()["cores"] == 1
    finally:
        os.sched_setaffinity(0, cores)


def test_the_load_is_that_of_the_last_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getloadavg", lambda: (1.5, 2.5, 3.5))
    assert context.context()["load_average"] == 1.5


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("flags\t\t: sse2 avx512_vnni avx2 fma\nflags\t\t: amx_int8\n", ["avx2", "avx512_vnni"]),
        ("Features\t: fp asimddp asimd\n", ["asimd", "asimddp"]),
        (
            "flags\t\t: amx_int8 avx512_bf16 avx512_vnni avx_vnni avx512f avx2\n",
            ["avx2", "avx512f", "avx_vnni", "avx512_vnni", "avx512_bf16", "amx_int8"],
        ),
        ("flags\t\t: avx2x\n", []),
        (None, []),
    ],
)
def test_the_instruction_sets_in_the_order_of_the_table(
    proc: Path, content: str | None, expected: list[str]
) -> None:
    if content:
        (proc / "cpuinfo").write_text(content, "utf-8")
    assert context.context()["instruction_sets"] == expected


def test_the_processors_name(proc: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (proc / "cpuinfo").write_text("processor\t: 0\nmodel name\t: A: B 3 \nmodel name\t: other\n", "utf-8")
    assert context.context()["processor"] == "A: B 3"
    # Without a name, as on many ARM boards, and without the file.
    for content in ("processor\t: 0\n", None):
        (proc / "cpuinfo").unlink()
        if content:
            (proc / "cpuinfo").write_text(content, "utf-8")
        for name in ("arm", ""):
            monkeypatch.setattr(platform, "processor", lambda name=name: name)
            assert context.context()["processor"] == (name or platform.machine())
        (proc / "cpuinfo").touch()


def test_time_that_other_guests_had(proc: Path) -> None:
    assert context.context()["stolen_percent"] is None
    # User, nice, system, idle, iowait, irq, softirq, steal; the guests' time after it is part of user's.
    (proc / "stat").write_text("cpu  100 1 200 300 2 3 4 205 50 60\ncpu0 9 9 9 9 9 9 9 9 9 9\n", "utf-8")
    assert context.context()["stolen_percent"] == round(100 * 205 / 815, 1)


def test_the_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert context.context()["commit"] == "unknown"
    for arguments in (
        ["init"],
        ["-c", "user.name=n", "-c", "user.email=e", "commit", "--allow-empty", "-m", "m"],
    ):
        subprocess.run(["git", *arguments], check=True, capture_output=True)
    head = subprocess.run(["git", "rev-parse", "HEAD"], check=True, capture_output=True, text=True)
    clean = context.context()["commit"]
    assert clean
    assert head.stdout.startswith(str(clean))
    (tmp_path / "file").write_text("a")
    subprocess.run(["git", "add", "file"], check=True, capture_output=True)
    assert context.context()["commit"] == f"{clean}-dirty"

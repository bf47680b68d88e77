"""What a board says of itself, from files as Jetson has them."""

from pathlib import Path

import pytest

from fer_edge import models
from fer_edge.benchmark.measure import board as boards
from fer_edge.benchmark.measure.board import board, machine


def write(root: Path, files: dict[str, str]) -> None:
    """Makes files below a folder."""
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")


def test_a_jetson(tmp_path: Path) -> None:
    cpu = "sys/devices/system/cpu/cpu0/cpufreq"
    write(
        tmp_path,
        {
            "proc/device-tree/model": "NVIDIA Jetson Orin Nano Developer Kit\0",
            "var/lib/nvpmodel/status": "pmode:0001\n",
            f"{cpu}/scaling_governor": "schedutil\n",
            f"{cpu}/scaling_cur_freq": "729600\n",
            f"{cpu}/scaling_max_freq": "1510400\n",
            "sys/class/thermal/thermal_zone0/type": "cpu-thermal\n",
            "sys/class/thermal/thermal_zone0/temp": "48562\n",
        },
    )
    assert board(tmp_path) == {
        "model": "NVIDIA Jetson Orin Nano Developer Kit",
        "power_mode": "pmode:0001",
        "governor": "schedutil",
        "clock_mhz": 729.6,
        "max_clock_mhz": 1510.4,
        "temperatures": {"cpu-thermal": 48.562},
    }


def test_a_machine_that_says_nothing(tmp_path: Path) -> None:
    found = board(tmp_path)
    assert found.pop("temperatures") == {}
    assert set(found.values()) == {None}


def test_the_commit_is_that_of_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = machine(tmp_path)
    # Not that of the folder in which the command runs.
    monkeypatch.chdir(tmp_path)
    assert machine(tmp_path)["commit"] == here["commit"]
    assert here["board"]["model"] is None
    # An installed package has none, even inside of another repository.
    monkeypatch.setattr(boards, "PACKAGE", tmp_path / "site-packages/fer_edge")
    monkeypatch.chdir(models.WEIGHTS)
    assert machine(tmp_path)["commit"] is None

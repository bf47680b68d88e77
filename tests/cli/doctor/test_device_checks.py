"""`fer-edge doctor` on the files of Jetsons and of a machine without a GPU."""

from pathlib import Path

import pytest
from doctor_findings import BUILD, NO_GPU, Examine, fixes
from recorded_machines import NAMES, write_machine

from fer_edge.cli import main
from fer_edge.cli.doctor.device_checks import device_checks
from fer_edge.device.machine import read_machine

STATUS = "var/lib/dpkg/status"
CLOCKS = "sudo jetson_clocks"
FLASH = "flash JetPack 6.1 or later: https://developer.nvidia.com/embedded/jetpack"


def test_an_orin_nano_whose_fastest_mode_is_15_watts(examine: Examine, engines: Path) -> None:
    found = examine("orin-nano-jetpack-6.1")
    assert {name: finding.detail for name, finding in found.items()} == {
        "board": "NVIDIA Jetson Orin Nano Developer Kit (Orin, compute capability 8.7), "
        "7.4 GiB of memory for CPU and GPU together",
        "jetpack": "6.1 (Jetson Linux 36.4.0)",
        "driver": "540.4.0",
        "power mode": "15W (mode 0), the fastest of this board",
        "clocks": "not locked: CPU 729 to 1510 MHz, GPU 306 to 624 MHz",
        "cuda": "12.6.11",
        "tensorrt": "10.3.0",
        "pycuda": "not installed; engines can be built but not run",
        "engines": f"none in {engines}",
    }
    assert found["clocks"].state == "slow"
    assert fixes(found) == {
        "clocks": CLOCKS,
        "pycuda": "pip install 'fer_edge[gpu]'",
        "engines": f"{BUILD} this --out {engines}",
    }


def test_an_orin_nano_that_is_held_back(examine: Examine) -> None:
    found = examine("orin-nano-jetpack-6.2")
    assert found["jetpack"].detail == "6.2 (Jetson Linux 36.4.3)"
    # Its fastest mode is not number 0.
    assert found["power mode"] == (
        "slow",
        "25W (mode 1); MAXN_SUPER (mode 2) is the fastest of this board",
        "sudo nvpmodel -m 2",
    )


def test_an_orin_on_which_everything_is_done(examine: Examine, engines: Path) -> None:
    (engines / "tensorrt-10.3.0-orin").mkdir()
    for name in ("face-luma.plan", "tkfnet-nano-float32.plan"):
        (engines / "tensorrt-10.3.0-orin" / name).touch()
    found = examine("agx-orin-jetpack-6.2.2")
    assert fixes(found) == {}
    assert found["power mode"].detail == "MAXN (mode 0), the fastest of this board"
    assert found["clocks"].detail == "locked: CPU 2201 MHz, GPU 1300 MHz"
    assert found["pycuda"].detail == "2026.1"
    assert found["engines"].detail == f"2 in {engines}; fer-edge engines verify checks them"


def test_thors(examine: Examine) -> None:
    found = examine("thor-jetpack-7.0")
    assert found["board"].detail.startswith(
        "NVIDIA Jetson AGX Thor Developer Kit (Thor, compute capability 11.0)"
    )
    # This JetPack has no version.json.
    assert [found[name].detail for name in ("jetpack", "cuda", "tensorrt")] == [
        "7.0 (Jetson Linux 38.2.0)",
        "13.0.0",
        "10.13.3.9",
    ]
    assert found["power mode"].fix == "sudo nvpmodel -m 0"
    assert found["clocks"].detail == "not locked: CPU 972 to 2601 MHz, GPU 315 to 1575 MHz"
    found = examine("thor-jetpack-7.2")
    assert found["jetpack"].detail == "7.2 (Jetson Linux 39.2.0); the package nvidia-jetpack is not installed"
    assert fixes(found) == {
        "clocks": CLOCKS,
        "tensorrt": "sudo apt update && sudo apt install nvidia-jetpack",
    }


def test_one_clock_that_is_not_locked(examine: Examine) -> None:
    low = {"sys/devices/system/cpu/cpu3/cpufreq/scaling_min_freq": "729600\n"}
    assert examine("agx-orin-jetpack-6.2.2", low)["clocks"] == (
        "slow",
        "not locked: CPU 729 to 2201 MHz, GPU 1300 to 1300 MHz",
        CLOCKS,
    )


@pytest.mark.parametrize(
    ("status", "conf", "state", "detail"),
    [
        ("pmode:0007\n", None, "ok", "unnamed (mode 7)"),
        ("", None, "slow", "25W (mode 1); MAXN_SUPER (mode 2) is the fastest of this board"),
        ("pmode:0000\n", "< POWER_MODEL ID=0 NAME=QUIET >\n", "ok", "QUIET (mode 0)"),
        (
            "pmode:0002\n",
            "< POWER_MODEL ID=2 NAME=MODE_15W_6CORE >\n< POWER_MODEL ID=7 NAME=MODE_20W_4CORE >\n"
            "< POWER_MODEL ID=8 NAME=MODE_20W_6CORE >\n< POWER_MODEL ID=1 NAME=MODE_15W_4CORE >\n",
            "slow",
            "MODE_15W_6CORE (mode 2); MODE_20W_6CORE (mode 8) is the fastest of this board",
        ),
    ],
)
def test_power_modes(examine: Examine, status: str, conf: str | None, state: str, detail: str) -> None:
    changes = {"var/lib/nvpmodel/status": status} | ({"etc/nvpmodel.conf": conf} if conf else {})
    found = examine("orin-nano-jetpack-6.2", changes)["power mode"]
    assert (found.state, found.detail) == (state, detail)


def _release(major: int, revision: str) -> dict[str, str | None]:
    line = f"# R{major} (release), REVISION: {revision}, GCID: 1, BOARD: generic, EABI: aarch64\n"
    return {"etc/nv_tegra_release": line}


def _package(name: str, version: str) -> str:
    return f"Package: {name}\nStatus: install ok installed\nVersion: {version}\n\n"


BINDINGS = "usr/lib/python3.10/dist-packages/tensorrt-10.3.0.dist-info/METADATA"
OLD_BINDINGS = "usr/lib/python3.10/dist-packages/tensorrt-8.6.2.dist-info/METADATA"
UNINSTALLED = (
    "Package: python3-libnvinfer\nStatus: deinstall ok config-files\nVersion: 10.3.0.30-1+cuda12.5\n\n"
)


@pytest.mark.parametrize(
    ("changes", "detail", "fix"),
    [
        (
            {BINDINGS: None, STATUS: _package("libnvinfer10", "10.3.0.30-1+cuda12.5") + UNINSTALLED},
            "installed without its Python bindings; the CPU answers",
            "sudo apt install python3-libnvinfer",
        ),
        (
            # The bindings of apt are there, but this Python does not find them.
            {BINDINGS: None},
            "10.3.0.30 is installed for the system's Python, which this one does not see; the CPU answers",
            "/usr/bin/python3 -m venv --system-site-packages .venv",
        ),
        (
            {BINDINGS: None, OLD_BINDINGS: "", STATUS: "", **_release(36, "3.0")},
            "8.6.2 is not supported, 10.3 or later and below 12 is; the CPU answers",
            "sudo sed -i 's/r36\\.[0-9]*/r36.4/' /etc/apt/sources.list.d/nvidia-l4t-apt-source.list "
            "&& sudo apt update && sudo apt dist-upgrade",
        ),
        (
            {BINDINGS: None, STATUS: "", **_release(35, "4.1")},
            "this JetPack has none that is supported; the CPU answers",
            FLASH,
        ),
    ],
)
def test_a_jetson_whose_tensorrt_cannot_be_used(
    examine: Examine, changes: dict[str, str | None], detail: str, fix: str
) -> None:
    found = examine("orin-nano-jetpack-6.2", changes)
    assert found["tensorrt"] == ("absent", detail, fix)
    assert "engines" not in found


def test_a_virtual_environment_without_the_packages_of_the_system(tmp_path: Path) -> None:
    root = write_machine("orin-nano-jetpack-6.2", tmp_path)
    machine = read_machine(root, python_path=[root / "home/user/.venv/lib/python3.10/site-packages"])
    (check,) = (check for check in device_checks(machine, None) if check.name == "tensorrt")
    assert check.state == "absent"
    assert check.detail.startswith("10.3.0 is installed for the system's Python")
    assert check.fix == "/usr/bin/python3 -m venv --system-site-packages .venv"


def test_a_board_that_is_too_old(examine: Examine) -> None:
    changes = {
        "proc/device-tree/model": "NVIDIA Jetson Xavier NX Developer Kit\n",
        "proc/device-tree/compatible": "nvidia,p3509-0000+p3668-0001\nnvidia,tegra194\n",
        **_release(35, "4.1"),
    }
    found = examine("orin-nano-jetpack-6.2", changes)
    assert found["jetpack"].detail.endswith("(Jetson Linux 35.4.1)")
    assert found["tensorrt"][:2] == ("absent", "no supported version runs on this board; the CPU answers")


def test_a_board_with_little_memory_builds_with_less(examine: Examine, engines: Path) -> None:
    found = examine("orin-nano-jetpack-6.2", {"proc/meminfo": "MemTotal:        3850000 kB\n"})
    assert found["engines"].fix == f"{BUILD} this --workspace 512 --out {engines}"


def test_a_container_that_hides_the_device_tree(examine: Examine) -> None:
    changes = {"proc/device-tree/model": None, "proc/device-tree/compatible": None}
    found = examine("orin-nano-jetpack-6.2", changes)
    assert found["board"].detail.startswith("a Jetson of unknown model, 7.4 GiB")
    assert found["tensorrt"].detail == "10.3.0"
    found = examine(
        "thor-jetpack-7.0", changes | {"sys/devices/soc0/machine": "NVIDIA Jetson AGX Thor Developer Kit\n"}
    )
    assert found["board"].detail.startswith(
        "NVIDIA Jetson AGX Thor Developer Kit (Thor, compute capability 11.0)"
    )


def test_a_machine_without_nvidia(examine: Examine) -> None:
    assert examine("no-nvidia") == {"gpu": ("ok", NO_GPU, "")}


def test_without_a_folder_of_engines_the_next_command_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = write_machine("agx-orin-jetpack-6.2.2", tmp_path)
    assert main(["doctor", "--root", str(root)]) == 0
    assert capsys.readouterr().out.endswith(
        "  absent   engines      not looked for; --engines FOLDER says where they are\n"
        f"{'':24}fix: {BUILD} this\n"
    )


def test_an_empty_folder_and_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--root", str(tmp_path)]) == 0
    assert capsys.readouterr().out == f"  ok       gpu          {NO_GPU}\n"
    assert main(["doctor", "--root", str(tmp_path / "none")]) == 2
    assert capsys.readouterr().err == f"fer-edge: {tmp_path / 'none'} is no folder\n"


@pytest.mark.parametrize("name", NAMES)
def test_all_findings_have_a_next_command(examine: Examine, name: str) -> None:
    fixes(examine(name))

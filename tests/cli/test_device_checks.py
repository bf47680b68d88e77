"""`fer-edge doctor` on the files of Jetsons, of a desktop with an RTX card and of a machine without a GPU."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import mkdtemp
from typing import NamedTuple

import pytest
from recorded_machines import NAMES, write_file, write_machine

from fer_edge.cli import main
from fer_edge.cli.device_checks import device_checks
from fer_edge.device.machine import read_machine

STATUS = "var/lib/dpkg/status"
BUILD = "fer-edge build face-luma tkfnet-nano-float32 --for"
CLOCKS = "sudo jetson_clocks"
NO_GPU = "no NVIDIA GPU; the CPU answers"
FLASH = "flash JetPack 6.1 or later: https://developer.nvidia.com/embedded/jetpack"


class Finding(NamedTuple):
    """A finding as printed."""

    state: str
    detail: str
    fix: str


Examine = Callable[..., dict[str, Finding]]


@pytest.fixture
def engines(tmp_path: Path) -> Path:
    """An empty folder of engines."""
    folder = tmp_path / "engines"
    folder.mkdir()
    return folder


@pytest.fixture
def examine(tmp_path: Path, engines: Path, capsys: pytest.CaptureFixture[str]) -> Examine:
    """Runs doctor on a recorded machine, with some files changed; None removes a file."""

    def run(name: str, changes: Mapping[str, str | None] | None = None) -> dict[str, Finding]:
        root = write_machine(name, Path(mkdtemp(dir=tmp_path)))
        for path, content in (changes or {}).items():
            if content is None:
                (root / path).unlink()
                if not list((root / path).parent.iterdir()):
                    (root / path).parent.rmdir()
            else:
                write_file(root, path, content)
        assert main(["doctor", "--root", str(root), "--engines", str(engines)]) == 0
        found: dict[str, Finding] = {}
        for line in capsys.readouterr().out.splitlines():
            if fix := re.fullmatch(r" {24}fix: (.+)", line):
                last = list(found)[-1]
                found[last] = found[last]._replace(fix=fix[1])
            else:
                found[line[11:23].rstrip()] = Finding(line[2:9].rstrip(), line[24:], "")
        return found

    return run


def _fixes(found: Mapping[str, Finding]) -> dict[str, str]:
    assert all((finding.fix != "") == (finding.state != "ok") for finding in found.values())
    return {name: finding.fix for name, finding in found.items() if finding.fix}


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
    assert _fixes(found) == {
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
    assert _fixes(found) == {}
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
    assert _fixes(found) == {
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


INFORMATION = "proc/driver/nvidia/gpus/0000:01:00.0/information"
VERSION = "proc/driver/nvidia/version"
SITE = "usr/local/lib/python3.12/dist-packages"


def test_a_desktop_from_nothing_to_engines(examine: Examine, engines: Path) -> None:
    found = examine("desktop-rtx-4090")
    assert [found[name].detail for name in ("gpu", "driver")] == ["NVIDIA GeForce RTX 4090", "580.95.05"]
    assert _fixes(found) == {"tensorrt-rtx": "pip install 'fer_edge[rtx]'"}
    product = {f"{SITE}/tensorrt_rtx_cu13_bindings-1.7.1.116.dist-info/METADATA": ""}
    found = examine("desktop-rtx-4090", product)
    assert found["tensorrt-rtx"] == ("ok", "1.7.1.116", "")
    assert _fixes(found) == {
        "pycuda": "sudo apt install nvidia-cuda-toolkit && pip install 'fer_edge[gpu]'",
        "engines": f"{BUILD} rtx --out {engines}",
    }
    toolkit = {"usr/local/cuda/version.json": '{"cuda": {"name": "CUDA SDK", "version": "13.0.2"}}'}
    found = examine("desktop-rtx-4090", product | toolkit)
    assert found["cuda"].detail == "13.0.2"
    assert found["pycuda"].fix == "pip install 'fer_edge[gpu]'"
    (engines / "face-luma.plan").touch()
    found = examine("desktop-rtx-4090", product | {f"{SITE}/pycuda-2024.1-py3.12.egg-info/PKG-INFO": ""})
    assert _fixes(found) == {}


@pytest.mark.parametrize(
    ("name", "product", "build"),
    [
        ("NVIDIA GeForce RTX 2080 Ti", "tensorrt_rtx_cu13_bindings-1.7.1.116", "turing"),
        ("Quadro RTX 4000", "tensorrt_rtx_cu13_bindings-1.7.1.116", "turing"),
        ("NVIDIA RTX 2000 Ada Generation", "tensorrt_rtx-1.7.1.116", "rtx"),
        ("NVIDIA H100 80GB HBM3", "tensorrt-10.16.0", "this"),
        ("NVIDIA A100-SXM4-40GB", "tensorrt-11.4.0", "this"),
    ],
)
def test_the_product_and_target_of_a_card(
    examine: Examine, engines: Path, name: str, product: str, build: str
) -> None:
    changes = {INFORMATION: f"Model: \t\t {name}\n", f"{SITE}/{product}.dist-info/METADATA": ""}
    found = examine("desktop-rtx-4090", changes)
    assert found["gpu"].detail == name
    assert found["engines"].fix == f"{BUILD} {build} --out {engines}"


def test_cards_and_products_that_do_not_fit(examine: Examine) -> None:
    found = examine("desktop-rtx-4090", {INFORMATION: "Model: \t\t NVIDIA GeForce GTX 1080\n"})
    assert found["tensorrt"][:2] == ("absent", "no supported version runs on this GPU; the CPU answers")
    old = {f"{SITE}/tensorrt_rtx_cu13_bindings-1.2.0.54.dist-info/METADATA": ""}
    assert examine("desktop-rtx-4090", old)["tensorrt-rtx"] == (
        "absent",
        "1.2.0.54 is not supported, 1.7 or later and below 2 is; the CPU answers",
        "pip install 'fer_edge[rtx]'",
    )
    old = {INFORMATION: "Model: \t\t NVIDIA L4\n", f"{SITE}/tensorrt-10.2.0.dist-info/METADATA": ""}
    assert examine("desktop-rtx-4090", old)["tensorrt"].fix == "pip install --upgrade 'tensorrt>=10.3,<12'"


def test_a_desktop_without_a_driver_or_with_an_old_one(examine: Examine) -> None:
    install = "sudo ubuntu-drivers install && sudo reboot"
    found = examine("desktop-rtx-4090", {VERSION: None, INFORMATION: None})
    # The sound device of the card is not a GPU.
    assert found["gpu"].detail == "NVIDIA GPU"
    assert found["driver"] == ("absent", "not installed or not loaded; the CPU answers", install)
    line = "NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.14  Thu Feb 22 01:44:30 UTC 2024\n"
    found = examine("desktop-rtx-4090", {VERSION: line, "etc/os-release": "ID=arch\n"})
    assert found["driver"] == (
        "absent",
        "550.54.14 is too old for TensorRT for RTX, which needs 580; the CPU answers",
        "install the driver from https://www.nvidia.com/drivers",
    )


def test_a_gpu_under_windows(examine: Examine) -> None:
    found = examine("no-nvidia", {"usr/lib/wsl/lib/libcuda.so.1": ""})
    assert found["gpu"].detail == found["driver"].detail == "that of Windows"
    assert found["tensorrt-rtx"].fix == "pip install 'fer_edge[rtx]'"


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
    _fixes(examine(name))

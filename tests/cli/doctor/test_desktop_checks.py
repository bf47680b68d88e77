"""`fer-edge doctor` on the files of a desktop with an RTX card."""

from pathlib import Path

import pytest
from doctor_findings import BUILD, Examine, fixes

INFORMATION = "proc/driver/nvidia/gpus/0000:01:00.0/information"
VERSION = "proc/driver/nvidia/version"
SITE = "usr/local/lib/python3.12/dist-packages"


def test_a_desktop_from_nothing_to_engines(examine: Examine, engines: Path) -> None:
    found = examine("desktop-rtx-4090")
    assert [found[name].detail for name in ("gpu", "driver")] == ["NVIDIA GeForce RTX 4090", "580.95.05"]
    assert fixes(found) == {"tensorrt-rtx": "pip install 'fer_edge[rtx]'"}
    product = {f"{SITE}/tensorrt_rtx_cu13_bindings-1.7.1.116.dist-info/METADATA": ""}
    found = examine("desktop-rtx-4090", product)
    assert found["tensorrt-rtx"] == ("ok", "1.7.1.116", "")
    assert fixes(found) == {
        "pycuda": "sudo apt install nvidia-cuda-toolkit && pip install 'fer_edge[gpu]'",
        "engines": f"{BUILD} rtx --out {engines}",
    }
    toolkit = {"usr/local/cuda/version.json": '{"cuda": {"name": "CUDA SDK", "version": "13.0.2"}}'}
    found = examine("desktop-rtx-4090", product | toolkit)
    assert found["cuda"].detail == "13.0.2"
    assert found["pycuda"].fix == "pip install 'fer_edge[gpu]'"
    (engines / "face-luma.plan").touch()
    found = examine("desktop-rtx-4090", product | {f"{SITE}/pycuda-2024.1-py3.12.egg-info/PKG-INFO": ""})
    assert fixes(found) == {}


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

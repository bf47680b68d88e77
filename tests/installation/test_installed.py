"""Which distributions own a module, and the command that mends each bad state."""

import sys
from importlib import metadata
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from made_installation import WORKING_CV2, Site
from packaging.requirements import Requirement

from fer_edge.installation import installed
from fer_edge.installation.installed import Owner


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    """A site-packages with a working cv2 that nothing owns."""
    made = Site(tmp_path / "site", monkeypatch)
    made.add_module("cv2", {"__init__.py": WORKING_CV2})
    return made


def test_the_owners_of_this_environment() -> None:
    assert Owner("onnxruntime", onnxruntime.__version__) in installed.owners("onnxruntime")
    assert installed.owners("numpy") == [Owner("numpy", np.__version__)]


@pytest.mark.parametrize(
    ("names", "first"),
    [
        (("opencv-python-headless", "opencv-python"), "opencv-python"),
        (("opencv-python", "opencv-contrib-python"), "opencv-contrib-python"),
        (("opencv-contrib-python-headless", "opencv-python-headless"), "opencv-contrib-python-headless"),
        (("opencv-python-headless", "opencv-of-a-vendor"), "opencv-of-a-vendor"),
    ],
)
def test_the_build_with_most_features_is_kept(site: Site, names: tuple[str, ...], first: str) -> None:
    for name in names:
        site.add(name, "4.12.0.88", "cv2")
    owners = installed.owners("cv2")
    assert {owner.name for owner in owners} == set(names)
    assert owners[0] == Owner(first, "4.12.0.88")
    others = " ".join(owner.name for owner in owners)
    expected = f"pip uninstall -y {others} && pip install --no-deps {first}==4.12.0.88"
    assert installed.keep_one(owners) == installed.command_that_mends("cv2", "whatever") == expected


def test_the_gpu_build_of_the_engine_is_kept(site: Site) -> None:
    site.add_module("onnxruntime", {"__init__.py": ""})
    site.add("onnxruntime", "1.32.0", "onnxruntime")
    site.add("onnxruntime_gpu", "1.31.1", "onnxruntime")
    assert list(map(str, installed.owners("onnxruntime"))) == ["onnxruntime-gpu 1.31.1", "onnxruntime 1.32.0"]


def test_a_hidden_copy_in_another_folder_is_no_second_owner(site: Site) -> None:
    # The true OpenCV of this environment comes later on sys.path.
    assert any(name.startswith("opencv") for name in metadata.packages_distributions()["cv2"])
    site.add("opencv-python", "4.13.0.92", "cv2")
    assert installed.owners("cv2") == [Owner("opencv-python", "4.13.0.92")]


@pytest.mark.parametrize(
    ("name", "version", "reason", "command"),
    [
        (
            "opencv-python",
            "4.8.1.78",
            "numpy.core.multiarray failed to import",
            "pip install --upgrade 'opencv-python>=4.10.0.84'",
        ),
        (
            "opencv-python",
            "4.13.0.92",
            "libGL.so.1: cannot open shared object file: No such file or directory",
            "pip uninstall -y opencv-python && pip install opencv-python-headless",
        ),
        (
            "opencv-python-headless",
            "4.13.0.92",
            "libz.so: cannot open shared object file",
            "pip install --force-reinstall --no-deps opencv-python-headless==4.13.0.92",
        ),
        (
            "opencv-contrib-python",
            "4.10.0.84",
            "has no cv2.imdecode",
            "pip install --force-reinstall --no-deps opencv-contrib-python==4.10.0.84",
        ),
    ],
)
def test_the_command_for_one_owner(site: Site, name: str, version: str, reason: str, command: str) -> None:
    site.add(name, version, "cv2")
    assert installed.command_that_mends("cv2", reason) == command


@pytest.mark.parametrize(
    ("reason", "command"),
    [
        # A copy of the system, built for NumPy 1.
        ("numpy.core.multiarray failed to import", "pip install 'numpy<2'"),
        ("has no cv2.imdecode", "pip install 'opencv-python-headless>=4.10.0.84'"),
    ],
)
def test_the_command_where_nothing_owns_the_module(site: Site, reason: str, command: str) -> None:
    assert installed.owners("cv2") == []
    assert installed.command_that_mends("cv2", reason) == command


def test_a_file_of_the_user_with_the_name_of_a_library(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = tmp_path / "onnxruntime.py"
    mine.touch()
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "onnxruntime", raising=False)
    command = installed.command_that_mends("onnxruntime", f"{mine} has no onnxruntime.InferenceSession")
    assert command == f"mv {mine} {tmp_path / 'my_onnxruntime.py'}"


def test_the_bounds_are_those_of_the_package() -> None:
    # Without the bounds of later Pythons, which hold for what has wheels there.
    stated = {}
    for line in metadata.requires("fer_edge") or []:
        requirement = Requirement(line)
        if "python_version" not in str(requirement.marker or ""):
            stated[requirement.name] = str(requirement.specifier)
    for requirement in map(Requirement, installed.REQUIREMENTS.values()):
        assert stated[requirement.name] == str(requirement.specifier)

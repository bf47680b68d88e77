"""Reading a machine: what is damaged or unreadable counts as absent, and nothing is imported."""

import re
import sys
from pathlib import Path
from tempfile import mkdtemp

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from recorded_machines import NAMES, write_machine

from fer_edge.cli.doctor.device_checks import device_checks
from fer_edge.device.files import Files
from fer_edge.device.machine import read_machine


def _paths(root: Path) -> list[Path]:
    """All files, but of the processor's cores only the first, because the others are the same."""
    return sorted(
        path for path in root.rglob("*") if path.is_file() and not re.search(r"/cpu[1-9]", str(path))
    )


@pytest.mark.parametrize("name", NAMES)
def test_each_file_may_be_missing_or_a_folder(name: str, tmp_path: Path) -> None:
    root = write_machine(name, tmp_path)
    whole = read_machine(root)
    for path in _paths(root):
        content = path.read_bytes()
        path.unlink()
        list(device_checks(read_machine(root), root))
        path.mkdir()
        list(device_checks(read_machine(root), root))
        path.rmdir()
        path.symlink_to(path.name)
        list(device_checks(read_machine(root), root))
        path.unlink()
        path.write_bytes(content)
    assert read_machine(root) == whole


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_content_is_read(tmp_path: Path, data: st.DataObject) -> None:
    root = write_machine(data.draw(st.sampled_from(NAMES)), Path(mkdtemp(dir=tmp_path)))
    path = data.draw(st.sampled_from(_paths(root)))
    content = path.read_bytes()
    kept = data.draw(st.integers(0, len(content)))
    path.write_bytes(
        content[:kept] + data.draw(st.binary(max_size=20) | st.just(5000 * b"9")) + content[kept:]
    )
    list(device_checks(read_machine(root), root))


def test_files_that_this_user_may_not_read(locked: Path) -> None:
    files = Files(locked)
    assert (files.text("a.jpg"), files.number("a.jpg"), files.has("a.jpg")) == ("", None, False)
    assert files.matching("*") == []


def test_nothing_is_imported(tmp_path: Path) -> None:
    root = write_machine("orin-nano-jetpack-6.2", tmp_path / "root")
    site = tmp_path / "site"
    (site / "tensorrt-10.3.0.dist-info").mkdir(parents=True)
    (site / "tensorrt").mkdir()
    (site / "tensorrt" / "__init__.py").write_text("raise RuntimeError('imported')\n")
    sys.path.insert(0, str(site))
    try:
        machine = read_machine(root, python_path=[site, tmp_path / "no such folder"])
        (tensorrt,) = (check for check in device_checks(machine, None) if check.name == "tensorrt")
    finally:
        sys.path.remove(str(site))
    assert (tensorrt.state, tensorrt.detail) == ("ok", "10.3.0")
    assert "tensorrt" not in sys.modules


def test_the_distribution_that_python_finds_first(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    for folder, names in (
        (first, ["PyCUDA-2026.1.dist-info"]),
        (
            second,
            [
                "pycuda-2024.1.dist-info",
                "tensorrt_rtx_cu13_libs-1.7.1.116.dist-info",
                "README",
                "a-b.dist-info",
            ],
        ),
    ):
        for name in names:
            (folder / name).mkdir(parents=True)
    assert read_machine(tmp_path, python_path=[first, second]).distributions == {
        "pycuda": "2026.1",
        "tensorrt-rtx-cu13-libs": "1.7.1.116",
    }


def test_this_machine_is_read() -> None:
    machine = read_machine()
    assert "pytest" in machine.distributions
    assert machine.memory_gib is not None
    assert machine.memory_gib > 0

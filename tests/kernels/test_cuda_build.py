"""The CUDA sources compile for every architecture without warnings and spills, and load without a driver."""

import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.kernel.cuda_resources import demangle, report, resources_of
from csrc.cuda import toolkit

ROOT = Path(__file__).parents[2]
BUILT = ROOT / "build" / "cuda_tests"
# Each operation for each type: 3 or more kernels.
TYPES = {"dcif": ("float", "__half", "__nv_bfloat16"), "warp_normalize": ("float", "__half", "signed char")}
CALLS = """
from fer_edge import _cuda
shape = (1, 16, 3, 3)
for call in (
    lambda: _cuda.multi_branch_attention(0, shape, "float16", False, (0,) * 10, 0, 0, 0, 0),
    lambda: _cuda.dcif(0, shape, "float16", False, (0,) * 5, 1, 0, 0),
    lambda: _cuda.token_attention(0, shape, "float16", False, (0,) * 6, 1, 1e-5, 0, 0, 0, 0),
    lambda: _cuda.warp_normalize(0, (1, 1), 1, 0, 1, 0, "int8", (1, 1), 0.0, 1.0, "edge", 0.0, 0),
):
    try:
        call()
    except RuntimeError as error:
        print(error)
"""


@pytest.fixture(scope="module")
def built():
    """The folder with fer_edge/_cuda, built by setup.py for all architectures; unchanged objects are kept."""
    pytest.importorskip("pybind11", reason="setup.py needs pybind11")
    try:
        toolkit.find()
    except FileNotFoundError as error:
        pytest.skip(str(error))
    environment = {
        **os.environ,
        "FER_EDGE_CORE": "0",
        "FER_EDGE_CUDA": "1",
        "FER_EDGE_CUDA_ARCHITECTURES": toolkit.ARCHITECTURES,
        "NVCC_APPEND_FLAGS": "-Werror all-warnings",
        "CFLAGS": "-Werror",
    }
    command = [sys.executable, "setup.py", "-q", "build_ext", "--build-lib", BUILT, "--build-temp", BUILT]
    BUILT.mkdir(parents=True, exist_ok=True)
    # One process builds; the others find everything unchanged.
    with (BUILT / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return BUILT


@pytest.mark.slow
@pytest.mark.parametrize("source", toolkit.sources(), ids=lambda path: path.stem)
def test_no_kernel_spills(built, source):
    resources = resources_of((built / "cuda" / f"{source.stem}.log").read_text())
    assert {r.architecture for r in resources} == set(toolkit.ARCHITECTURES.split())
    names = " ".join(demangle(sorted({r.kernel for r in resources})))
    for name in TYPES.get(source.stem, TYPES["dcif"]):
        assert f"<{name}" in names
    spilling = [r for r in resources if r.spilled_bytes or r.stack_bytes]
    assert not spilling


@pytest.mark.slow
def test_importable_and_callable_without_a_driver(built):
    path = os.pathsep.join([str(built / "fer_edge"), str(ROOT)])
    program = f"import fer_edge\nfer_edge.__path__.insert(0, {str(built / 'fer_edge')!r})\n{CALLS}"
    # Hides the devices of a machine that has some.
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "PYTHONPATH": path}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    names = ["multi_branch_attention", "dcif", "token_attention", "warp_normalize"]
    for name, line in zip(names, lines, strict=True):
        operation, error, text = line.split(": ", 2)
        assert operation == name
        assert error in ("cudaErrorInsufficientDriver", "cudaErrorNoDevice")
        assert "CUDA" in text


def test_a_spill_is_read_from_the_log():
    log = """ptxas info    : 0 bytes gmem
ptxas info    : Compiling entry function '_Z6kernelIfEvPKfPf' for 'sm_90'
ptxas info    : Function properties for _Z6kernelIfEvPKfPf
    32 bytes stack frame, 176 bytes spill stores, 288 bytes spill loads
ptxas info    : Used 32 registers, used 0 barriers, 32 bytes cumulative stack size
"""
    (found,) = resources_of(log)
    assert found == ("_Z6kernelIfEvPKfPf", "90", 32, 32, 464)
    table = report({"source": [found]})
    assert table == {
        "source: kernel<float>": {"registers": {"90": 32}, "spilled_bytes": 464, "stack_bytes": 32}
    }
    with pytest.raises(ValueError, match="must have 1 kernels, got 0"):
        resources_of(log.replace("spill stores", "spilled"))


def test_no_toolkit_is_one_clear_error(monkeypatch, tmp_path):
    monkeypatch.setenv("CUDA_HOME", str(tmp_path))
    with pytest.raises(
        FileNotFoundError, match=f"needs a CUDA toolkit in CUDA_HOME.*none in {tmp_path}; install"
    ) as raised:
        toolkit.find()
    assert toolkit.NEEDED in str(raised.value)


# A test double of nvcc: it has a version, counts its calls, and does not know GPUs newer than JetPack 6.
NVCC = """#!/bin/sh
case "$*" in
--version) echo release {version} ;;
*sm_110*) echo "nvcc fatal   : Unsupported gpu architecture 'sm_110'"; exit 1 ;;
*) echo made >> {made}; for path; do :; done; touch "$path" ;;
esac
"""


@pytest.fixture
def install(monkeypatch, tmp_path):
    """Installs a compiler of a version, always in the same folder."""
    home = tmp_path / "cuda"
    (home / "bin").mkdir(parents=True)
    (home / "include").mkdir()
    (home / "include/cuda_runtime.h").touch()
    monkeypatch.setenv("CUDA_HOME", str(home))

    def nvcc(version: str) -> None:
        (home / "bin/nvcc").write_text(NVCC.format(version=version, made=tmp_path / "made"))
        (home / "bin/nvcc").chmod(0o755)

    return nvcc


def test_only_another_compiler_version_compiles_again(install, tmp_path):
    source = tmp_path / "kernel.cu"
    source.touch()
    counts = []
    for version in ("12.6", "12.6", "13.0", "13.0"):
        install(version)
        toolkit.compile_sources([source], tmp_path / "build", ["87"])
        counts.append(len((tmp_path / "made").read_text().splitlines()))
    assert counts == [1, 1, 2, 2]


def test_the_error_of_an_older_compiler_names_the_setting(install, tmp_path):
    source = tmp_path / "kernel.cu"
    source.touch()
    install("12.6")
    with pytest.raises(ChildProcessError, match=r"need nvcc 13\.0; on JetPack 6.*=87\nnvcc fatal .*'sm_110'"):
        toolkit.compile_sources([source], tmp_path, toolkit.ARCHITECTURES.split())


def test_architectures(monkeypatch):
    monkeypatch.setenv("FER_EDGE_CUDA_ARCHITECTURES", "120, 87")
    assert toolkit.architectures() == ["87", "120"]
    monkeypatch.setenv("FER_EDGE_CUDA_ARCHITECTURES", "8.7")
    with pytest.raises(ValueError, match=r"without the dot, got 8\.7; for example 75 80"):
        toolkit.architectures()

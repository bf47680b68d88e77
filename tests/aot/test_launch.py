"""Loading and launching with a test double of pycuda: CUDA calls, their context, and rejected arguments."""

import re
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import made_folder
import pytest
from pycuda_double import PycudaDriver

from fer_edge.aot import CompiledKernels, LoadedOperation
from fer_edge.aot.manifest import read
from fer_edge.installation.repair_commands import install_extra
from fer_edge.models import ModelError

ADDRESSES = {"x": 0x1000, "between": 0x2000, "weight": 0x3000, "y": 0x4000}


def _attention(kernels: CompiledKernels) -> LoadedOperation:
    return kernels.operation("attention", dtype="fp16", **made_folder.SHAPE)


def test_launches_what_the_manifest_says(folder: Path, driver: PycudaDriver) -> None:
    stream = driver.Stream()
    with CompiledKernels(folder) as kernels:
        _attention(kernels)(7, ADDRESSES, stream)
    block = (made_folder.THREADS, 1, 1)
    # Pointers in the order of the kernel, the number of images, NULL for the two pointers that Triton adds.
    first = ("first", (4, 5), block, stream, (0x1000, 0x2000, 7, 0, 0), 1024)
    second = ("second", (7,), block, stream, (0x2000, 0x3000, 0x4000, 7, 0, 0), 50 * 1024)
    assert driver.given("launch") == [first, second]


def test_loads_the_exact_cubin_once(folder: Path, driver: PycudaDriver) -> None:
    with CompiledKernels(folder) as kernels:
        _attention(kernels)
        _attention(kernels)
    loaded = [data for (data,) in driver.given("module_from_buffer")]
    expected = [(folder / f"sm_87/{symbol}.cubin").read_bytes() for symbol in ("first", "second")]
    assert loaded == [data + b"\0" for data in expected]
    assert driver.given("get_function") == [("first",), ("second",)]


def test_asks_for_shared_memory_above_48_kib_only(folder: Path, driver: PycudaDriver) -> None:
    with CompiledKernels(folder) as kernels:
        _attention(kernels)
    assert driver.given("set_attribute") == [("second", "MAX_DYNAMIC_SHARED_SIZE_BYTES", 50 * 1024)]


def test_uses_the_primary_context_and_leaves_none_behind(folder: Path, driver: PycudaDriver) -> None:
    kernels = CompiledKernels(folder)
    assert driver.calls == [("init",), ("Device", 0), ("retain_primary_context",)]
    assert driver.stack == []
    attention = _attention(kernels)
    assert driver.stack == []
    attention(1, ADDRESSES, driver.Stream())
    assert driver.stack == []
    driver.fails["launch"] = "unspecified launch failure"
    with pytest.raises(RuntimeError, match=r"attention of 1 images cannot be launched: .*unspecified launch"):
        attention(1, ADDRESSES, driver.Stream())
    assert driver.stack == []
    with kernels.current():
        assert driver.stack == ["primary"]
    kernels.close()
    assert driver.stack == []
    assert "pycuda.autoinit" not in sys.modules


def test_close_unloads_in_the_context_and_then_releases_it(folder: Path, driver: PycudaDriver) -> None:
    kernels = CompiledKernels(folder)
    attention = _attention(kernels)
    kernels.close()
    assert driver.given("unload") == [(("primary",),)] * 2
    assert driver.names()[-5:] == ["push", "unload", "unload", "detach", "cuCtxPopCurrent"]
    kernels.close()
    assert driver.names().count("detach") == 1
    for call in (lambda: attention(1, ADDRESSES, driver.Stream()), lambda: _attention(kernels)):
        with pytest.raises(RuntimeError, match="closed; open the folder again"):
            call()


def test_an_earlier_context_of_pycuda_is_restored_by_pycuda(folder: Path, driver: PycudaDriver) -> None:
    kernels = CompiledKernels(folder)
    driver.Context.get_current = object
    kernels.close()
    # pycuda itself makes it current again; another pop would remove it.
    assert driver.names()[-1] == "detach"


def test_another_thread_may_not_close(folder: Path, driver: PycudaDriver) -> None:
    kernels = CompiledKernels(folder)
    errors: list[str] = []

    def close() -> None:
        try:
            kernels.close()
        except RuntimeError as error:
            errors.append(str(error))

    thread = threading.Thread(target=close)
    thread.start()
    thread.join()
    assert errors and "must be closed in the thread that made it" in errors[0]
    assert "detach" not in driver.names()
    kernels.close()


def test_no_images_launch_nothing(folder: Path, driver: PycudaDriver) -> None:
    with CompiledKernels(folder) as kernels:
        attention = _attention(kernels)
        attention(0, dict.fromkeys(ADDRESSES, 0), driver.Stream())
    assert driver.given("launch") == []


@pytest.mark.parametrize(
    ("images", "changes", "message"),
    [
        (-1, {}, r"images must be 0 to 2147483647, got -1"),
        (2**31, {}, r"images must be 0 to 2147483647, got 2147483648"),
        (1, {"y": 0x4008}, r"y must be a multiple of 16 bytes, got 0x4008"),
        (1, {"weight": 0}, r"weight must be a multiple of 16 bytes, got 0x0"),
        (1, {"z": 0x5000}, r"pointers must be x, between, weight, y, got x, between, weight, y, z"),
    ],
)
def test_wrong_arguments_are_refused(
    folder: Path, driver: PycudaDriver, images: int, changes: dict[str, int], message: str
) -> None:
    with CompiledKernels(folder) as kernels:
        attention = _attention(kernels)
        with pytest.raises(ValueError, match=message):
            attention(images, ADDRESSES | changes, driver.Stream())
        with pytest.raises(ValueError, match=r"pointers must be x, .*, got x$"):
            attention(1, {"x": 0x1000}, driver.Stream())
    assert driver.given("launch") == []


@pytest.mark.parametrize("stream", [None, 0x5555])
def test_a_stream_that_pycuda_cannot_use_is_refused(
    folder: Path, driver: PycudaDriver, stream: object
) -> None:
    with CompiledKernels(folder) as kernels:
        attention = _attention(kernels)
        with pytest.raises(TypeError, match=r"stream must be a pycuda\.driver\.Stream.*give its handle"):
            attention(1, ADDRESSES, stream)


def test_the_plan_for_the_number_of_images_is_taken(folder: Path, driver: PycudaDriver) -> None:
    made = read(folder)
    few, many = (replace(made.operations[0], images=images) for images in (4, 8))
    few = replace(few, launches=(replace(few.launches[0], grid=(1,)),))
    made_folder.write_manifest(folder, replace(made, operations=(many, few)))
    launches = []
    with CompiledKernels(folder) as kernels:
        for images in (1, 4, 5, 9):
            attention = kernels.operation("attention", dtype="fp16", images=images, channels=16)
            attention(1, ADDRESSES, driver.Stream())
            launches.append(len(driver.given("launch")))
    assert launches == [1, 2, 4, 6]


@pytest.mark.parametrize(
    "wanted",
    [
        {"operation": "convolution", "dtype": "fp16"},
        {"operation": "attention", "dtype": "bf16"},
        {"operation": "attention", "dtype": "fp16", "channels_last": True},
        {"operation": "attention", "dtype": "fp16", "channels": 32},
        {"operation": "attention", "dtype": "fp16", "heads": 8},
    ],
)
def test_a_missing_operation_lists_the_available_ones(
    folder: Path, driver: PycudaDriver, wanted: dict[str, object]
) -> None:
    with (
        CompiledKernels(folder) as kernels,
        pytest.raises(ModelError, match=r"must hold one .*\n  attention channels=16 .* fp16 contiguous"),
    ):
        kernels.operation(**wanted)


def test_two_shapes_that_fit_are_refused(folder: Path, driver: PycudaDriver) -> None:
    made = read(folder)
    other = replace(made.operations[0], shape=made_folder.SHAPE | {"heads": 4})
    made_folder.write_manifest(folder, replace(made, operations=(*made.operations, other)))
    with CompiledKernels(folder) as kernels, pytest.raises(ModelError, match=r"must hold one .* got 2"):
        _attention(kernels)


def test_a_changed_file_never_reaches_cuda(folder: Path, driver: PycudaDriver) -> None:
    (folder / "sm_87/second.cubin").write_bytes(b"\x7fELF")
    with CompiledKernels(folder) as kernels, pytest.raises(ModelError, match=r"second\.cubin sha256 must be"):
        _attention(kernels)
    assert b"\x7fELF\0" not in [data for (data,) in driver.given("module_from_buffer")]
    assert driver.stack == []


def test_hidden_memory_is_refused(folder: Path, driver: PycudaDriver) -> None:
    made = read(folder)
    kernel = made.kernels["first-0123"]
    needy = replace(kernel, hidden=(replace(kernel.hidden[0], size=128), kernel.hidden[1]))
    made_folder.write_manifest(folder, replace(made, kernels=made.kernels | {"first-0123": needy}))
    with CompiledKernels(folder) as kernels, pytest.raises(ModelError, match="first needs hidden memory"):
        _attention(kernels)


def test_missing_pycuda_names_the_extra(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pycuda.driver", None)
    with pytest.raises(ImportError, match=re.escape(install_extra("aot"))):
        CompiledKernels(folder)


def test_missing_driver_or_gpu_is_cudas_error(folder: Path, driver: PycudaDriver) -> None:
    driver.fails["init"] = "no CUDA-capable device is detected"
    with pytest.raises(RuntimeError, match=r"GPU 0 cannot be used: init failed: no CUDA-capable device"):
        CompiledKernels(folder)


def test_missing_driver_library_is_reported(
    folder: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path_factory.mktemp("broken") / "pycuda"
    package.mkdir()
    (package / "__init__.py").touch()
    # The message of the dynamic loader for pycuda's extension.
    (package / "driver.py").write_text("raise ImportError('libcuda.so.1: cannot open shared object file')")
    monkeypatch.syspath_prepend(package.parent)
    for name in ("pycuda", "pycuda.driver"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    with pytest.raises(RuntimeError, match=r"the CUDA driver is missing: libcuda\.so\.1"):
        CompiledKernels(folder)
    sys.modules.pop("pycuda", None)


def test_needs_neither_torch_nor_triton(folder: Path) -> None:
    code = """
import sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("torch", "triton", "onnxruntime", "cv2"):
            raise ModuleNotFoundError(f"{name} is blocked")

sys.meta_path.insert(0, Blocked())
sys.path.insert(0, sys.argv[1])
import pytest
from pycuda_double import PycudaDriver
from fer_edge.aot import CompiledKernels

with pytest.MonkeyPatch.context() as patch:
    driver = PycudaDriver((11, 0))
    driver.install(patch)
    with CompiledKernels(sys.argv[2]) as kernels:
        attention = kernels.operation("attention", dtype="fp16", channels=16)
        attention(1, {name: 16 for name in attention.buffers}, driver.Stream())
    print(len(driver.given("launch")), "fer_edge.kernels" in sys.modules)
"""
    tests = Path(__file__).parents[1]
    run = (sys.executable, "-c", code, str(tests), str(folder))
    done = subprocess.run(run, capture_output=True, text=True, check=False, cwd=tests.parent)
    assert (done.stdout, done.stderr) == ("2 False\n", "")

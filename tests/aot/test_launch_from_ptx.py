"""The file that is loaded if no cubin fits the GPU or the driver, with a test double of pycuda."""

import logging
from pathlib import Path

import made_folder
import pytest
from pycuda_double import PycudaDriver

from fer_edge.aot import CompiledKernels, LoadedOperation
from fer_edge.models import ModelError

ADDRESSES = {"x": 0x1000, "between": 0x2000, "weight": 0x3000, "y": 0x4000}


def _attention(kernels: CompiledKernels) -> LoadedOperation:
    return kernels.operation("attention", dtype="fp16", **made_folder.SHAPE)


@pytest.mark.parametrize(("capability", "source"), [((8, 9), 87), ((8, 0), 75), ((12, 1), 87), ((9, 1), 87)])
def test_ptx_of_an_older_gpu_is_the_fall_back_and_logged(
    folder: Path,
    driver: PycudaDriver,
    caplog: pytest.LogCaptureFixture,
    capability: tuple[int, int],
    source: int,
) -> None:
    driver.capability = capability
    with caplog.at_level(logging.WARNING, "fer_edge"), CompiledKernels(folder) as kernels:
        _attention(kernels)
    loaded = [data for (data,) in driver.given("module_from_buffer")]
    # PTX must end with a zero byte. PTX for sm_90a runs on no other architecture.
    expected = [(folder / f"sm_{source}/{symbol}.ptx").read_bytes() for symbol in ("first", "second")]
    assert loaded == [text + b"\0" for text in expected]
    assert (
        f"compute capability {capability[0]}.{capability[1]}: the driver compiles the PTX for" in caplog.text
    )


def test_a_driver_older_than_the_assembler_takes_the_ptx(
    folder: Path, driver: PycudaDriver, caplog: pytest.LogCaptureFixture
) -> None:
    driver.refused = (b"\x7fELF",)
    with caplog.at_level(logging.WARNING, "fer_edge"), CompiledKernels(folder) as kernels:
        _attention(kernels)(1, ADDRESSES, driver.Stream())
    loaded = [data for (data,) in driver.given("module_from_buffer")]
    names = [f"{symbol}.{kind}" for symbol in ("first", "second") for kind in ("cubin", "ptx")]
    assert loaded == [(folder / "sm_87" / name).read_bytes() + b"\0" for name in names]
    assert [symbol for symbol, *_ in driver.given("launch")] == ["first", "second"]
    assert driver.given("set_attribute") == [("second", "MAX_DYNAMIC_SHARED_SIZE_BYTES", 50 * 1024)]
    (warning,) = caplog.messages
    assert "refuses sm_87/first.cubin (module_from_buffer failed: device kernel image is invalid)" in warning


def test_a_driver_that_refuses_the_ptx_too_is_reported(folder: Path, driver: PycudaDriver) -> None:
    driver.refused = (b"\x7fELF", b".version")
    with CompiledKernels(folder) as kernels:
        with pytest.raises(RuntimeError, match=r"sm_87/first\.ptx cannot be loaded: .* image is invalid"):
            _attention(kernels)
        assert driver.stack == []


def test_a_changed_ptx_is_not_taken_instead(folder: Path, driver: PycudaDriver) -> None:
    (folder / "sm_87/first.ptx").write_bytes(b".version 8.0")
    driver.refused = (b"\x7fELF",)
    with CompiledKernels(folder) as kernels, pytest.raises(ModelError, match=r"first\.ptx sha256 must be"):
        _attention(kernels)


def test_a_gpu_without_any_binary_is_reported(folder: Path, driver: PycudaDriver) -> None:
    driver.capability = (7, 2)
    with (
        CompiledKernels(folder) as kernels,
        pytest.raises(ModelError, match=r"capability 7\.2 .*got 75, 87, 90, 110"),
    ):
        _attention(kernels)

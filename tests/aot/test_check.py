"""`python -m fer_edge.aot DIR` finds every difference from the manifest, with the standard library only."""

import struct
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import made_folder
import pytest

from fer_edge.aot.__main__ import main
from fer_edge.aot.binaries import cubin_from_bytes, ptx_from_text
from fer_edge.aot.manifest import NAME, read
from fer_edge.models import ModelError

CUBIN, PTX = "sm_87/first.cubin", "sm_87/first.ptx"


def _flip(folder: Path, name: str) -> None:
    data = bytearray((folder / name).read_bytes())
    data[-1] ^= 1
    (folder / name).write_bytes(data)


def _relist(folder: Path, which: str, content: bytes) -> None:
    """Replaces a file and its record in the manifest, so that only the content shows the change."""
    file = made_folder.write_file(folder, f"sm_87/first.{which}", content)
    made_folder.write_manifest(
        folder, made_folder.with_binary(read(folder), "first-0123", "87", **{which: file})
    )


def _renamed(folder: Path) -> None:
    made = read(folder)
    kernels = {name: replace(kernel, symbol="other") for name, kernel in made.kernels.items()}
    made_folder.write_manifest(folder, replace(made, kernels=kernels))


TAMPERED: dict[str, tuple[Callable[[Path], object], tuple[str, ...]]] = {
    "flipped byte": (lambda f: _flip(f, CUBIN), (f"{CUBIN}: sha256 must be ", "build the folder again")),
    "deleted": (lambda f: (f / PTX).unlink(), (f"{PTX}: cannot be read (No such file",)),
    "extra file": (lambda f: (f / "notes.txt").touch(), ("notes.txt: is not in manifest.json",)),
    "extra link": (lambda f: (f / "sm_87/x").symlink_to("/"), ("sm_87/x: is not in manifest.json",)),
    "other architecture": (
        lambda f: _relist(f, "cubin", made_folder.elf(86, "first")),
        (f"{CUBIN}: is compiled for sm_86, listed under sm_87",),
    ),
    "other layout": (
        lambda f: _relist(f, "cubin", made_folder.elf(110, "first")),
        (f"{CUBIN}: is compiled for sm_110, listed under sm_87",),
    ),
    "other kernel": (
        lambda f: _relist(f, "cubin", made_folder.elf(87, "last")),
        (f"{CUBIN}: has no kernel first; it has last",),
    ),
    "no CUDA": (
        lambda f: _relist(f, "cubin", made_folder.elf(87, "first", machine=62)),
        (f"{CUBIN}: expected a CUDA ELF file",),
    ),
    "cut short": (
        lambda f: _relist(f, "cubin", made_folder.elf(87, "first")[:-200]),
        (f"{CUBIN}: the ELF file is cut short",),
    ),
    "PTX of another target": (
        lambda f: _relist(f, "ptx", made_folder.ptx("sm_80", "first")),
        (f"{PTX}: target must be sm_87, got sm_80", f"{PTX}: compute capability must be 87, got 80"),
    ),
    "newer PTX": (
        lambda f: _relist(f, "ptx", made_folder.ptx("sm_87", "first", version="9.0")),
        (f"{PTX}: version must be 8.0, got 9.0",),
    ),
    "PTX of another kernel": (
        lambda f: _relist(f, "ptx", made_folder.ptx("sm_87", "second")),
        (f"{PTX}: kernel must be first, got second", f"{PTX}: parameters must be "),
    ),
    "PTX for other blocks": (
        lambda f: _relist(f, "ptx", made_folder.ptx("sm_87", "first", threads=32)),
        (f"{PTX}: threads must be 64, got 32",),
    ),
    "no PTX": (lambda f: _relist(f, "ptx", b"\xff" * 9), (f"{PTX}: expected PTX with .version",)),
    "other symbol": (_renamed, (f"{CUBIN}: has no kernel other; it has first",)),
    "no manifest": (lambda f: (f / NAME).unlink(), ("has no readable manifest.json",)),
}


def test_a_complete_folder_passes(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(folder)]) == 0
    out = capsys.readouterr().out
    assert "1 operations, 2 kernels, 16 files (0.0 MB) for sm_75, sm_87, sm_90, sm_110: as listed" in out


@pytest.mark.parametrize("name", TAMPERED)
def test_tampering_is_detected(folder: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    tamper, messages = TAMPERED[name]
    tamper(folder)
    assert main([str(folder)]) == 1
    out = capsys.readouterr().out
    for message in messages:
        assert message in out
    assert out.endswith("\n")
    if name not in ("PTX of another target", "PTX of another kernel", "other symbol"):
        assert out.count("\n") == 1


@pytest.mark.parametrize("arguments", [(), ("a", "b"), ("--quick",), ("/nowhere",)])
def test_wrong_usage_is_2(arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert "usage: python -m fer_edge.aot" in capsys.readouterr().err


def test_needs_the_standard_library_only(folder: Path) -> None:
    # -S -E: no site-packages; the package is imported from the checkout.
    code = (
        "import sys, runpy; sys.path.insert(0, sys.argv.pop(1)); "
        "runpy.run_module('fer_edge.aot', run_name='__main__')"
    )
    root = Path(__file__).parents[2]
    run = (sys.executable, "-S", "-E", "-c", code, str(root), str(folder))
    done = subprocess.run(run, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    _flip(folder, CUBIN)
    assert subprocess.run(run, capture_output=True, check=False).returncode == 1


@pytest.mark.parametrize("architecture", [75, 90, 100, 110, 120])
def test_both_layouts_of_cubins_are_read(architecture: int) -> None:
    cubin = cubin_from_bytes(made_folder.elf(architecture, "kernel"))
    assert (cubin.architecture, cubin.functions) == (architecture, ("kernel",))


def test_every_truncated_cubin_is_an_error() -> None:
    whole = made_folder.elf(87, "kernel")
    for length in range(len(whole)):
        with pytest.raises(ModelError):
            cubin_from_bytes(whole[:length])
    # A table with an offset outside the file raises ModelError too.
    far = bytearray(whole)
    struct.pack_into("<Q", far, 40, 2**63)
    with pytest.raises(ModelError):
        cubin_from_bytes(bytes(far))


def test_two_kernels_in_a_ptx_are_refused() -> None:
    text = made_folder.ptx("sm_87", "first").decode()
    with pytest.raises(ModelError, match=r"one \.entry"):
        ptx_from_text(text + text.split(".address_size 64\n")[1])

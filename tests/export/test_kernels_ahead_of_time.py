"""Every kernel of the networks compiles for every GPU, in processes without Triton's interpreter.

Modules that import Triton are imported inside the tests: Triton reads TRITON_INTERPRET at its first import,
and tests/kernels sets the variable while tests are collected.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from pycuda_double import PycudaDriver

from fer_edge.aot import CompiledKernels
from fer_edge.aot.__main__ import main as check
from fer_edge.aot.manifest import NAME, Manifest, blocks_from_grid, read

pytestmark = [pytest.mark.slow, pytest.mark.compiles]

ROOT = Path(__file__).parents[2]
PROGRESS = "progress.jsonl"


def _run(*arguments: object) -> str:
    """Runs the command in a new process and returns its stdout."""
    # tests/kernels sets TRITON_INTERPRET in this process.
    clean = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    words = (sys.executable, "-m", "export.kernels_ahead_of_time", *map(str, arguments))
    done = subprocess.run(words, env=clean, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All operations of all networks in float16 for all GPUs."""
    folder = tmp_path_factory.mktemp("kernels")
    out = _run("--out", folder, "--dtypes", "fp16", "--jobs", 2)
    count = 2 * sum(1 for _ in read(folder).all_binaries())
    assert f"{count} files" in out.splitlines()[-1]
    return folder


@pytest.fixture(scope="module")
def manifest(built: Path) -> Manifest:
    """The manifest of the built folder."""
    return read(built)


@pytest.fixture(scope="module")
def main() -> Callable[[], None]:
    """The command, called in this process."""
    from export import kernels_ahead_of_time

    return kernels_ahead_of_time.main


def test_every_operation_is_there_for_every_gpu(manifest: Manifest) -> None:
    assert manifest.architectures == (75, 80, 86, 87, 89, 90, 110, 120)
    there = {(entry.operation, *entry.networks, entry.dtype) for entry in manifest.operations}
    assert there == {
        ("multi_branch_attention", "tkfnet", "fp16"),
        ("multi_branch_attention", "tkfnet-nano", "fp16"),
        ("dcif", "tkfnet", "fp16"),
        ("dcif", "tkfnet-nano", "fp16"),
        ("token_attention", "conv-cut", "fp16"),
    }
    used = {launch.kernel for entry in manifest.operations for launch in entry.launches}
    assert used == manifest.kernels.keys()


def test_no_kernel_spills_or_exceeds_the_limits_of_a_gpu(manifest: Manifest) -> None:
    from export.ahead_of_time.kernel_binary import ARCHITECTURES

    spilled = {
        (kernel.symbol, architecture): (binary.spill_bytes, binary.stack_bytes)
        for kernel, architecture, binary in manifest.all_binaries()
        if binary.spill_bytes or binary.stack_bytes
    }
    assert spilled == {}
    for _, architecture, binary in manifest.all_binaries():
        assert 0 < binary.registers <= 255
        assert binary.registers * binary.threads <= 65536
        assert binary.shared_bytes <= ARCHITECTURES[int(architecture)][1]


def test_the_check_passes(built: Path, main: Callable[[], None]) -> None:
    assert check([str(built)]) == 0
    with pytest.raises(SystemExit) as ended, pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["command", "--check", str(built)])
        main()
    assert ended.value.code == 0


def test_real_files_cannot_be_swapped_or_changed(built: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(built, tmp_path / "copy")
    name = next(
        file.cubin.name for _, architecture, file in read(copy).all_binaries() if architecture == "87"
    )
    shutil.copy(copy / name.replace("sm_87", "sm_86"), copy / name)
    assert check([str(copy)]) == 1


def test_jetpack_6_can_read_the_ptx(manifest: Manifest) -> None:
    for _, architecture, binary in manifest.all_binaries():
        if int(architecture) <= 90:
            assert tuple(map(int, binary.ptx_version.split("."))) <= (8, 5)


def test_files_name_nothing_of_the_builder(built: Path) -> None:
    private = [str(path).encode() for path in (ROOT, Path(sys.prefix), built.parent, Path.home())]
    for path in built.rglob("*"):
        data = path.read_bytes() if path.is_file() else b""
        assert not [word for word in private if word != b"/" and word in data], path.name


def test_the_manifest_round_trip(built: Path, manifest: Manifest) -> None:
    assert manifest.to_json() == (built / NAME).read_text(encoding="utf-8")


def test_launches_are_those_of_the_plans(
    built: Path, manifest: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    from export.ahead_of_time.kernel_shapes import SHAPES, plans_from_shapes

    driver = PycudaDriver((8, 7))
    driver.install(monkeypatch)
    stream = driver.Stream()
    plans = list(plans_from_shapes(SHAPES, ["fp16"], [False]))
    assert len(plans) == len(manifest.operations)
    with CompiledKernels(built) as kernels:
        for entry in plans:
            loaded = kernels.operation(
                entry.plan.operation, dtype="fp16", images=entry.images or 1, **entry.shape
            )
            assert loaded.buffers == entry.plan.buffers
            pointers = {name: 16 * (i + 1) for i, name in enumerate(loaded.buffers)}
            for images in (1, 7):
                begin = len(driver.given("launch"))
                loaded(images, pointers, stream)
                launched = driver.given("launch")[begin:]
                for launch, given in zip(entry.plan.launches, launched, strict=True):
                    name, grid, (threads, *_), _, arguments, _ = given
                    assert (name, grid) == (launch.kernel.__name__, blocks_from_grid(launch.grid, images))
                    assert threads >= 32 * launch.num_warps
                    assert arguments == (*(pointers[p] for p in launch.pointers), images, 0, 0)


def test_a_damaged_build_resumes_and_gives_the_same_files(built: Path, tmp_path: Path) -> None:
    whole = read(built)
    folder = shutil.copytree(built, tmp_path / "copy")
    # An interrupted build: no manifest, a truncated progress list, one file missing and one damaged.
    here = [binary for _, architecture, binary in whole.all_binaries() if architecture in ("75", "87")]
    lines = [json.dumps(asdict(binary)) for binary in here]
    (folder / PROGRESS).write_text("\n".join(lines)[:-9], encoding="utf-8")
    (folder / NAME).unlink()
    (folder / here[0].cubin.name).unlink()
    (folder / here[1].ptx.name).write_bytes(b"half")
    for architecture in (80, 86, 89, 90, 110, 120):
        shutil.rmtree(folder / f"sm_{architecture}")
    asked = ("--out", folder, "--dtypes", "fp16", "--architectures", 75, 87)
    out = _run(*asked)
    assert f"kept {len(here) - 3} of {len(here)} kernels" in out
    assert "[3/3]" in out
    assert [binary for _, _, binary in read(folder).all_binaries()] == here
    assert check([str(folder)]) == 0
    # Complete kernels are not compiled again, and kernels that are no longer requested are removed.
    again = _run(*asked[:-2], 87)
    assert f"kept {len(here) // 2} of {len(here) // 2} kernels" in again
    assert "[1/" not in again
    assert not list((folder / "sm_75").iterdir())


def test_other_precisions_compile(tmp_path: Path) -> None:
    _run("--out", tmp_path, "--dtypes", "fp32", "bf16", "--architectures", 87, "--jobs", 2)
    made = read(tmp_path)
    assert {entry.dtype for entry in made.operations} == {"fp32", "bf16"}
    assert [kernel.symbol for kernel, _, binary in made.all_binaries() if binary.spill_bytes] == []


def test_the_maps_of_another_network_compile_and_spills_are_reported(tmp_path: Path) -> None:
    attention = "token_attention:136x4x4:heads=17"
    # Requested twice, compiled once.
    asked = ("--architectures", 75, 120, "--shape", "dcif:512x8x8:hidden=32", attention, attention)
    out = _run("--out", tmp_path, "--jobs", 2, *asked)
    made = read(tmp_path)
    dcif = {"channels": 512, "height": 8, "width": 8, "hidden": 32}
    heads = {"channels": 136, "height": 4, "width": 4, "heads": 17, "epsilon": 1e-5}
    there = [(entry.shape, entry.dtype, entry.networks) for entry in made.operations]
    assert there == [(shape, dtype, ()) for shape in (dcif, heads) for dtype in ("fp16", "fp32")]
    # docs/kernels.md lists the spill of dcif. token_attention would spill if ptxas could not use all
    # registers.
    spilled = [
        (k.symbol, a, binary.spill_bytes) for k, a, binary in made.all_binaries() if binary.spill_bytes
    ]
    assert [line for line in out.splitlines() if " spills " in line] == [
        f"dcif channels=512 height=8 width=8 hidden=32 fp16 contiguous: {name} spills {count} bytes a thread "
        f"on sm_{architecture}"
        for name, architecture, count in spilled
    ]
    assert [spill[:2] for spill in spilled] == [("dcif", "75")]


@pytest.mark.parametrize(
    ("variable", "arguments", "message"),
    [
        ("1", [], "TRITON_INTERPRET is set: kernels would be interpreted, not compiled; unset it"),
        ("", ["--dtypes", "fp16", "bf16"], "bf16 needs compute capability 80 or newer, got [75]"),
        ("", ["--shape", "dcif:384x6x6"], "dcif needs hidden, say hidden=NUMBER"),
        ("", ["--architectures", "72"], "invalid choice: 72 (choose from 75, 80, 86, 87, 89, 90, 110, 120)"),
    ],
)
def test_unsupported_options_are_reported(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    command: Callable[..., None],
    main: Callable[[], None],
    variable: str,
    arguments: list[Any],
    message: str,
) -> None:
    monkeypatch.setenv("TRITON_INTERPRET", variable)
    with pytest.raises(SystemExit) as ended:
        command(main, "--out", tmp_path, *arguments)
    assert ended.value.code == 2
    assert message in capsys.readouterr().err

"""Compiles Triton kernels ahead of time: ``python -m export.kernels_ahead_of_time --out DIR``. Needs no GPU.

Every kernel of the networks' operations is compiled for each compute capability. A manifest describes the
launches; `fer_edge.aot` launches the kernels without Triton and PyTorch. An interrupted build resumes where
it stopped, and unchanged kernels are kept. ``--shape`` compiles for the maps of another network.
"""

import argparse
import hashlib
import json
import multiprocessing
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict
from pathlib import Path

import triton

from export.ahead_of_time.kernel_binary import (
    ARCHITECTURES,
    MIN_BF16_ARCHITECTURE,
    CompiledKernel,
    Source,
    assembler,
    compile_kernel,
    prepare_process,
)
from export.ahead_of_time.kernel_manifest import Task, manifest_from_plans, sources_from_plan
from export.ahead_of_time.kernel_shapes import FORM, SHAPES, Shape, plans_from_shapes, shape_from_text
from fer_edge.aot import __main__ as check_command
from fer_edge.aot import manifest as records
from fer_edge.aot.binaries import ptx_from_text
from fer_edge.aot.check import problems, verified
from fer_edge.aot.manifest import Binary, File, Manifest
from fer_edge.atomic_file import atomic_write
from fer_edge.models import ModelError
from training.command_line import exit_on_error

# Lists the finished binaries of an incomplete build, one per line.
PROGRESS = "progress.jsonl"
LAYOUTS = {"contiguous": False, "channels-last": True}


def build(
    out: Path,
    shapes: Iterable[Shape] = SHAPES,
    architectures: Sequence[int] = tuple(ARCHITECTURES),
    dtypes: Sequence[str] = ("fp16", "fp32"),
    channels_last: Sequence[bool] = (False,),
    jobs: int = 1,
) -> Manifest:
    """Compiles missing kernels, writes the manifest, and removes files of an earlier manifest.

    Raises ValueError if a kernel is not supported, RuntimeError if its compilation fails.
    """
    _check_options(architectures, dtypes)
    for partial in out.glob("sm_*/*.partial"):
        partial.unlink()
    entries = list(plans_from_shapes(shapes, dtypes, channels_last))
    sources = {source.id: source for entry in entries for source in sources_from_plan(entry)}
    tasks = {source.key(a): (source, a) for source in sources.values() for a in architectures}
    out.mkdir(parents=True, exist_ok=True)
    earlier = _listed_binaries(out)
    done = {key: binary for key, binary in earlier.items() if key in tasks and _is_whole(out, binary)}
    if done:
        print(f"kept {len(done)} of {len(tasks)} kernels", flush=True)
    with (out / PROGRESS).open("a", encoding="utf-8") as progress:
        # Ends a truncated last line.
        progress.write("\n")
        for key, binary in _compile_all(out, {k: t for k, t in tasks.items() if k not in done}, jobs):
            progress.write(json.dumps(asdict(binary)) + "\n")
            progress.flush()
            done[key] = binary
    manifest = manifest_from_plans(entries, tasks, done, architectures)
    _write(out / records.NAME, manifest.to_json().encode())
    listed = {file.name for _, _, b in manifest.all_binaries() for file in (b.cubin, b.ptx)}
    for name in {file.name for b in earlier.values() for file in (b.cubin, b.ptx)} - listed:
        (out / name).unlink(missing_ok=True)
    (out / PROGRESS).unlink()
    if found := problems(out, manifest):
        raise ModelError("\n".join(found))
    return manifest


def _check_options(architectures: Sequence[int], dtypes: Sequence[str]) -> None:
    if triton.knobs.runtime.interpret:
        raise ValueError("TRITON_INTERPRET is set: kernels would be interpreted, not compiled; unset it")
    if "bf16" in dtypes and (older := [a for a in architectures if a < MIN_BF16_ARCHITECTURE]):
        raise ValueError(
            f"bf16 needs compute capability {MIN_BF16_ARCHITECTURE} or newer, got {older}; omit one of them"
        )


def _listed_binaries(out: Path) -> dict[str, Binary]:
    """The binaries listed by the manifest of the folder and by an interrupted build, by key."""
    found: dict[str, Binary] = {}
    if (out / records.NAME).exists():
        found = {binary.key: binary for _, _, binary in records.read(out).all_binaries()}
    if (out / PROGRESS).exists():
        for line in (out / PROGRESS).read_text(encoding="utf-8").splitlines():
            # The last line may be truncated.
            if line.startswith("{") and line.endswith("}"):
                binary: Binary = records.decode(Binary, json.loads(line), PROGRESS)
                found[binary.key] = binary
    return found


def _is_whole(out: Path, binary: Binary) -> bool:
    try:
        return all(verified(out, file) for file in (binary.cubin, binary.ptx))
    except ModelError:
        return False


def _compile_all(out: Path, tasks: Mapping[str, Task], jobs: int) -> Iterator[tuple[str, Binary]]:
    """Compiles in separate processes; writes the files and prints a line for each finished kernel."""
    if not tasks:
        return
    with tempfile.TemporaryDirectory() as cache:
        # spawn, because a fork of a process with PyTorch's threads can hang.
        spawn = multiprocessing.get_context("spawn")
        pool = ProcessPoolExecutor(jobs, spawn, prepare_process, (cache,))
        try:
            waiting = {pool.submit(compile_kernel, source, a): key for key, (source, a) in tasks.items()}
            begin = time.monotonic()
            for count, future in enumerate(as_completed(waiting), 1):
                key = waiting[future]
                source, architecture = tasks[key]
                binary = _write_kernel(out, key, source, architecture, future.result())
                print(
                    f"[{count}/{len(tasks)}] {time.monotonic() - begin:.0f} s: "
                    f"sm_{architecture} {source.id}, "
                    f"{binary.registers} registers, {binary.spill_bytes} bytes spilled, "
                    f"{binary.shared_bytes} shared",
                    flush=True,
                )
                yield key, binary
        finally:
            pool.shutdown(cancel_futures=True)


def _write_kernel(out: Path, key: str, source: Source, architecture: int, made: CompiledKernel) -> Binary:
    """Writes the two files of a kernel."""
    files = {}
    for ending, content in (("cubin", made.cubin), ("ptx", made.ptx)):
        name = f"sm_{architecture}/{source.id}.{ending}"
        _write(out / name, content)
        files[ending] = File(name=name, sha256=hashlib.sha256(content).hexdigest(), size=len(content))
    ptx = ptx_from_text(made.ptx.decode("ascii"))
    return Binary(
        key=key,
        target=ptx.target,
        ptx_version=ptx.version,
        assembler=assembler(architecture),
        threads=made.threads,
        shared_bytes=made.shared_bytes,
        registers=made.registers,
        stack_bytes=made.stack_bytes,
        spill_bytes=made.spill_bytes,
        **files,
    )


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(exist_ok=True)
    with atomic_write(path) as partial:
        partial.write_bytes(content)


def _spills(manifest: Manifest) -> Iterator[str]:
    """A line for each kernel that spills registers to memory, which is correct but slower."""
    for entry in manifest.operations:
        for launch in entry.launches:
            kernel = manifest.kernels[launch.kernel]
            for architecture, binary in kernel.binaries.items():
                if binary.spill_bytes:
                    yield (
                        f"{entry.describe()}: {kernel.symbol} spills {binary.spill_bytes} bytes a thread "
                        f"on sm_{architecture}"
                    )


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--out", type=Path, metavar="DIR", help="folder to build or to complete")
    what.add_argument("--check", metavar="DIR", help="check a folder, as python -m fer_edge.aot does")
    parser.add_argument(
        "--architectures",
        type=int,
        nargs="+",
        choices=ARCHITECTURES,
        default=list(ARCHITECTURES),
        metavar="CC",
        help=f"compute capabilities (default: {' '.join(map(str, ARCHITECTURES))})",
    )
    parser.add_argument("--dtypes", nargs="+", choices=("fp16", "fp32", "bf16"), default=["fp16", "fp32"])
    parser.add_argument("--layouts", nargs="+", choices=LAYOUTS, default=["contiguous"])
    parser.add_argument(
        "--shape",
        nargs="+",
        default=[],
        metavar="SHAPE",
        help=f"{FORM}, in place of the networks' shapes; for example dcif:384x6x6:hidden=24",
    )
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="number of compiler processes")
    return parser


def main() -> None:
    parser = _arguments()
    args = parser.parse_args()
    if args.check:
        sys.exit(check_command.main([args.check]))
    with exit_on_error(parser):
        layouts = [LAYOUTS[name] for name in args.layouts]
        shapes = [shape_from_text(text) for text in dict.fromkeys(args.shape)] or SHAPES
        manifest = build(args.out, shapes, args.architectures, args.dtypes, layouts, args.jobs)
        for line in _spills(manifest):
            print(line)
        # The same check that users run.
        sys.exit(check_command.main([str(args.out)]))


if __name__ == "__main__":
    main()

"""Triton kernels to cubins: ``python -m export.kernels_ahead_of_time --out DIR``. Needs no GPU.

Every kernel of the networks' operations is compiled for each compute capability, and a manifest says how to
launch it; `fer_edge.aot` does so without Triton and PyTorch. A build that was interrupted goes on where it
stopped, and what has not changed is kept. ``--shape`` compiles for another network's maps.
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

from export.kernel_binary import (
    ARCHITECTURES,
    BF16_FROM,
    Compiled,
    Source,
    assembler,
    compiled,
    prepare_process,
)
from export.kernel_manifest import Task, manifest_from_plans, sources_from_plan
from export.kernel_shapes import FORM, SHAPES, Shape, planned, shape_from_text
from fer_edge.aot import __main__ as check_command
from fer_edge.aot import manifest as records
from fer_edge.aot.binaries import ptx_from_text
from fer_edge.aot.check import problems, verified
from fer_edge.aot.launch import describe
from fer_edge.aot.manifest import Binary, File, Manifest
from fer_edge.atomic_file import atomic_write
from fer_edge.models import ModelError
from training.command_line import told_by

# Binaries that are done while the manifest is not; a line each.
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
    """Compiles what is missing, writes the manifest, and removes what an earlier one listed.

    Raises ValueError where no such kernel can exist, RuntimeError where one cannot be compiled.
    """
    _check(architectures, dtypes)
    for partial in out.glob("sm_*/*.partial"):
        partial.unlink()
    entries = list(planned(shapes, dtypes, channels_last))
    sources = {source.id: source for entry in entries for source in sources_from_plan(entry)}
    tasks = {source.key(a): (source, a) for source in sources.values() for a in architectures}
    out.mkdir(parents=True, exist_ok=True)
    earlier = _earlier(out)
    done = {key: binary for key, binary in earlier.items() if key in tasks and _is_whole(out, binary)}
    if done:
        print(f"kept {len(done)} of {len(tasks)} kernels", flush=True)
    with (out / PROGRESS).open("a", encoding="utf-8") as progress:
        # After a line that was cut short.
        progress.write("\n")
        for key, binary in _compiled(out, {k: t for k, t in tasks.items() if k not in done}, jobs):
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


def _check(architectures: Sequence[int], dtypes: Sequence[str]) -> None:
    if triton.knobs.runtime.interpret:
        raise ValueError("TRITON_INTERPRET is set: kernels would be interpreted, not compiled; unset it")
    if "bf16" in dtypes and (older := [a for a in architectures if a < BF16_FROM]):
        raise ValueError(
            f"bf16 needs compute capability {BF16_FROM} or newer, got {older}; leave it or them out"
        )


def _earlier(out: Path) -> dict[str, Binary]:
    """What the folder's manifest and an interrupted build list, by key."""
    found: dict[str, Binary] = {}
    if (out / records.NAME).exists():
        found = {binary.key: binary for _, _, binary in records.read(out).all_binaries()}
    if (out / PROGRESS).exists():
        for line in (out / PROGRESS).read_text(encoding="utf-8").splitlines():
            # The last line may have been cut short.
            if line.startswith("{") and line.endswith("}"):
                binary: Binary = records.decode(Binary, json.loads(line), PROGRESS)
                found[binary.key] = binary
    return found


def _is_whole(out: Path, binary: Binary) -> bool:
    try:
        return all(verified(out, file) for file in (binary.cubin, binary.ptx))
    except ModelError:
        return False


def _compiled(out: Path, tasks: Mapping[str, Task], jobs: int) -> Iterator[tuple[str, Binary]]:
    """Compiles in processes of their own, writes the files, and says so, as each is done."""
    if not tasks:
        return
    with tempfile.TemporaryDirectory() as cache:
        # Fresh processes: a fork of one with PyTorch's threads can hang.
        spawn = multiprocessing.get_context("spawn")
        pool = ProcessPoolExecutor(jobs, spawn, prepare_process, (cache,))
        try:
            waiting = {pool.submit(compiled, source, a): key for key, (source, a) in tasks.items()}
            begin = time.monotonic()
            for count, future in enumerate(as_completed(waiting), 1):
                key = waiting[future]
                source, architecture = tasks[key]
                binary = _written(out, key, source, architecture, future.result())
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


def _written(out: Path, key: str, source: Source, architecture: int, made: Compiled) -> Binary:
    """Writes a kernel's two files."""
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
    """A line for each kernel that keeps some of its registers in memory: right, but slower."""
    for entry in manifest.operations:
        for launch in entry.launches:
            kernel = manifest.kernels[launch.kernel]
            for architecture, binary in kernel.binaries.items():
                if binary.spill_bytes:
                    yield (
                        f"{describe(entry)}: {kernel.symbol} spills {binary.spill_bytes} bytes a thread "
                        f"on sm_{architecture}"
                    )


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--out", type=Path, metavar="DIR", help="where to build, or to go on building")
    what.add_argument("--check", metavar="DIR", help="check a folder; the same as python -m fer_edge.aot")
    parser.add_argument(
        "--architectures",
        type=int,
        nargs="+",
        choices=ARCHITECTURES,
        default=list(ARCHITECTURES),
        metavar="CC",
        help=f"compute capabilities; {' '.join(map(str, ARCHITECTURES))} by default",
    )
    parser.add_argument("--dtypes", nargs="+", choices=("fp16", "fp32", "bf16"), default=["fp16", "fp32"])
    parser.add_argument("--layouts", nargs="+", choices=LAYOUTS, default=["contiguous"])
    parser.add_argument(
        "--shape",
        nargs="+",
        default=[],
        metavar="SHAPE",
        help=f"{FORM}, instead of the networks' shapes; for example dcif:384x6x6:hidden=24",
    )
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="processes that compile")
    return parser


def main() -> None:
    parser = _arguments()
    args = parser.parse_args()
    if args.check:
        sys.exit(check_command.main([args.check]))
    with told_by(parser):
        layouts = [LAYOUTS[name] for name in args.layouts]
        shapes = [shape_from_text(text) for text in dict.fromkeys(args.shape)] or SHAPES
        manifest = build(args.out, shapes, args.architectures, args.dtypes, layouts, args.jobs)
        for line in _spills(manifest):
            print(line)
        # The same command that anybody else checks the folder with.
        sys.exit(check_command.main([str(args.out)]))


if __name__ == "__main__":
    main()

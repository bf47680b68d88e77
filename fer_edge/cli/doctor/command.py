"""Check what is installed and what would run; print the command that fixes each problem."""

import argparse
import os
import platform
import sys
import time
from collections.abc import Iterable, Iterator
from typing import Literal

import fer_edge
from fer_edge import models
from fer_edge.argument_types import nonempty_path
from fer_edge.backends.engines import storage
from fer_edge.cli.doctor.check import Check
from fer_edge.cli.doctor.device_checks import device_checks
from fer_edge.device.machine import read_machine
from fer_edge.installation import installed, libraries
from fer_edge.installation.repair_commands import REINSTALL, RESTORE

SUMS = models.WEIGHTS / "SHA256SUMS"
REQUIRED_MODELS = ("face-luma", "tkfnet-nano")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `doctor`."""
    parser.add_argument(
        "--engines",
        type=nonempty_path,
        metavar="FOLDER",
        help="look for engines there, not in the user's cache",
    )
    parser.add_argument(
        "--root",
        type=nonempty_path,
        metavar="FOLDER",
        help="only the GPU of another machine, from a copy of its files: see docs/jetson.md",
    )


def run(options: argparse.Namespace) -> int:
    """Prints the findings; returns 1 if something is double, missing or broken, else 0."""
    if options.root is not None:
        if not options.root.is_dir():
            print(f"fer-edge: {options.root} is no folder", file=sys.stderr)
            return 2
        _show(device_checks(read_machine(options.root), options.engines, here=False))
        return 0
    print(f"fer-edge {fer_edge.__version__} in {models.WEIGHTS.parent}")
    states = _show(_checks())
    _show(device_checks(read_machine(), options.engines or storage.default_root()))
    if states & {"missing", "broken"}:
        print("would not run")
        return 1
    return max(_start_recognizer(), int("double" in states))


def _show(checks: Iterable[Check]) -> set[str]:
    """Prints findings and returns their states."""
    states: set[str] = set()
    for check in checks:
        states.add(check.state)
        print(f"  {check.state:7}  {check.name:12} {check.detail}")
        if check.fix:
            print(f"{'':24}fix: {check.fix}")
    return states


def _checks() -> Iterator[Check]:
    cores = os.cpu_count()
    yield Check("python", "ok", f"{platform.python_version()} on {platform.platform()}, {cores} cores")
    yield _library("numpy")
    yield _kernels()
    yield _engine()
    yield _opencv()
    yield from _weights()


def _library(module: str) -> Check:
    owners = installed.owners(module)
    if len(owners) > 1:
        detail = f"{' and '.join(map(str, owners))} overwrite each other's files"
        return Check(module, "double", detail, installed.keep_one(owners))
    loaded, reason = libraries.attempt(module)
    if reason:
        there = owners or installed.is_found(module)
        state: Literal["missing", "broken"] = "broken" if there else "missing"
        return Check(module, state, reason, installed.command_that_mends(module, reason))
    return Check(module, "ok", str(loaded.__version__))


def _kernels() -> Check:
    try:
        from fer_edge import ops
    except (ImportError, ValueError) as error:
        return Check("kernels", "missing", str(error), "unset FER_EDGE_OPS")
    detail = f"{ops.target} (this machine runs: {', '.join(ops.targets())})"
    if set(ops.targets()) <= {"opencv", "reference"}:
        return Check("kernels", "slow", f"{detail}; the compiled core is not built", REINSTALL)
    if ops.target != ops.targets()[0]:
        return Check("kernels", "slow", f"{detail}; FER_EDGE_OPS asks for it", "unset FER_EDGE_OPS")
    return Check("kernels", "ok", detail)


def _engine() -> Check:
    check = _library("onnxruntime")
    if check.state != "ok":
        return check
    providers = libraries.load("onnxruntime").get_available_providers()
    return Check("onnxruntime", "ok", f"{check.detail} (offers {', '.join(providers)})")


def _opencv() -> Check:
    check = _library("cv2")
    if check.state != "missing":
        return check
    detail = "not installed; fer-edge predict needs it to read pictures, a Recognizer does not"
    return Check("cv2", "absent", detail, check.fix)


def _weights() -> Iterator[Check]:
    sums = {}
    if SUMS.exists():
        # The format of sha256sum: 64 digits, two spaces, the name.
        sums = {line[66:]: line[:64] for line in SUMS.read_text().splitlines()}
    for name in REQUIRED_MODELS:
        if name not in models.embedded():
            yield Check(name, "missing", "the file is not there", RESTORE)
            continue
        try:
            model = models.read(models.WEIGHTS / f"{name}.onnx")
        except models.ModelError as error:
            yield Check(name, "broken", str(error), RESTORE)
            continue
        if sums.get(model.path.name) != model.sha256:
            yield Check(name, "broken", f"sha256 {model.sha256[:12]}... is not the one in {SUMS}", RESTORE)
        else:
            yield Check(name, "ok", f"version {model.spec.version}, sha256 {model.sha256[:12]}... as shipped")


def _start_recognizer() -> int:
    from fer_edge.recognizer import Recognizer

    start = time.perf_counter()
    try:
        with Recognizer() as recognizer:
            print(f"would run: {recognizer!r}, ready in {1000 * (time.perf_counter() - start):.0f} ms")
    except (models.ModelError, ImportError, RuntimeError) as error:
        print(f"would not run: {error}", file=sys.stderr)
        return 1
    return 0

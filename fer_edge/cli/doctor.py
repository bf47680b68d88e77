"""Check what is installed and what would run; print the command that fixes each problem."""

import argparse
import importlib
import os
import platform
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import fer_edge
from fer_edge import models

SUMS = models.WEIGHTS / "SHA256SUMS"
ROOT = models.WEIGHTS.parent.parent
IN_CHECKOUT = (ROOT / "pyproject.toml").exists()
REINSTALL = f"pip install -e {ROOT}" if IN_CHECKOUT else "pip install --force-reinstall --no-deps fer_edge"
RESTORE = f"git -C {ROOT} restore fer_edge/weights" if IN_CHECKOUT else REINSTALL
REQUIRED_MODELS = ("face-luma", "tkfnet-nano")


@dataclass(frozen=True, slots=True)
class Check:
    """One finding. `fix` is the command that solves a problem. With "slow", everything still works."""

    name: str
    state: Literal["ok", "slow", "missing", "broken"]
    detail: str
    fix: str = ""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """`doctor` has no arguments."""


def run(options: argparse.Namespace) -> int:
    """Prints the findings; returns 0 if pictures can be processed, else 1."""
    print(f"fer-edge {fer_edge.__version__} in {models.WEIGHTS.parent}")
    states = []
    for check in _checks():
        states.append(check.state)
        print(f"  {check.state:7}  {check.name:12} {check.detail}")
        if check.fix:
            print(f"{'':24}fix: {check.fix}")
    if "missing" in states or "broken" in states:
        print("would not run")
        return 1
    return _start_recognizer()


def _checks() -> Iterator[Check]:
    cores = os.cpu_count()
    yield Check("python", "ok", f"{platform.python_version()} on {platform.platform()}, {cores} cores")
    yield _library("numpy", "numpy")
    yield _kernels()
    yield _engine()
    yield _library("cv2", "opencv-python-headless")
    yield from _weights()


def _library(module: str, package: str) -> Check:
    try:
        version = importlib.import_module(module).__version__
    except ImportError as error:
        return Check(module, "missing", str(error), f"pip install {package}")
    return Check(module, "ok", str(version))


def _kernels() -> Check:
    try:
        from fer_edge import ops
    except (ImportError, ValueError) as error:
        return Check("kernels", "missing", str(error), "unset FER_EDGE_OPS")
    detail = f"{ops.target} (this machine runs: {', '.join(ops.targets())})"
    if ops.targets() == ["reference"]:
        return Check("kernels", "slow", f"{detail}; the compiled core is not built", REINSTALL)
    if ops.target != ops.targets()[0]:
        return Check("kernels", "slow", f"{detail}; FER_EDGE_OPS asks for it", "unset FER_EDGE_OPS")
    return Check("kernels", "ok", detail)


def _engine() -> Check:
    engine = _library("onnxruntime", "onnxruntime")
    if engine.state != "ok":
        return engine
    providers = importlib.import_module("onnxruntime").get_available_providers()
    return Check("onnxruntime", "ok", f"{engine.detail} (offers {', '.join(providers)})")


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

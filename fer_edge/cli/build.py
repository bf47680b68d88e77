"""Build engines for an NVIDIA GPU from models: FOLDER/NAME.plan with FOLDER/NAME.json beside it."""

import argparse
import sys
import time

from fer_edge import models
from fer_edge.argument_types import nonempty, nonempty_path
from fer_edge.backends.engines.key import WORKSPACE_MIB, Options
from fer_edge.backends.engines.plans import plan_for
from fer_edge.backends.engines.plugins.registration import wanted as plugins_wanted
from fer_edge.backends.engines.products import TARGET_NAMES, Target, target_for
from fer_edge.backends.engines.progress import Progress
from fer_edge.models import ModelError

BAR = 24
# Seconds between two lines of progress, where the terminal cannot overwrite one.
LINE_EVERY_S = 15.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `build`."""
    parser.add_argument(
        "models", nargs="+", type=nonempty, metavar="MODEL", help="name of an embedded model, or an ONNX file"
    )
    parser.add_argument(
        "--for",
        dest="target",
        choices=TARGET_NAMES,
        required=True,
        help="rtx: desktop GPUs from Ampere on; turing: desktop GPUs of that generation; this: the GPU of "
        "this machine. rtx and turing need no GPU here",
    )
    parser.add_argument(
        "--out", type=nonempty_path, metavar="FOLDER", help="where to write; default: the user's cache"
    )
    parser.add_argument(
        "--workspace",
        type=int,
        default=WORKSPACE_MIB,
        metavar="MIB",
        help="most GPU memory for a layer's intermediate results (default: %(default)s)",
    )
    parser.add_argument(
        "--dla", type=int, metavar="CORE", help="build for a deep-learning accelerator of Orin"
    )


def run(options: argparse.Namespace) -> int:
    """Runs `fer-edge build` and returns its exit code."""
    if options.workspace < 1 or (options.dla is not None and options.dla < 0):
        print("fer-edge: --workspace must be 1 or more, --dla 0 or more", file=sys.stderr)
        return 2
    target = target_for(options.target)
    try:
        built = [_build(name, target, options) for name in options.models]
    except ImportError as error:
        print(f"fer-edge: {error}", file=sys.stderr)
        return 2
    return 0 if all(built) else 1


def _build(name: str, target: Target, options: argparse.Namespace) -> bool:
    """Builds one engine; returns whether it is there."""
    try:
        _build_or_raise(name, target, options)
    except ModelError as error:
        print(f"fer-edge: {error}", file=sys.stderr)
        return False
    return True


def _build_or_raise(name: str, target: Target, options: argparse.Namespace) -> None:
    model = models.read(models.path_of(name))
    settings = Options(workspace_mib=options.workspace, dla_core=options.dla, plugins=plugins_wanted())
    display = ProgressDisplay(model.path.stem)
    try:
        plan = plan_for(model, target, options.out, options=settings, report=display)
    finally:
        display.close()
    built = plan.sidecar.built
    layers = ", ".join(f"{count} {precision}" for precision, count in built.precisions.items())
    confirmed = "in the network and the engine" if built.inspected else "in the network"
    how = f"built in {built.seconds:.1f} s" if display.used else "was there, and fits"
    print(f"{plan.path}: {how}; {len(plan.data) / 1e6:.1f} MB; layers: {layers}, confirmed {confirmed}")
    print(f"  runs on {target.describe}")


class ProgressDisplay:
    """Shows the progress of a build on stderr: a bar on a terminal, else a line now and then."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._on_terminal = sys.stderr.isatty()
        self._next_line = time.monotonic() + LINE_EVERY_S
        self.used = False

    def __call__(self, progress: Progress) -> None:
        self.used = True
        text = f"{self._name}: {progress_text(progress)}"
        if self._on_terminal:
            # \x1b[K clears the rest of a longer line.
            print(f"\r{text}\x1b[K", end="", file=sys.stderr, flush=True)
        elif time.monotonic() >= self._next_line:
            self._next_line = time.monotonic() + LINE_EVERY_S
            print(text, file=sys.stderr)

    def close(self) -> None:
        """Clears the bar."""
        if self.used and self._on_terminal:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)


def progress_text(progress: Progress) -> str:
    """One line: bar, percentage, time left, phase."""
    filled = round(progress.share * BAR)
    left = "" if progress.left_s is None else f", {_minutes(progress.left_s)} left"
    bar = "#" * filled + "." * (BAR - filled)
    return f"[{bar}] {progress.share:4.0%} after {_minutes(progress.elapsed_s)}{left}: {progress.phase}"


def _minutes(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02}"

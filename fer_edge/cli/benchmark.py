"""Measure this machine. Needs no picture: faces are drawn.

The scenarios are named as in MLPerf Inference: SingleStream (one face a query), MultiStream (8 faces a
query), Offline (batches); and EndToEnd (frames to faces) and ColdStart (fresh processes). See
docs/benchmarks.md.
"""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from fer_edge.argument_types import nonempty_path
from fer_edge.models import ModelError

if TYPE_CHECKING:
    from fer_edge.benchmark.result import Result
    from fer_edge.benchmark.settings import Settings

DEFAULT_FPS = 30.0
BAR = 24  # characters


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `benchmark`."""
    _add_what(parser)
    _add_peers(parser)
    output = parser.add_argument_group("output")
    output.add_argument(
        "--json", type=nonempty_path, metavar="FILE", help="write the result, for --read and --compare"
    )
    output.add_argument("--markdown", type=nonempty_path, metavar="FILE", help="write the tables as Markdown")
    output.add_argument("--picture", type=nonempty_path, metavar="FILE.svg", help="write a bar chart")
    output.add_argument(
        "--budget",
        type=float,
        nargs="?",
        const=DEFAULT_FPS,
        metavar="FPS",
        help="say how many faces can be read at this rate (default: 30); measures EndToEnd only",
    )
    output.add_argument(
        "--read", type=nonempty_path, metavar="FILE", help="show a result of --json; measures nothing"
    )
    output.add_argument(
        "--compare",
        type=nonempty_path,
        nargs=2,
        metavar=("A", "B"),
        help="ratios of two results; measures nothing",
    )
    output.add_argument("--peers", action="store_true", help="list the peers that are installed")


def _add_what(parser: argparse.ArgumentParser) -> None:
    what = parser.add_argument_group("what is measured")
    what.add_argument("--scenario", nargs="+", metavar="NAME", help="of the scenarios (default: all)")
    what.add_argument("--model", nargs="+", help="embedded names or ONNX files (default: int8 and float32)")
    what.add_argument("--detector", default="face-luma", help="embedded name or ONNX file")
    what.add_argument("--backend", nargs="+", default=["auto"], help="engines of the CPU (default: auto)")
    what.add_argument("--threads", type=int, nargs="+", default=[1], metavar="N", help="(default: 1)")
    what.add_argument(
        "--batch", type=int, nargs="+", default=[1, 8, 32], metavar="N", help="of Offline (default: 1 8 32)"
    )
    what.add_argument(
        "--faces", type=int, nargs="+", default=[0, 1, 4, 16], metavar="N", help="drawn (default: 0 1 4 16)"
    )
    what.add_argument("--frame", default="640x480", metavar="WxH", help="size of drawn frames (%(default)s)")
    what.add_argument("--video", type=nonempty_path, help="use the first frames of a video instead")
    what.add_argument("--photo", type=nonempty_path, help="use a picture instead")
    what.add_argument("--seconds", type=float, default=3.0, help="smallest duration of a row (%(default)s)")
    what.add_argument("--queries", type=int, help="smallest number of queries (default: by scenario)")
    what.add_argument("--quick", action="store_true", help="a tenth of the queries, for a first look")


def _add_peers(parser: argparse.ArgumentParser) -> None:
    peers = parser.add_argument_group("peers, measured in the same run")
    peers.add_argument(
        "--yunet", type=nonempty_path, metavar="FILE", help="YuNet, by OpenCV's FaceDetectorYN"
    )
    peers.add_argument(
        "--peer", type=nonempty_path, metavar="FILE", help="an expression network as ONNX, NCHW"
    )
    peers.add_argument("--peer-size", type=int, default=224, help="side of its input in px (%(default)s)")
    peers.add_argument("--peer-channels", type=int, default=3, help="1 grey, 3 BGR (%(default)s)")
    peers.add_argument("--peer-mean", type=float, default=127.5, help="(pixel - mean) * scale (%(default)s)")
    peers.add_argument("--peer-scale", type=float, default=1 / 127.5, help="(default: 1 / 127.5)")


def run(options: argparse.Namespace) -> int:
    """Runs `fer-edge benchmark` and returns its exit code."""
    try:
        if options.peers:
            return _list_peers()
        if options.compare is not None:
            return _compare(*options.compare)
        return _show(_result(options), options)
    except (ModelError, ImportError, ValueError, OSError, RuntimeError) as error:
        print(f"fer-edge: {error}", file=sys.stderr)
        return 2


def _result(options: argparse.Namespace) -> "Result":
    from fer_edge.benchmark.result import read_result

    if options.read is not None:
        return read_result(options.read)
    settings = _settings(options)
    _check_outputs(options)
    if options.budget is not None and "EndToEnd" not in settings.scenarios:
        raise ValueError("--budget needs rows of EndToEnd; add it to --scenario")
    from fer_edge.benchmark.run import measured

    progress = _Progress()
    try:
        return measured(settings, progress.show)
    finally:
        progress.clear()


def _settings(options: argparse.Namespace) -> "Settings":
    from fer_edge.benchmark.settings import SCENARIOS, Settings
    from fer_edge.benchmark.work.peers.expression import PeerInput

    chosen = options.scenario or (["EndToEnd"] if options.budget is not None else SCENARIOS)
    known = {name.lower(): name for name in SCENARIOS}
    if wrong := [name for name in chosen if name.lower() not in known]:
        raise ValueError(f"--scenario must be of {', '.join(SCENARIOS)}, got {wrong[0]}")
    width, x, height = options.frame.partition("x")
    if not (x and width.isdecimal() and height.isdecimal()):
        raise ValueError(f"--frame must be WIDTHxHEIGHT in px, as 640x480, got {options.frame}")
    peer = PeerInput(options.peer_size, options.peer_channels, options.peer_mean, options.peer_scale)
    settings = {} if options.model is None else {"models": options.model}
    return Settings(
        scenarios=[known[name.lower()] for name in chosen],
        detector=options.detector,
        backends=options.backend,
        threads=options.threads,
        batches=options.batch,
        faces=options.faces,
        frame=(int(width), int(height)),
        video=options.video,
        photo=options.photo,
        seconds=options.seconds,
        queries=options.queries,
        quick=options.quick,
        yunet=options.yunet,
        peer=options.peer,
        peer_input=peer,
        **settings,
    )


def _check_outputs(options: argparse.Namespace) -> None:
    """Refuses an output that cannot be written before minutes of measuring."""
    from fer_edge.benchmark.report.budget import check_rate

    if options.budget is not None:
        check_rate(options.budget)
    if options.picture is not None and options.picture.suffix.lower() != ".svg":
        raise ValueError(f"--picture writes SVG, so its name must end in .svg, got {options.picture}")
    for path in (options.json, options.markdown, options.picture):
        if path is not None:
            if path.is_dir():
                raise IsADirectoryError(f"{path} is a folder; give the name of a file")
            path.parent.mkdir(parents=True, exist_ok=True)


def _show(result: "Result", options: argparse.Namespace) -> int:
    from fer_edge.benchmark.report.budget import budget_lines
    from fer_edge.benchmark.report.picture import svg_from_result
    from fer_edge.benchmark.report.tables import markdown_report, text_report
    from fer_edge.benchmark.result import write_result

    _check_outputs(options)
    # First, so that no later error loses what was measured.
    if options.json is not None:
        write_result(result, options.json)
    print(text_report(result), end="")
    if options.markdown is not None:
        options.markdown.write_text(markdown_report(result), encoding="utf-8")
    if options.picture is not None:
        options.picture.write_text(svg_from_result(result), encoding="utf-8")
    if options.budget is not None:
        print("\n" + "\n".join(budget_lines(result, options.budget)))
    return 0


def _compare(first_path: Path, second_path: Path) -> int:
    from fer_edge.benchmark.report import compare
    from fer_edge.benchmark.report.tables import aligned
    from fer_edge.benchmark.result import read_result

    first, second = read_result(first_path), read_result(second_path)
    found = compare.ratios(first, second)
    if not found:
        raise ValueError(f"{first_path} and {second_path} have no row in common")
    for line in compare.context_differences(first.context, second.context):
        print(f"differs: {line}")
    print(aligned(compare.ratio_cells(found)))
    for line in compare.only_in_one(first, second):
        print(line)
    return 0


def _list_peers() -> int:
    from fer_edge.benchmark.work.peers import OFFERS, installed

    for module, is_there in installed().items():
        offer, command = OFFERS[module]
        print(f"{module:12} {offer}: {'installed' if is_there else f'not installed; {command}'}")
    return 0


class _Progress:
    """What is being measured, on stderr: a bar on a terminal, else a line for each scenario."""

    def __init__(self) -> None:
        self._is_terminal = sys.stderr.isatty()
        self._name = ""

    def show(self, name: str, share: float) -> None:
        """Shows that this share of a scenario is done."""
        if self._is_terminal:
            done = round(BAR * min(1.0, share))
            bar = "#" * done + "." * (BAR - done)
            print(f"\r{name}  [{bar}] {share:4.0%}\033[K", end="", file=sys.stderr, flush=True)
        elif name != self._name:
            print(f"measuring {name}", file=sys.stderr)
        self._name = name

    def clear(self) -> None:
        """Removes the bar."""
        if self._is_terminal:
            print("\r\033[K", end="", file=sys.stderr, flush=True)

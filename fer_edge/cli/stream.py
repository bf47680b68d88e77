"""Follow the faces of a camera, video, folder of pictures or URL, and print what happens.

The output is a log of events or JSON lines; --out writes an annotated video, --window shows it, --web serves
a page with it, --metrics serves counters for Prometheus. Ctrl-C and SIGTERM end the command and finish the
video.
"""

import argparse
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from fer_edge.argument_types import nonempty, nonempty_path
from fer_edge.arrays import U8
from fer_edge.backends.cuda.device import DeviceError
from fer_edge.cli.live_page import PacedPage, add_web_arguments, page_from_options
from fer_edge.cli.metrics import Metrics
from fer_edge.cli.recognizer_options import (
    CANNOT_START,
    add_recognizer_arguments,
    recognizer_from_options,
)
from fer_edge.cli.stop_signals import graceful_stop
from fer_edge.cli.stream_reports import EventLog, JsonLines, StreamReport
from fer_edge.cli.video.video_file import (
    DEFAULT_FPS,
    MAX_FPS,
    MIN_FPS,
    UnwritableVideoError,
    VideoFile,
    facts_of_video,
    reason_of_bad_end,
)
from fer_edge.cli.window import Window
from fer_edge.models import ModelError

if TYPE_CHECKING:
    from fer_edge.recognizer import Recognizer
    from fer_edge.stream import Stream
    from fer_edge.stream.result import StreamResult


class Screen(Protocol):
    """Takes the annotated pictures."""

    def show(self, picture: U8, time: float) -> bool:
        """Shows or keeps a picture; returns False when the user wants to stop."""


class Listener(Protocol):
    """Takes the results."""

    def frame(self, result: "StreamResult") -> None:
        """Takes the result of a frame."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `stream`."""
    parser.add_argument(
        "source",
        type=nonempty,
        metavar="SOURCE",
        help="index of a camera (0), device, video, folder of pictures, URL, or GStreamer pipeline",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object per frame, one per line")
    parser.add_argument(
        "--out", type=nonempty_path, metavar="VIDEO", help="write an annotated video, with no sound"
    )
    parser.add_argument(
        "--fps",
        type=float,
        help="frames per second of a folder of pictures, and of the video written from a live source "
        f"(default: {DEFAULT_FPS:g}); a file has its own",
    )
    parser.add_argument("--window", action="store_true", help="show the annotated picture; q or Escape ends")
    add_web_arguments(parser)
    parser.add_argument(
        "--metrics", type=int, metavar="PORT", help="serve http://127.0.0.1:PORT/metrics for Prometheus"
    )
    parser.add_argument(
        "--reconnect",
        type=float,
        default=60.0,
        metavar="SECONDS",
        help="how long a lost camera or URL is opened again (default: %(default)g)",
    )
    add_recognizer_arguments(parser, min_face="a 20th of the longer side")


def run(options: argparse.Namespace) -> int:
    """Runs `fer-edge stream` and returns its exit code."""
    with graceful_stop(), ExitStack() as stack:
        try:
            recognizer, stream = _open(options, stack)
            screens, listeners = _outputs(options, recognizer, stream, stack)
        except CANNOT_START as error:
            print(f"fer-edge: {error}", file=sys.stderr)
            return 2
        report: StreamReport = JsonLines() if options.json else EventLog()
        try:
            return _follow(stream, [report, *listeners], screens)
        finally:
            report.end()


def _open(options: argparse.Namespace, stack: ExitStack) -> "tuple[Recognizer, Stream]":
    # Imported here for the same reason as in recognizer_from_options.
    from fer_edge.installation.import_opencv import opencv
    from fer_edge.stream import Stream

    opencv()
    if options.web_host is not None and options.web is None:
        raise ValueError("--web-host is the address of the page, and needs --web")
    fps = options.fps
    if fps is not None and not MIN_FPS <= fps <= MAX_FPS:
        raise ValueError(f"--fps must be {MIN_FPS:g} to {MAX_FPS:g} frames per second, got {fps:g}")
    source = int(options.source) if options.source.isdecimal() else options.source
    is_folder = Path(options.source).is_dir()
    recognizer = stack.enter_context(recognizer_from_options(options))
    stream = Stream(recognizer, source, fps=fps if is_folder else None, reconnect_s=options.reconnect)
    return recognizer, stack.enter_context(stream)


def _outputs(
    options: argparse.Namespace, recognizer: "Recognizer", stream: "Stream", stack: ExitStack
) -> tuple[list[Screen], list[Listener]]:
    """Opens what was asked for. The stack closes it, before the stream."""
    paced = not stream.info()["source"]["is_live"]
    screens: list[Screen] = []
    if options.window:
        screens.append(stack.enter_context(Window(f"fer-edge {options.source}", paced=paced)))
    listeners: list[Listener] = []
    if options.web is not None:
        page = stack.enter_context(page_from_options(options, recognizer.spec.labels, stream))
        print(f"fer-edge: live page at {page.url}", file=sys.stderr)
        listeners.append(PacedPage(page, paced=paced))
    if options.metrics is not None:
        metrics = stack.enter_context(Metrics(options.metrics))
        print(f"fer-edge: metrics at http://127.0.0.1:{metrics.port}/metrics", file=sys.stderr)
        listeners.append(metrics)
    if options.out is not None:
        screens.append(stack.enter_context(_video_from_options(options)))
    return screens, listeners


def _video_from_options(options: argparse.Namespace) -> VideoFile:
    source, out = Path(options.source), options.out
    if source.exists() and out.exists() and source.samefile(out):
        raise ValueError(f"--out must be another file than the source, got {out}")
    fps = facts_of_video(source).fps if source.is_file() else options.fps or DEFAULT_FPS
    try:
        return VideoFile(out, fps)
    except UnwritableVideoError as error:
        raise OSError(f"--out {out} cannot be written: {error.strerror}") from error


def _follow(stream: "Stream", listeners: Sequence[Listener], screens: Sequence[Screen]) -> int:
    """Processes frames until the source ends; returns the exit code."""
    from fer_edge.draw import Annotator

    annotate, code = Annotator(), 0
    while True:
        try:
            result = next(stream, None)
        except (TypeError, ValueError) as error:
            # One frame is wrong; the stream goes on with the next.
            print(f"fer-edge: {error}", file=sys.stderr)
            code = 1
            continue
        except (OSError, ModelError, DeviceError) as error:
            print(f"fer-edge: {error}", file=sys.stderr)
            return 1
        if result is None:
            return code or _ended(stream)
        for listener in listeners:
            listener.frame(result)
        if screens and result.frame is not None:
            picture = annotate(result.frame, result.faces)
            shown = [screen.show(picture, result.time) for screen in screens]
            if not all(shown):
                return code


def _ended(stream: "Stream") -> int:
    """Returns the exit code of a source that has ended without an error."""
    source = stream.info()["source"]
    if (reason := reason_of_bad_end(source)) is None:
        return 0
    print(f"fer-edge: {source['name']} {reason}", file=sys.stderr)
    return 1

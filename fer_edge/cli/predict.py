"""Recognize the expression of every face in pictures and videos.

The output is a table, JSON lines or CSV; --draw also writes annotated copies. In videos, faces are followed
and their expressions smoothed, as in `stream`.
"""

import argparse
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from fer_edge.argument_types import nonempty, nonempty_path
from fer_edge.arrays import U8
from fer_edge.backends.cuda.device import DeviceError
from fer_edge.cli.pictures import is_video, message_of, picture_of, pictures_from_arguments, shown
from fer_edge.cli.recognizer_options import (
    CANNOT_START,
    add_recognizer_arguments,
    recognizer_from_options,
)
from fer_edge.cli.report import CsvReport, JsonReport, Report, TableReport
from fer_edge.cli.video.predict_video import VideoPredictor, timeline_path
from fer_edge.cli.video.video_report import NoPictures, video_report_from_options
from fer_edge.detection.scales import smallest_face_px
from fer_edge.installation.import_opencv import opencv
from fer_edge.models import ModelError
from fer_edge.result import Face

# Finer than the default of Recognizer: groups are photographed more often than filmed, and time matters less.
# `python -m training.evaluate_search` shows what both find.
MIN_FACE_SHARE = 1 / 80
MAX_FACES = 1000

if TYPE_CHECKING:
    from fer_edge.recognizer import Recognizer

# Annotated copies of smaller pictures are enlarged by an integer factor, so that their text is readable.
MIN_LONG_PX = 640


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `predict`."""
    parser.add_argument(
        "paths",
        nargs="+",
        type=nonempty,
        metavar="PATH",
        help="picture or video, folder of them, quoted glob, or - for stdin",
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument(
        "--json", action="store_true", help="print one JSON object per picture or frame, one per line"
    )
    form.add_argument("--csv", action="store_true", help="print one CSV row per face, with all probabilities")
    parser.add_argument(
        "--draw",
        type=nonempty_path,
        metavar="DIR",
        help="write annotated copies NAME-faces.jpg or .mp4 into DIR, and a timeline of each video",
    )
    add_recognizer_arguments(
        parser, min_face="an 80th of the longer side of a picture, at least 16; a 20th of that of a video"
    )


def run(options: argparse.Namespace) -> int:
    """Runs `fer-edge predict` and returns its exit code."""
    with ExitStack() as opened:
        try:
            opencv()
            recognizer = opened.enter_context(
                recognizer_from_options(options, min_face_share=MIN_FACE_SHARE, max_faces=MAX_FACES)
            )
            if options.draw is not None:
                _make_folder(options.draw)
            paths, failures = pictures_from_arguments(options.paths)
            for_videos = recognizer
            if any(map(is_video, paths)):
                # Frames are searched as by a Recognizer, since there are many.
                for_videos = opened.enter_context(recognizer_from_options(options))
        except CANNOT_START as error:
            print(f"fer-edge: {error}", file=sys.stderr)
            return 2
        if options.csv and any(map(is_video, paths)) and not all(map(is_video, paths)):
            print("fer-edge: --csv takes pictures or videos, not both; their columns differ", file=sys.stderr)
            return 2
        report = _report_from_options(options, paths, recognizer.labels)
        videos = VideoPredictor(for_videos, video_report_from_options(options, paths, recognizer.labels))
        for argument, message in failures:
            _fail(report, argument, message)
        copies = _copy_paths(paths, options.draw)
        done = [
            _predict_video(videos, path, copy, report)
            if is_video(path)
            else _predict_one(recognizer, path, copy, report, options.min_face)
            for path, copy in zip(paths, copies, strict=True)
        ]
    return 0 if all(done) and not failures else 1


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        is_taken = isinstance(error, FileExistsError | NotADirectoryError)
        reason = "a file has this name or that of a folder above it" if is_taken else message_of(error)
        raise OSError(f"--draw must be a folder, and {shown(folder)} cannot be made: {reason}") from error


def _report_from_options(options: argparse.Namespace, paths: Sequence[Path], labels: Sequence[str]) -> Report:
    if options.json:
        return JsonReport()
    if paths and all(map(is_video, paths)):
        return NoPictures()
    return CsvReport(labels) if options.csv else TableReport(paths, labels)


def _predict_one(
    recognizer: "Recognizer", path: Path, copy: Path | None, report: Report, min_face: float | None
) -> bool:
    """Reads, processes and reports one picture; returns whether this succeeded."""
    try:
        picture, notes = picture_of(path)
        for note in notes:
            print(f"fer-edge: {shown(path)}: {note}", file=sys.stderr)
        faces = recognizer(picture)
    except (OSError, ValueError, ModelError, DeviceError) as error:
        _fail(report, shown(path), message_of(error))
        return False
    if copy is not None:
        try:
            _write_copy(copy, picture, faces)
        except (OSError, ValueError) as error:
            # The output is named, since nothing is wrong with the input.
            _fail(report, shown(path), f"{shown(copy)} cannot be written: {message_of(error)}")
            return False
    min_face_px = smallest_face_px(max(picture.shape), min_face, MIN_FACE_SHARE)
    report.picture(path, faces, copy, min_face_px)
    return True


def _predict_video(videos: VideoPredictor, path: Path, copy: Path | None, report: Report) -> bool:
    if message := videos.predict(path, copy):
        _fail(report, shown(path), message)
    return message is None


def _fail(report: Report, name: str, message: str) -> None:
    print(f"fer-edge: {name}: {message}", file=sys.stderr)
    report.failure(name, message)


def _copy_paths(paths: Sequence[Path], folder: Path | None) -> list[Path | None]:
    """Returns the path of each annotated copy. All differ, and none is an input file."""
    if folder is None:
        return [None] * len(paths)
    # Compared case-insensitively, as some file systems do.
    taken = {str(path.resolve()).casefold() for path in paths}
    copies: list[Path | None] = []
    for path in paths:
        ending = ".mp4" if is_video(path) else ".jpg"
        number, copy = 1, folder / f"{path.stem}-faces{ending}"
        while not taken.isdisjoint(keys := _keys_of_outputs(copy)):
            number += 1
            copy = folder / f"{path.stem}-faces-{number}{ending}"
        taken |= keys
        copies.append(copy)
    return copies


def _keys_of_outputs(copy: Path) -> set[str]:
    outputs = [copy, timeline_path(copy)] if is_video(copy) else [copy]
    return {str(path.resolve()).casefold() for path in outputs}


def _write_copy(copy: Path, picture: U8, faces: Sequence[Face]) -> None:
    from fer_edge.draw import annotate

    cv2 = opencv()
    scale = max(1, -(-MIN_LONG_PX // max(picture.shape[:2])))
    try:
        encoded, data = cv2.imencode(".jpg", annotate(picture, faces, scale=scale))
    except cv2.error:
        # OpenCV 4.10 raises, later releases return False.
        encoded = False
    if not encoded:
        height, width = picture.shape[:2]
        raise ValueError(f"a JPEG holds at most 65500 pixels a side, got {width} x {height}")
    # Not cv2.imwrite: it cannot write names outside the system's code page and gives no reason for a failure.
    data.tofile(copy)

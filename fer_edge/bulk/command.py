"""The expressions of all faces of many pictures and videos, in one Parquet file.

Runs on all cores of this machine, or on a Ray cluster. Interrupted, the same command goes on where it was.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from importlib.util import find_spec

from fer_edge import models
from fer_edge.argument_types import nonempty, nonempty_path
from fer_edge.bulk.sources import files_from_arguments, parts_folder
from fer_edge.cli.recognizer_options import CANNOT_START, add_recognizer_arguments
from fer_edge.cli.standard_streams import prepare_streams
from fer_edge.installation.repair_commands import install_extra


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a job and returns the exit code of the process: 0 each input has its rows, 2 it could not run."""
    prepare_streams()
    options = _parser().parse_args(arguments)
    try:
        print(_run(options))
    except CANNOT_START as error:
        print(f"fer_edge.bulk: {error}", file=sys.stderr)
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m fer_edge.bulk", description=__doc__)
    parser.add_argument(
        "sources",
        type=nonempty,
        nargs="+",
        metavar="SOURCE",
        help="picture, video, Parquet file of pictures, folder or quoted glob",
    )
    parser.add_argument(
        "--out", type=nonempty_path, required=True, metavar="FILE", help="the results, a Parquet file"
    )
    parser.add_argument(
        "--column",
        default="image",
        help="column of the encoded pictures in Parquet files (default: %(default)s)",
    )
    parser.add_argument("--address", help="of a Ray cluster, or auto (default: this machine)")
    parser.add_argument("--workers", type=_count, help="processes (default: one for each core and thread)")
    parser.add_argument(
        "--block",
        type=_count,
        default=64,
        metavar="N",
        help="pictures that are done together, which an interruption loses at most (default: %(default)s)",
    )
    add_recognizer_arguments(
        parser, min_face="an 80th of the longer side of a picture, at least 16; a 20th of that of a video"
    )
    return parser


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number of at least 1, got {text!r}")
    return int(text)


def _run(options: argparse.Namespace) -> str:
    """Runs the job and returns its summary."""
    if find_spec("pyarrow") is None:
        raise ImportError(f"bulk jobs need pyarrow and Ray: {install_extra('bulk')}")
    from fer_edge.bulk.job import Job

    start = time.monotonic()
    settings = {name: getattr(options, name) for name in ("backend", "threads", "min_face", "threshold")}
    settings |= {name: models.absolute(getattr(options, name)) for name in ("model", "detector")}
    files = files_from_arguments(options.sources, without=(options.out, parts_folder(options.out)))
    job = Job(files, options.out, settings, column=options.column, block=options.block)
    job.run(address=options.address, workers=options.workers)
    counts = job.counts()
    return (
        f"{options.out}: {job.inputs} inputs, {counts['faces']} faces, {counts['without faces']} pictures or "
        f"frames without faces, {counts['errors']} errors; {time.monotonic() - start:.1f} s"
    )

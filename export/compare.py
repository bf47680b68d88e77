"""Compares two files of one network: ``python -m export.compare FIRST.onnx SECOND.onnx --data DATA``.

Prints a table of accuracy, latency and changed labels, and writes it as a certificate. The second file is
usually a smaller or faster version of the first, and the last line says whether it should take its place.
The pictures are the rows of valid that export.convert neither calibrates nor chooses with, or all rows
where it takes all of them.
"""

import argparse
from dataclasses import asdict
from pathlib import Path

from export import onnx_metadata
from export.certificates import certificate
from export.certificates.certificate import LIMITS
from export.certificates.differences import Differences
from export.certificates.faces import Faces, faces_from_prepared
from export.certificates.latency import PairedTimes, time_in_pairs
from export.certificates.networks import OnnxNetwork
from export.certificates.pictures import unused
from fer_edge.backends.ort import DEFAULT_THREADS
from fer_edge.benchmark.measure.context import context
from fer_edge.onnx_file import facts_from_onnx
from training.command_line import exit_on_error

BATCHES = (1, 8)  # of the latency
PAIRS = 200  # of runs that are timed, at batch 1; fewer at larger ones
LARGEST_LOSS = 0.5  # percentage points up to which two files count as equally accurate
# Of a probability of the crop check.
LARGEST_CHECK_DIFFERENCE = LIMITS["expression"]["int8-cpu"].largest_check_difference


def compare(first: bytes, second: bytes, faces: Faces) -> tuple[Differences, list[PairedTimes]]:
    """Differences over the faces, and times at each of BATCHES."""
    crops = next(faces.inputs())
    timed = [time_in_pairs(first, second, crops[:n], max(20, PAIRS // n)) for n in BATCHES]
    return faces.differences(OnnxNetwork(first), OnnxNetwork(second)), timed


def should_replace(measured: Differences, timed: list[PairedTimes]) -> bool:
    """Whether the second file is faster beyond the spread of the pairs at every batch, as accurate, and
    withholds the same faces.
    """
    faster = all(pairs.ratio_75 < 1 for pairs in timed)
    checked = (measured.largest_check_difference or 0.0) <= LARGEST_CHECK_DIFFERENCE
    return faster and measured.loss <= LARGEST_LOSS and checked


def table(measured: Differences, timed: list[PairedTimes]) -> str:
    """A table of the first file beside the second."""
    lines = [f"{'':24s}{'first':>10s}{'second':>10s}"]
    lines.append(f"{'accuracy on valid':24s}{measured.accuracy_before:10.2%}{measured.accuracy_after:10.2%}")
    for pairs in timed:
        name = f"batch {pairs.batch}, ms (median)"
        spread = f"   x {pairs.ratio:.2f} ({pairs.ratio_25:.2f} to {pairs.ratio_75:.2f})"
        lines.append(f"{name:24s}{pairs.first_ms:10.2f}{pairs.second_ms:10.2f}{spread}")
    lines.append(
        f"probabilities differ by {measured.largest_difference:.3f} at most, {measured.mean_difference:.5f} "
        f"on average; {measured.changed_labels:.2%} of the labels change"
    )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("first", type=Path, help="expression network (ONNX)")
    parser.add_argument("second", type=Path, help="another file of the same network")
    parser.add_argument("--data", type=Path, required=True, help="folder that training.prepare wrote")
    parser.add_argument("--certificate", type=Path, help="where to write the certificate (JSON)")
    args = parser.parse_args()
    with exit_on_error(parser):
        _, spec = onnx_metadata.read_with_metadata(args.first)
        _, other = onnx_metadata.read_with_metadata(args.second)
        onnx_metadata.check_same_use(args.second, other, args.first, spec)
        files = args.first.read_bytes(), args.second.read_bytes()
        measured, timed = compare(*files, faces_from_prepared(args.data, "valid", spec, unused))
        replace = should_replace(measured, timed)
        if args.certificate:
            content = {
                **asdict(measured),
                "graph_sha256_before": facts_from_onnx(files[0]).graph_sha256,
                "graph_sha256_after": facts_from_onnx(files[1]).graph_sha256,
                "latency": [asdict(pairs) for pairs in timed],
                "should_replace": replace,
                "threads": DEFAULT_THREADS,
                "context": context(),
            }
            certificate.write(content, args.certificate)
    print(table(measured, timed))
    verdict = "can take the place of" if replace else "should not take the place of"
    print(
        f"the second file {verdict} the first; it must be faster beyond the spread, lose at most "
        f"{LARGEST_LOSS} points, and differ by at most {LARGEST_CHECK_DIFFERENCE} in the crop check"
    )


if __name__ == "__main__":
    main()

"""Compares two files of one network: ``python -m export.compare FIRST.onnx SECOND.onnx --data DATA``.

Prints a table of accuracy, latency and changed labels, and writes it as a certificate. The second file is
usually a smaller or faster version of the first.
"""

import argparse
from dataclasses import asdict
from pathlib import Path

from export import onnx_metadata
from export.differences import Differences, differences
from export.latency import PairedTimes, time_in_pairs
from fer_edge.backends.ort import DEFAULT_THREADS
from fer_edge.context import context
from fer_edge.models import ModelSpec
from training.command_line import exit_on_error
from training.data.crops import inputs_from_split
from training.data.split import Split, load_prepared

BATCHES = (1, 8)  # of the latency
PAIRS = 200  # of runs that are timed, at batch 1; fewer at larger ones


def compare(
    first: bytes, second: bytes, valid: Split, spec: ModelSpec
) -> tuple[Differences, list[PairedTimes]]:
    """Differences over the validation split, and times at each of BATCHES."""
    crops = inputs_from_split(valid.take(slice(max(BATCHES))), spec.size)
    timed = [time_in_pairs(first, second, crops[:n], max(20, PAIRS // n)) for n in BATCHES]
    return differences(first, second, valid, spec), timed


def certificate(measured: Differences, timed: list[PairedTimes]) -> dict[str, object]:
    """What was measured and on what, ready for JSON."""
    return {
        **asdict(measured),
        "latency": [asdict(pairs) for pairs in timed],
        "threads": DEFAULT_THREADS,
        "context": context(),
    }


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
        if (spec.size, spec.labels) != (other.size, other.labels):
            raise ValueError(f"{args.second} must have the size and the labels of {args.first}")
        files = args.first.read_bytes(), args.second.read_bytes()
        measured, timed = compare(*files, load_prepared(args.data, "valid"), spec)
        onnx_metadata.write_certificate(certificate(measured, timed), args.certificate)
    print(table(measured, timed))


if __name__ == "__main__":
    main()

"""Writes the measured figures into the documents: ``python -m benchmarks.documents``.

A block of figures stands between ``<!-- figures: NAME -->`` and ``<!-- end of figures -->``. The command
replaces its content by the result of the function that DOCUMENTS names, which reads the files in
benchmarks/results and docs/models. ``--check`` writes nothing and fails where a document differs from its
files; a test does the same.
"""

import argparse
import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from benchmarks import (
    abstention_figures,
    card_figures,
    detector_figures,
    export_figures,
    expression_figures,
    kernel_figures,
    latency_figures,
    stream_figures,
)

ROOT = Path(__file__).parent.parent
BLOCK = re.compile(
    r"(<!-- figures: (?P<name>[a-z0-9-]+) -->\n)(?P<content>.*?)(<!-- end of figures -->)", re.DOTALL
)
DOCUMENTS: dict[str, Mapping[str, Callable[[], str]]] = {
    "README.md": {
        "latency": latency_figures.latency,
        "start-up": latency_figures.start_up,
        "quality": expression_figures.quality,
    },
    "docs/building.md": {"operations": latency_figures.operations},
    "docs/exporting.md": {
        "expression-exports": export_figures.expression_exports,
        "detector-exports": export_figures.detector_exports,
        "calibrations": export_figures.calibrations,
    },
    "docs/kernels.md": {"kernels": kernel_figures.kernels},
    "docs/streams.md": {
        "stream-speed": stream_figures.speed,
        "stream-labels": stream_figures.labels,
        "stream-following": stream_figures.following,
        "stream-smoothing": stream_figures.smoothing,
    },
    "docs/results.md": {
        "networks": expression_figures.networks,
        "targets": expression_figures.targets,
        "precisions": expression_figures.precisions,
        "int8-latency": expression_figures.int8_latency,
        "copies": expression_figures.copies,
        "coverage": abstention_figures.coverage,
    },
    "docs/models/tkfnet-nano.md": {
        "headline": card_figures.headline,
        "classes": card_figures.classes,
        "temperatures": card_figures.temperatures,
        "vote-shares": card_figures.vote_shares,
        "robustness": card_figures.robustness,
        "threshold": card_figures.threshold,
        "by-confidence": card_figures.by_confidence,
        "unknowable": abstention_figures.unknowable,
        "crop-check": card_figures.crop_check,
        "logit-adjustment": card_figures.logit_adjustment,
        "by-eye-distance": card_figures.by_eye_distance,
        "by-blur": card_figures.by_blur,
        "by-turn": card_figures.by_turn,
    },
    "docs/models/face-luma.md": {
        "detector": detector_figures.detector,
        "landmarks": detector_figures.landmarks,
        "turned": detector_figures.turned,
        "time": detector_figures.time,
        "photos": detector_figures.photos,
        "search": detector_figures.search,
    },
}


def with_figures(text: str, blocks: Mapping[str, Callable[[], str]]) -> str:
    """Returns a document with the content of each block renewed.

    Raises:
        ValueError: the document's blocks are not those of the table, each once.
    """
    found = [match["name"] for match in BLOCK.finditer(text)]
    if sorted(found) != sorted(blocks):
        raise ValueError(
            f"blocks must be {', '.join(sorted(blocks))}, each once, got {', '.join(sorted(found))}"
        )
    return BLOCK.sub(lambda match: f"{match[1]}{blocks[match['name']]().rstrip()}\n{match[4]}", text)


def main(arguments: list[str] | None = None) -> int:
    """Writes or checks every document; returns 1 when --check finds a difference."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing; fail where a document differs")
    check = parser.parse_args(arguments).check
    differing = []
    for name, blocks in DOCUMENTS.items():
        path = ROOT / name
        text = path.read_text(encoding="utf-8")
        if (renewed := with_figures(text, blocks)) == text:
            continue
        differing.append(name)
        if not check:
            path.write_text(renewed, encoding="utf-8")
    for name in differing:
        print(
            f"{name}: {'differs from its files; run python -m benchmarks.documents' if check else 'written'}"
        )
    return 1 if check and differing else 0


if __name__ == "__main__":
    sys.exit(main())

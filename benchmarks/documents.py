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
from functools import partial
from pathlib import Path

from benchmarks.figures import (
    abstention,
    bulk,
    detector,
    exports,
    expressions,
    kernels,
    latency,
    model_card,
    scenarios,
    stream,
)

ROOT = Path(__file__).parent.parent
BLOCK = re.compile(
    r"(<!-- figures: (?P<name>[a-z0-9-]+) -->\n)(?P<content>.*?)(<!-- end of figures -->)", re.DOTALL
)
DOCUMENTS: dict[str, Mapping[str, Callable[[], str]]] = {
    "README.md": {
        "latency": latency.latency,
        "start-up": latency.start_up,
        "quality": expressions.quality,
    },
    "docs/benchmarks.md": {
        "scenarios": scenarios.scenarios,
        "peers": scenarios.peers,
        "two-threads": scenarios.two_threads,
        "peers-avx2": scenarios.peers_with_avx2,
    },
    "docs/building.md": {"operations": latency.operations},
    "docs/deploy.md": {"on-openvino": exports.on_openvino},
    "docs/bulk.md": {"bulk-jobs": bulk.jobs},
    "docs/exporting.md": {
        "expression-exports": exports.expression_exports,
        "detector-exports": exports.detector_exports,
        "calibrations": exports.calibrations,
    },
    "docs/kernels.md": {"kernels": kernels.kernels},
    "docs/streams.md": {
        "stream-speed": stream.speed,
        "stream-labels": stream.labels,
        "stream-following": stream.following,
        "stream-smoothing": stream.smoothing,
    },
    "docs/results.md": {
        "networks": expressions.networks,
        "targets": expressions.targets,
        "seeds": expressions.seeds,
        "blocks": expressions.blocks,
        "precisions": expressions.precisions,
        "int8-latency": expressions.int8_latency,
        "copies": expressions.copies,
        "coverage": abstention.coverage,
    },
    "docs/models/tkfnet-nano.md": {
        "headline": model_card.headline,
        "classes": model_card.classes,
        "temperatures": model_card.temperatures,
        "vote-shares": model_card.vote_shares,
        "robustness": model_card.robustness,
        "threshold": model_card.threshold,
        "by-confidence": model_card.by_confidence,
        "unknowable": abstention.unknowable,
        "crop-check": model_card.crop_check,
        "logit-adjustment": model_card.logit_adjustment,
        "by-eye-distance": model_card.by_eye_distance,
        "by-blur": model_card.by_blur,
        "by-turn": model_card.by_turn,
    },
    "docs/models/tkfnet-18-slim.md": {
        "headline": partial(model_card.headline, "tkfnet-18-slim"),
        "classes": partial(model_card.classes, "tkfnet-18-slim"),
    },
    "docs/models/conv-cut-atto.md": {
        "headline": partial(model_card.headline, "conv-cut-atto"),
        "classes": partial(model_card.classes, "conv-cut-atto"),
        "robustness": partial(model_card.robustness, "conv-cut-atto"),
    },
    "docs/models/face-luma.md": {
        "detector": detector.detector,
        "landmarks": detector.landmarks,
        "turned": detector.turned,
        "time": detector.time,
        "photos": detector.photos,
        "search": detector.search,
        "sides": detector.sides,
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

"""Judges an expression model: ``python -m training.evaluate MODEL runs/ferplus --out runs/nano/evaluation``.

MODEL is a checkpoint of training.train or an ONNX file, DATA what training.prepare wrote. The temperature and
the threshold of abstention are fitted on the validation split; the test split is scored once, single images,
no test-time tricks. ``--also`` judges other files of the same model beside it, another precision say. Writes
metrics.json, report.md and pictures; each part is written when it is done, the longest come last.
"""

import argparse
import json
import math
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from fer_edge.atomic_file import atomic_write
from fer_edge.context import context
from fer_edge.models import ModelError
from training.data.crops import inputs_from_split
from training.data.split import LABELS, SPLITS, Split, load_prepared
from training.evaluation import expression_metrics as metrics
from training.evaluation import predictions as figures
from training.evaluation.abstention import by_blur, by_eye_distance, by_turn
from training.evaluation.plots.attention import draw_attention
from training.evaluation.plots.charts import (
    draw_confusion,
    draw_reliability,
    draw_risk_coverage,
    draw_robustness,
    draw_vote_shares,
)
from training.evaluation.plots.features import draw_features
from training.evaluation.predictions import Judgement, judged
from training.evaluation.predictors import Network, network_from_file
from training.evaluation.protocol import ROWS, batch_independence, check_people
from training.evaluation.report import report_from_result
from training.evaluation.robustness import robustness


class Folder:
    """The folder of one evaluation: metrics.json and report.md always hold what is finished."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.result: dict[str, object] = {}
        path.mkdir(parents=True, exist_ok=True)

    def add(self, **parts: object) -> None:
        """Adds to the result and writes it."""
        self.result |= parts
        plain = json.dumps(_without_nan(self.result), indent=2, allow_nan=False) + "\n"
        with atomic_write(self.path / "metrics.json") as partial:
            partial.write_text(plain, encoding="utf-8")
        report = report_from_result(json.loads(plain), self.path)
        (self.path / "report.md").write_text(report, encoding="utf-8")


def _without_nan(value: object) -> object:
    """JSON has no NaN: a figure that does not exist is null."""
    if isinstance(value, dict):
        return {name: _without_nan(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def load_judged(data: Path, limit: int | None) -> tuple[Split, Split]:
    """Valid and test; raises ValueError when somebody stands in two of the three splits."""
    splits = {name: load_prepared(data, name) for name in SPLITS}
    check_people({name: split.people for name, split in splits.items()})
    return splits["valid"].take(slice(limit)), splits["test"].take(slice(limit))


def add_figures(folder: Folder, network: Network, judgement: Judgement) -> None:
    """Accuracy, calibration, vote shares and abstention."""
    accuracy, abstention = figures.accuracy_figures(judgement), figures.abstention_figures(judgement)
    classes = figures.class_figures(judgement)
    bins = metrics.reliability(judgement.probabilities, judgement.test.labels)
    draw_confusion(np.array(classes["confusion"]), LABELS, folder.path / "confusion.png")
    draw_reliability(bins, folder.path / "reliability.png")
    folder.add(rows=len(judgement.test), **accuracy, **classes, reliability=bins)
    folder.add(spec=figures.spec_figures(accuracy, abstention))
    shares = figures.share_figures(judgement)
    draw_vote_shares(shares, LABELS, folder.path / "vote_shares.png")
    folder.add(vote_shares=shares)
    valid_right = judgement.valid_logits.argmax(1) == judgement.valid.labels
    abstention["by_turn"] = by_turn(valid_right, judgement.valid, network.size)
    valid_confidence = metrics.softmax(judgement.valid_logits, judgement.temperature).max(1)
    curves = {
        "valid": metrics.risk_coverage(valid_right, valid_confidence),
        "test": metrics.risk_coverage(judgement.right, judgement.probabilities.max(1)),
    }
    marks = {name: (abstention[name]["coverage"], abstention[name]["accuracy"]) for name in curves}  # type: ignore[index]
    draw_risk_coverage(curves, marks, folder.path / "risk_coverage.png")
    folder.add(abstention=abstention)


def add_checks(folder: Folder, network: Network, judgement: Judgement) -> None:
    """Other views of the test split, and the independence of the batch."""
    folder.add(**figures.other_views(network, judgement))
    some = judgement.test.take(slice(ROWS))
    protocol = batch_independence(network.logits, inputs_from_split(some, network.size), some.labels)
    folder.add(protocol=protocol)


def add_files(folder: Folder, networks: Sequence[Network], first: Judgement) -> None:
    """The first network and the others beside it, by backend and precision."""
    rows = [figures.file_row(networks[0], first, first)]
    for network in networks[1:]:
        rows.append(figures.file_row(network, judged(network, first.valid, first.test), first))
        folder.add(files=rows)
    folder.add(files=rows)


def add_long_parts(folder: Folder, network: Network, judgement: Judgement, rows: int | None) -> None:
    """Limits of the picture on valid, robustness on test, the map of the features."""
    valid, test = judgement.valid, judgement.test.take(slice(rows))
    folder.add(
        limits={"by_eye_distance": by_eye_distance(network, valid), "by_blur": by_blur(network, valid)}
    )
    plain = judgement.test_logits[: len(test)]
    folder.add(robustness_rows=len(test))
    curves = robustness(network, test, plain, lambda done: folder.add(robustness=done))
    draw_robustness(curves, folder.path / "robustness.png")
    if network.module is not None:
        shown = draw_features(network.module, judgement.test, LABELS, folder.path / "features.png")
        folder.add(feature_rows=shown)
    # Once more, now that its last pictures are there.
    folder.add()


def evaluate(
    networks: Sequence[Network],
    splits: tuple[Split, Split],
    out: Path,
    about: dict[str, object],
    quick: bool = False,
    robustness_rows: int | None = None,
) -> dict[str, object]:
    """Judges the first network, and the others beside it; returns what metrics.json holds.

    ``splits`` are valid and test. ``quick`` leaves out what takes more than a few passes over the test split.
    """
    folder, network = Folder(out), networks[0]
    folder.add(context=about | {"model": network.facts})
    judgement = judged(network, *splits)
    add_figures(folder, network, judgement)
    add_checks(folder, network, judgement)
    add_files(folder, networks, judgement)
    if network.module is not None:
        pictures = (out / "attention.png", out / "attention_mean.png")
        folder.add(attention_maps=draw_attention(network.module, judgement.test, LABELS, *pictures))
    if not quick:
        add_long_parts(folder, network, judgement, robustness_rows)
    return folder.result


def _arguments() -> tuple[argparse.Namespace, argparse.ArgumentParser]:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path, help="checkpoint (.pt) or ONNX file")
    parser.add_argument("data", type=Path, help="folder that training.prepare wrote")
    parser.add_argument(
        "--out", type=Path, required=True, help="folder for metrics.json, report.md and pictures"
    )
    parser.add_argument(
        "--also", type=Path, nargs="+", default=[], metavar="FILE", help="files to compare with MODEL"
    )
    parser.add_argument("--backend", default="auto", help="of the runtime, for ONNX files")
    parser.add_argument(
        "--quick", action="store_true", help="no robustness, no limits, no map of the features"
    )
    parser.add_argument("--robustness-rows", type=int, metavar="N", help="distort the first N test rows only")
    parser.add_argument(
        "--limit", type=int, help="use the first LIMIT rows of each split only, for a dry run"
    )
    return parser.parse_args(), parser


def main() -> None:
    args, parser = _arguments()
    try:
        networks = [network_from_file(path, args.backend) for path in (args.model, *args.also)]
        splits = load_judged(args.data, args.limit)
    except (OSError, ValueError, ImportError, ModelError) as error:
        parser.error(str(error))
    about = {
        "command": f"python -m training.evaluate {shlex.join(sys.argv[1:])}",
        "data": str(args.data),
        "valid_rows": len(splits[0]),
        "test_rows": len(splits[1]),
        "torch": torch.__version__,
        **context(),
    }
    evaluate(networks, splits, args.out, about, args.quick, args.robustness_rows)
    print((args.out / "report.md").read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()

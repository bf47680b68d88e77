"""Evaluates an expression model: ``python -m training.evaluate MODEL runs/ferplus --out
runs/nano/evaluation``.

MODEL is a checkpoint of training.train or an ONNX file, DATA what training.prepare wrote. Temperatures and
the threshold of abstention are fitted on the validation split; the test split is scored once, single images,
no test-time augmentation. ``--also`` evaluates other files of the same model, for example of another
precision. Writes metrics.json, report.md and pictures; each part is written as soon as it is done.

With ``--peer``, another expression network is put beside MODEL on labelled pictures
(training.evaluation.peers).
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
from fer_edge.benchmark.measure.context import context
from training.command_line import exit_on_error
from training.data.crops import inputs_from_split
from training.data.split import LABELS, SPLITS, Split, load_prepared, random_rows
from training.evaluation import expression_metrics as metrics
from training.evaluation import peers
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
from training.evaluation.predictions import (
    Predictions,
    abstention_metrics,
    accuracy_metrics,
    class_metrics,
    file_row,
    predict_splits,
    spec_entries,
    unaligned_and_mirrored,
    vote_share_metrics,
)
from training.evaluation.predictors import Predictor, predictor_from_file
from training.evaluation.protocol import ROWS, batch_independence, check_people
from training.evaluation.report import report_from_result
from training.evaluation.robustness import robustness


class Folder:
    """The folder of one evaluation; metrics.json and report.md always hold all finished parts."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.result: dict[str, object] = {}
        path.mkdir(parents=True, exist_ok=True)

    def add(self, **parts: object) -> None:
        """Adds parts to the result and writes it."""
        self.result |= parts
        plain = json.dumps(_without_nan(self.result), indent=2, allow_nan=False) + "\n"
        with atomic_write(self.path / "metrics.json") as partial:
            partial.write_text(plain, encoding="utf-8")
        report = report_from_result(json.loads(plain), self.path)
        (self.path / "report.md").write_text(report, encoding="utf-8")


def _without_nan(value: object) -> object:
    """JSON has no NaN: a missing metric is null."""
    if isinstance(value, dict):
        return {name: _without_nan(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def load_valid_and_test(data: Path, limit: int | None) -> tuple[Split, Split]:
    """The splits valid and test; raises ValueError when a person is in two of the three splits."""
    splits = {name: load_prepared(data, name) for name in SPLITS}
    check_people({name: split.people for name, split in splits.items()})
    return splits["valid"].sample(limit), splits["test"].sample(limit)


def add_metrics(folder: Folder, predictor: Predictor, predictions: Predictions) -> None:
    """Accuracy, calibration, vote shares and abstention."""
    accuracy, abstention = accuracy_metrics(predictions), abstention_metrics(predictions)
    classes = class_metrics(predictions)
    bins = metrics.reliability(predictions.probabilities, predictions.test.labels)
    draw_confusion(np.array(classes["confusion"]), LABELS, folder.path / "confusion.png")
    draw_reliability(bins, folder.path / "reliability.png")
    folder.add(rows=len(predictions.test), **accuracy, **classes, reliability=bins)
    folder.add(spec=spec_entries(accuracy, abstention))
    shares = vote_share_metrics(predictions)
    draw_vote_shares(shares, LABELS, folder.path / "vote_shares.png")
    folder.add(vote_shares=shares)
    valid_right = predictions.valid_logits.argmax(1) == predictions.valid.labels
    abstention["by_turn"] = by_turn(valid_right, predictions.valid, predictor.size)
    valid_confidence = metrics.softmax(predictions.valid_logits, predictions.temperature).max(1)
    curves = {
        "valid": metrics.risk_coverage(valid_right, valid_confidence),
        "test": metrics.risk_coverage(predictions.right, predictions.probabilities.max(1)),
    }
    marks = {name: (abstention[name]["coverage"], abstention[name]["accuracy"]) for name in curves}  # type: ignore[index]
    draw_risk_coverage(curves, marks, folder.path / "risk_coverage.png")
    folder.add(abstention=abstention)


def add_checks(folder: Folder, predictor: Predictor, predictions: Predictions) -> None:
    """Whole and mirrored pictures, and the independence of the batch."""
    folder.add(**unaligned_and_mirrored(predictor, predictions))
    some = predictions.test.sample(ROWS)
    protocol = batch_independence(predictor.logits, inputs_from_split(some, predictor.size), some.labels)
    folder.add(protocol=protocol)


def add_files(folder: Folder, predictors: Sequence[Predictor], first: Predictions) -> None:
    """The first file and the others, by backend and precision."""
    rows = [file_row(predictors[0], first, first)]
    for predictor in predictors[1:]:
        rows.append(file_row(predictor, predict_splits(predictor, first.valid, first.test), first))
        folder.add(files=rows)
    folder.add(files=rows)


def add_long_parts(folder: Folder, predictor: Predictor, predictions: Predictions, rows: int | None) -> None:
    """Limits of the picture on valid, robustness on test, the feature map."""
    chosen = random_rows(len(predictions.test), rows)
    valid, test = predictions.valid, predictions.test.take(chosen)
    folder.add(
        limits={"by_eye_distance": by_eye_distance(predictor, valid), "by_blur": by_blur(predictor, valid)}
    )
    plain = predictions.test_logits[chosen]
    folder.add(robustness_rows=len(test))
    curves = robustness(predictor, test, plain, lambda done: folder.add(robustness=done))
    draw_robustness(curves, folder.path / "robustness.png")
    if predictor.module is not None:
        shown = draw_features(predictor.module, predictions.test, LABELS, folder.path / "features.png")
        folder.add(feature_rows=shown)
    # The report again, now with its last pictures.
    folder.add()


def evaluate(
    predictors: Sequence[Predictor],
    splits: tuple[Split, Split],
    out: Path,
    about: dict[str, object],
    quick: bool = False,
    robustness_rows: int | None = None,
) -> dict[str, object]:
    """Evaluates the first predictor, and compares the others with it; returns the content of metrics.json.

    ``splits`` are valid and test. ``quick`` leaves out what takes more than a few passes over the test split.
    """
    folder, predictor = Folder(out), predictors[0]
    folder.add(context=about | {"model": predictor.facts})
    predictions = predict_splits(predictor, *splits)
    add_metrics(folder, predictor, predictions)
    add_checks(folder, predictor, predictions)
    add_files(folder, predictors, predictions)
    if predictor.module is not None:
        pictures = (out / "attention.png", out / "attention_mean.png")
        folder.add(attention_maps=draw_attention(predictor.module, predictions.test, LABELS, *pictures))
    if not quick:
        add_long_parts(folder, predictor, predictions, robustness_rows)
    return folder.result


def _arguments() -> tuple[argparse.Namespace, argparse.ArgumentParser]:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path, help="checkpoint (.pt) or ONNX file")
    parser.add_argument("data", type=Path, help="folder that training.prepare wrote")
    parser.add_argument(
        "--out", type=Path, required=True, help="folder for metrics.json, report.md and pictures"
    )
    parser.add_argument(
        "--also",
        type=Path,
        nargs="+",
        default=[],
        metavar="FILE",
        help="other files of the same model, to compare with MODEL",
    )
    parser.add_argument("--backend", default="auto", help="backend of the runtime, for ONNX files")
    parser.add_argument(
        "--quick", action="store_true", help="no robustness, no limits of the picture, no feature map"
    )
    parser.add_argument(
        "--robustness-rows",
        type=int,
        metavar="N",
        help="distort only N test rows, random but always the same",
    )
    parser.add_argument("--limit", type=int, help="use LIMIT random rows of each split only, for a dry run")
    peers.add_peer_arguments(parser)
    return parser.parse_args(), parser


def main() -> None:
    args, parser = _arguments()
    if args.peer is not None:
        with exit_on_error(parser):
            settings = peers.settings_from_arguments(args)
            result = peers.compare(predictor_from_file(args.model, args.backend), args.data, settings)
        print(peers.write_comparison(result, args.out), end="")
        return
    with exit_on_error(parser):
        predictors = [predictor_from_file(path, args.backend) for path in (args.model, *args.also)]
        splits = load_valid_and_test(args.data, args.limit)
    about = {
        "command": f"python -m training.evaluate {shlex.join(sys.argv[1:])}",
        "data": str(args.data),
        "valid_rows": len(splits[0]),
        "test_rows": len(splits[1]),
        "limit": args.limit,
        "torch": torch.__version__,
        **context(),
    }
    evaluate(predictors, splits, args.out, about, args.quick, args.robustness_rows)
    print((args.out / "report.md").read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()

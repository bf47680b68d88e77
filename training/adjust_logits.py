"""Moves a trained network's decisions towards rare expressions: ``python -m training.adjust_logits CHECKPOINT
DATA --out runs/adjusted/checkpoint.pt``.

FER+ is mostly neutral and happiness, so a network calls slight expressions neutral. Post-hoc logit adjustment
(Menon et al., "Long-tail learning via logit adjustment", 2021) subtracts strength * log(class frequency) from
the logits; it is added to the bias of the last layer, so it costs no time. The strength is the one with the
best mean of accuracy and balanced accuracy on the validation split, among those that lose at most
``--largest-loss`` points of accuracy. Prints what each strength costs.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from torch import nn

from fer_edge.arrays import F64
from fer_edge.benchmark.measure.context import context
from training.command_line import exit_on_error
from training.data.split import LABELS, Split, load_prepared
from training.evaluation.inference import module_outputs
from training.evaluation.markdown import percent, table
from training.loop.checkpoint import load_checkpoint, model_from_checkpoint, save_checkpoint
from training.train import validation_metrics

STRENGTHS = (0.0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.75, 1.0)
LARGEST_LOSS = 1.0  # percentage points of accuracy


def log_frequencies(split: Split) -> F64:
    """The log of each class's share of the labels, float64 [8].

    Raises ValueError for a split without one of the classes.
    """
    counts = np.bincount(split.labels, minlength=len(LABELS))
    if not counts.all():
        raise ValueError(
            f"the training split must have rows of all classes, got none of {LABELS[counts.argmin()]}"
        )
    logs: F64 = np.log(counts / counts.sum())
    return logs


def measure_strengths(logits: torch.Tensor, valid: Split, logs: F64) -> list[dict[str, float]]:
    """Accuracy, balanced accuracy and their mean on ``valid`` with each of STRENGTHS."""
    rows = []
    for strength in STRENGTHS:
        got = validation_metrics(logits - strength * torch.from_numpy(logs).float(), valid)
        accuracy, balanced = got["valid_accuracy"], got["valid_balanced_accuracy"]
        mean = (accuracy + balanced) / 2
        rows.append({"strength": strength, "accuracy": accuracy, "balanced": balanced, "mean": mean})
    return rows


def choose_strength(rows: list[dict[str, float]], largest_loss: float) -> float:
    """The strength with the best mean among those that lose at most ``largest_loss`` points of accuracy."""
    least = rows[0]["accuracy"] - largest_loss / 100
    return max((row for row in rows if row["accuracy"] >= least), key=lambda row: row["mean"])["strength"]


def adjust(model: nn.Module, strength: float, logs: F64) -> None:
    """Subtracts ``strength * logs`` from the logits of a network, in its last layer."""
    last = [m for m in model.head.modules() if isinstance(m, nn.Linear)][-1]
    with torch.no_grad():
        last.bias -= strength * torch.from_numpy(logs).to(last.bias)


def adjust_checkpoint(args: argparse.Namespace) -> None:
    """Measures, chooses a strength if none is given, prints, and writes the adjusted checkpoint."""
    model, content = model_from_checkpoint(args.checkpoint), load_checkpoint(args.checkpoint)
    valid, logs = load_prepared(args.data, "valid"), log_frequencies(load_prepared(args.data, "train"))
    rows = measure_strengths(module_outputs(model, valid).float(), valid, logs)
    shown = [{k: v if k == "strength" else percent(v) for k, v in row.items()} for row in rows]
    print(table(shown), end="")
    strength = choose_strength(rows, args.largest_loss) if args.strength is None else args.strength
    print(f"strength: {strength}")
    if args.json:
        report = {"strength": strength, "valid": rows, "context": context()}
        args.json.parent.mkdir(parents=True, exist_ok=True)
        args.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    if args.out:
        adjust(model, strength, logs)
        args.out.parent.mkdir(parents=True, exist_ok=True)
        adjusted = content.get("logit_adjustment", 0.0) + strength
        save_checkpoint(args.out, content | {"ema": model.state_dict(), "logit_adjustment": adjusted})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkpoint", type=Path, help="of training.train or training.train_crop_check")
    parser.add_argument("data", type=Path, help="folder that training.prepare wrote")
    parser.add_argument("--strength", type=float, help="by default chosen on the validation split")
    parser.add_argument(
        "--largest-loss",
        type=float,
        default=LARGEST_LOSS,
        metavar="POINTS",
        help="of accuracy, for the choice; %(default)s by default",
    )
    parser.add_argument("--json", type=Path, help="where to write the table")
    parser.add_argument("--out", type=Path, help="adjusted checkpoint; without it, only the table is printed")
    args = parser.parse_args()
    with exit_on_error(parser):
        adjust_checkpoint(args)


if __name__ == "__main__":
    main()

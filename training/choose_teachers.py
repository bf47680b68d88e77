"""Compares ensembles of teachers: ``python -m training.choose_teachers runs/ferplus A.pt B.pt``.

Prints the metrics of every combination of checkpoints on the validation split. Probabilities are averaged
over the networks, and over picture and mirrored picture, as training.distill does.
"""

import argparse
from collections.abc import Sequence
from itertools import chain, combinations
from pathlib import Path

import torch
from torch import Tensor

from training.command_line import exit_on_error
from training.data.split import Split, load_prepared
from training.evaluation.inference import module_outputs
from training.evaluation.markdown import percent, table
from training.loop.checkpoint import model_from_checkpoint
from training.train import validation_metrics


def probabilities(checkpoint: Path, split: Split) -> Tensor:
    """Mean probabilities [n, 8] of one network for the runtime's crops and their mirror images."""
    model = model_from_checkpoint(checkpoint)
    plain, mirrored = (module_outputs(model, split, mirrored=how).softmax(1) for how in (False, True))
    return (plain + mirrored) / 2


def choices(answers: Sequence[Tensor], names: Sequence[str], split: Split) -> list[dict[str, object]]:
    """A row for each combination of one or more networks, the best accuracy first."""
    places = range(len(answers))
    rows = []
    for chosen in chain.from_iterable(combinations(places, k + 1) for k in places):
        mean = torch.stack([answers[k] for k in chosen]).mean(0)
        rows.append(
            {"teachers": " + ".join(names[k] for k in chosen)} | validation_metrics(mean.log(), split)
        )
    return sorted(rows, key=lambda row: -row["valid_accuracy"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="folder that training.prepare wrote")
    parser.add_argument("checkpoints", type=Path, nargs="+", help="of training.train")
    args = parser.parse_args()
    with exit_on_error(parser):
        valid = load_prepared(args.data, "valid")
        answers = [probabilities(path, valid) for path in args.checkpoints]
    rows = choices(answers, [str(path) for path in args.checkpoints], valid)
    shown = [
        {
            "teachers": row["teachers"],
            "accuracy": percent(row["valid_accuracy"]),
            "balanced accuracy": percent(row["valid_balanced_accuracy"]),
            "loss": row["valid_loss"],
        }
        for row in rows
    ]
    print(table(shown), end="")


if __name__ == "__main__":
    main()

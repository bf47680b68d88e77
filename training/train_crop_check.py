"""Adds a crop check to a trained network: ``python -m training.train_crop_check CHECKPOINT DATA --faces FACES
--out runs/checked``.

The check (training.models.crop_check) learns from faces that were covered or rolled (training.crop_check).
The network itself stays as it is. Writes ``checkpoint.pt``, the network with its check and the limits of its
probabilities, and ``crop_check.json``, what it withholds on the validation splits. The limits are those at
which UNTOUCHED_LOSS of the untouched faces are withheld.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from tqdm import tqdm

from fer_edge.arrays import F32
from fer_edge.atomic_file import atomic_write
from fer_edge.benchmark.measure.context import context
from training.command_line import exit_on_error
from training.crop_check.examples import (
    KINDS,
    Examples,
    examples_from_rows,
    rows_from_photos,
    rows_from_split,
)
from training.data.crops import normalised
from training.data.hashes import hash_of_file, hash_of_photos, hash_of_splits
from training.data.split import load_prepared
from training.detector.photos import load_photos
from training.loop.checkpoint import load_checkpoint, model_from_checkpoint, save_checkpoint
from training.models import build
from training.models.crop_check import PROBLEMS

BATCH, EPOCHS, LR, WEIGHT_DECAY = 256, 15, 2e-3, 1e-3
# Share of the untouched faces that each problem may withhold. About half of the untouched faces with the
# highest probability of "covered" are covered, by hands; hardly any is rolled.
UNTOUCHED_LOSS = {"covered": 0.01, "rolled": 0.005}


def load_examples(
    folder: Path, name: str, data: Path, faces: Path, marks: Path | None, size: int
) -> Examples:
    """The examples of one split, made once and kept in ``folder``.

    Raises ValueError when those in ``folder`` were made from other inputs.
    """
    path, split = folder / f"{name}.npz", load_prepared(data, name)
    inputs = {
        "data": hash_of_splits(split),
        "faces": hash_of_photos(faces),
        "marks": hash_of_file(marks) if marks else "",
        "size": str(size),
    }
    if path.exists():
        return _kept_examples(path, inputs)
    rows = list(rows_from_photos(load_photos(faces, name, marks), size, seed=0))
    rows += rows_from_split(split, size, seed=0)
    examples = examples_from_rows(rows)
    columns = {"crops": examples.crops, "targets": examples.targets, "kinds": examples.kinds}
    with atomic_write(path) as partial, partial.open("wb") as file:
        np.savez(file, **columns, **inputs)
    return examples


def _kept_examples(path: Path, inputs: dict[str, str]) -> Examples:
    with np.load(path) as kept:
        if differ := [n for n, value in inputs.items() if n not in kept or kept[n] != value]:
            raise ValueError(
                f"{path} holds examples that were made from other inputs ({', '.join(differ)} differ); use "
                "another --out"
            )
        return Examples(kept["crops"], kept["targets"], kept["kinds"])


@torch.no_grad()
def trunk_maps(model: nn.Module, examples: Examples) -> Tensor:
    """The trunk's maps of all examples, float16 [n, C, H, W], to save memory."""
    batches = range(0, len(examples), BATCH)
    return torch.cat(
        [
            model.trunk(normalised(torch.from_numpy(examples.crops[k : k + BATCH])[:, None])).half()
            for k in tqdm(batches, desc="trunk", unit="batch", mininterval=5)
        ]
    )


def train_check(check: nn.Module, maps: Tensor, targets: Tensor, seed: int) -> None:
    """Trains with the binary cross entropy of each known target, by AdamW with a cosine schedule."""
    optimizer = torch.optim.AdamW(check.parameters(), LR, weight_decay=WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, EPOCHS * -(-len(maps) // BATCH))
    generator = torch.Generator().manual_seed(seed)
    known = ~targets.isnan()
    filled = targets.nan_to_num()
    check.train()
    for epoch in range(EPOCHS):
        total = 0.0
        for rows in torch.randperm(len(maps), generator=generator).split(BATCH):
            logits = check(maps[rows].float())
            loss = F.binary_cross_entropy_with_logits(logits, filled[rows], known[rows].float())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            total += loss.item() * len(rows)
        print(f"epoch {epoch + 1}/{EPOCHS}: loss {total / len(maps):.4f}", flush=True)
    check.eval()


@torch.no_grad()
def probabilities(check: nn.Module, maps: Tensor) -> F32:
    """Probabilities f32 [n, 2] of each problem."""
    found: F32 = torch.cat([check(part.float()).sigmoid() for part in maps.split(BATCH)]).numpy()
    return found


def limits_from_untouched(found: F32, examples: Examples) -> dict[str, float]:
    """The limit of each problem: UNTOUCHED_LOSS of the untouched faces are above it."""
    plain = found[examples.kinds == KINDS.index("untouched")]
    return {p: float(np.quantile(plain[:, k], 1 - UNTOUCHED_LOSS[p])) for k, p in enumerate(PROBLEMS)}


def withheld(found: F32, examples: Examples, limits: dict[str, float]) -> dict[str, dict[str, object]]:
    """For each kind of example: how many there are, and the share above each limit."""
    table: dict[str, dict[str, object]] = {}
    for index, kind in enumerate(KINDS):
        rows = examples.kinds == index
        if kind == "rolled":
            rows &= examples.targets[:, PROBLEMS.index("rolled")] == 1
        if kind == "partly covered":
            rows &= examples.targets[:, PROBLEMS.index("covered")] == 0
        faces = int(rows.sum())
        above = {p: int((found[rows, k] > limits[p]).sum()) for k, p in enumerate(PROBLEMS)}
        table[kind] = {"faces": faces, **{p: count / max(faces, 1) for p, count in above.items()}}
    return table


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkpoint", type=Path, help="of training.train; a network that can have a check")
    parser.add_argument("data", type=Path, help="folder that training.prepare wrote")
    parser.add_argument("--faces", type=Path, required=True, help="folder of faces-*.npz")
    parser.add_argument(
        "--marks", type=Path, help="file of training.mark_faces, in place of the packed marks"
    )
    parser.add_argument("--out", type=Path, required=True, help="folder for checkpoint, report and examples")
    parser.add_argument("--seed", type=int, default=0)
    return parser


def add_check(args: argparse.Namespace) -> None:
    """Makes the examples, trains the check, and writes the checkpoint and the report."""
    content = load_checkpoint(args.checkpoint)
    before = model_from_checkpoint(args.checkpoint)
    torch.manual_seed(args.seed)
    options = content["settings"]["options"] | {"crop_check": True}
    model = build(content["settings"]["model"], **options).eval()
    weights = {k: v for k, v in before.state_dict().items() if not k.startswith("crop_check.")}
    model.load_state_dict(model.state_dict() | weights)
    args.out.mkdir(parents=True, exist_ok=True)
    splits = {
        name: load_examples(args.out, name, args.data, args.faces, args.marks, model.size)
        for name in ("train", "valid")
    }
    maps = {name: trunk_maps(model, examples) for name, examples in splits.items()}
    train_check(model.crop_check, maps["train"], torch.from_numpy(splits["train"].targets), args.seed)
    found = probabilities(model.crop_check, maps["valid"])
    limits = limits_from_untouched(found, splits["valid"])
    report = {"limits": limits, "valid": withheld(found, splits["valid"], limits), "context": context()}
    saved = {
        "ema": model.state_dict(),
        "settings": content["settings"] | {"options": options},
        "crop_check_limits": limits,
    }
    save_checkpoint(args.out / "checkpoint.pt", saved)
    (args.out / "crop_check.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(report["valid"], indent=2))


def main() -> None:
    parser = _parser()
    args = parser.parse_args()
    with exit_on_error(parser):
        add_check(args)


if __name__ == "__main__":
    main()

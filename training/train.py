"""Trains an expression network: ``python -m training.train runs/ferplus --out runs/nano``.

Reads from top to bottom. DATA is what training.prepare_ferplus wrote. A second start with the same ``--out``
goes on from the last checkpoint. The last epoch's weight average is the result; the validation split is
watched, never selected on, and the test split is not opened here.
"""

import argparse
import sys
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F
from tqdm import tqdm

from training.crops import MEAN, SCALE, Jitter, crop_matrices, jittered_matrices, photometric, sample
from training.ferplus import Split, load_prepared
from training.models.tkfnet_nano import SIZE, TkfNetNano
from training.run import (
    Ema,
    append_log,
    cosine,
    draw_curves,
    load_checkpoint,
    parameter_groups,
    resume,
    run_state,
    save_checkpoint,
)


@dataclass(frozen=True, slots=True)
class Settings:
    epochs: int = 40
    batch: int = 128
    rate: float = 2e-3  # AdamW's, at batch 128
    weight_decay: float = 0.05
    warmup: int = 300  # steps
    clip: float = 2.0  # gradient norm
    decay: float = 0.999  # of the weight average: about five epochs' steps
    rare: float = 0.3  # a row is drawn in proportion to its classes' frequency ** -rare; 0 draws all alike
    small_size: int = (
        48  # px; the first epochs are cheaper on fewer pixels (Tan and Le, "EfficientNetV2", 2021)
    )
    small_share: float = 0.6  # of the epochs
    calm_share: float = (
        0.68  # of the epochs, the last ones, with weaker distortions: a small network learns slowly
    )
    calm: float = 0.5  # strength of the distortions there
    seed: int = 0


def row_weights(votes: NDArray[np.float32], rare: float) -> NDArray[np.float64]:
    """How often each row is drawn, relative to the others."""
    # A class that nobody voted for has no rows to draw.
    frequency = np.maximum(votes.mean(0), 1 / len(votes))
    weights: NDArray[np.float64] = votes @ (frequency**-rare)
    return weights / weights.sum()


def draw_batches(split: Split, settings: Settings, epoch: int) -> list[NDArray[np.int64]]:
    """Row indices of an epoch's batches, a function of seed and epoch alone."""
    rng = np.random.default_rng((settings.seed, epoch))
    # Each row appears floor(expected) times and once more by chance, so that an epoch still visits nearly all
    # rows.
    expected = row_weights(split.votes, settings.rare) * len(split)
    count = np.floor(expected + rng.random(len(split))).astype(np.int64)
    order = rng.permutation(np.repeat(np.arange(len(split)), count))
    return [order[k : k + settings.batch] for k in range(0, len(order) - settings.batch + 1, settings.batch)]


def soft_cross_entropy(logits: Tensor, votes: Tensor) -> Tensor:
    """Cross-entropy with the vote shares: FER+'s "probabilistic label drawing" in expectation."""
    return -(votes * F.log_softmax(logits, dim=1)).sum(1).mean()


@torch.no_grad()
def predict(model: nn.Module, split: Split, aligned: bool = True, batch: int = 256) -> Tensor:
    """Logits [n, 8] of the crops that the runtime would make."""
    model.eval()
    matrices, images = torch.from_numpy(crop_matrices(split, SIZE, aligned)), torch.from_numpy(split.images)
    logits = []
    for k in range(0, len(images), batch):
        luma = sample(images[k : k + batch], matrices[k : k + batch], SIZE)
        logits.append(model(((luma - MEAN) * SCALE).contiguous(memory_format=torch.channels_last)))
    return torch.cat(logits)


def summary(logits: Tensor, split: Split) -> dict[str, float]:
    """Loss against the votes, accuracy, and the mean of the classes' recalls."""
    labels, votes = torch.from_numpy(split.labels), torch.from_numpy(split.votes)
    right = logits.argmax(1) == labels
    recall = [right[labels == k].float().mean() for k in labels.unique()]
    return {
        "valid_loss": soft_cross_entropy(logits, votes).item(),
        "valid_accuracy": right.float().mean().item(),
        "valid_balanced": torch.stack(recall).mean().item(),
    }


def train(data: Path, out: Path, settings: Settings, limit: int | None, init: Path | None = None) -> None:
    torch.manual_seed(settings.seed)
    split, valid = (
        load_prepared(data, "train").take(slice(limit)),
        load_prepared(data, "valid").take(slice(limit)),
    )
    images, votes = torch.from_numpy(split.images), torch.from_numpy(split.votes)
    model = TkfNetNano().to(memory_format=torch.channels_last)
    if init:
        model.load_state_dict(load_checkpoint(init)["ema"])
    ema = Ema(model, TkfNetNano(), settings.decay)
    optimiser = torch.optim.AdamW(parameter_groups(model, settings.weight_decay), lr=settings.rate)
    steps_an_epoch = len(split) // settings.batch
    steps = settings.epochs * steps_an_epoch
    checkpoint = out / "checkpoint.pt"
    for epoch in range(resume(checkpoint, model, ema, optimiser), settings.epochs):
        size = settings.small_size if epoch < settings.small_share * settings.epochs else SIZE
        aligned, whole = (torch.from_numpy(crop_matrices(split, size, a)) for a in (True, False))
        calm = epoch >= (1 - settings.calm_share) * settings.epochs
        jitter = Jitter().times(settings.calm if calm else 1.0)
        # Seeded an epoch at a time, so that a resumed run draws what an unbroken one would have drawn.
        rng = torch.Generator().manual_seed(settings.seed * 100_003 + epoch)
        torch.manual_seed(settings.seed * 100_003 + epoch)  # of dropout
        model.train()
        started, total, seen = time.monotonic(), 0.0, 0
        bar = tqdm(
            draw_batches(split, settings, epoch),
            desc=f"epoch {epoch + 1}/{settings.epochs}",
            file=sys.stderr,
            mininterval=5,
        )
        for k, rows in enumerate(bar):
            factor = cosine(epoch * steps_an_epoch + k, steps, settings.warmup)
            for group in optimiser.param_groups:
                group["lr"] = settings.rate * factor
            matrices = jittered_matrices(aligned[rows], whole[rows], size, jitter, rng)
            x = photometric(sample(images[rows], matrices, size), jitter, rng)
            loss = soft_cross_entropy(model(x.contiguous(memory_format=torch.channels_last)), votes[rows])
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), settings.clip)
            optimiser.step()
            ema.update(model)
            total, seen = total + loss.item(), seen + 1
            bar.set_postfix(loss=f"{total / seen:.3f}", refresh=False)
        record = {"epoch": epoch + 1, "seconds": time.monotonic() - started, "train_loss": total / seen}
        record |= summary(predict(ema.model, valid), valid)
        append_log(out / "log.jsonl", record)
        save_checkpoint(checkpoint, run_state(model, ema, optimiser, epoch, asdict(settings)))
        panels = {"loss": ["train_loss", "valid_loss"], "validation": ["valid_accuracy", "valid_balanced"]}
        draw_curves(out / "log.jsonl", out / "curves.png", panels)


def main() -> None:
    defaults = Settings()
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="folder that training.prepare_ferplus wrote")
    parser.add_argument("--out", type=Path, required=True, help="folder for checkpoint, log and curves")
    parser.add_argument("--epochs", type=int, default=defaults.epochs)
    parser.add_argument("--rate", type=float, default=defaults.rate, help="peak learning rate")
    parser.add_argument("--calm", type=float, default=defaults.calm, help="strength of the late distortions")
    parser.add_argument("--init", type=Path, help="checkpoint whose averaged weights to start from")
    parser.add_argument("--seed", type=int, default=defaults.seed)
    parser.add_argument("--limit", type=int, help="use the first LIMIT rows only, for a dry run")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    settings = replace(defaults, epochs=args.epochs, seed=args.seed, rate=args.rate, calm=args.calm)
    if args.init:
        # Trained weights need neither the cheap start nor the strong distortions of one.
        settings = replace(settings, small_share=0.0, calm_share=1.0)
    train(args.data, args.out, settings, args.limit, args.init)


if __name__ == "__main__":
    main()

"""Trains face-luma from scratch: ``python -m training.train_detector DATA --out runs/face-luma``.

Reads from top to bottom. A second start with the same ``--out`` continues from the last checkpoint.
"""

import argparse
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from training.detector.augment import Canvas, make_canvas
from training.detector.loss import detector_loss
from training.detector.photos import Photo, load_photos
from training.loop.checkpoint import resume, save_checkpoint, training_state
from training.loop.log import append_log, draw_curves
from training.loop.optimizer import Ema, lr_factor, parameter_groups
from training.models.face_luma import FaceLuma

MEAN, SCALE = 118.0, 1 / 64.0  # about the mean and standard deviation of the training pictures' luma


@dataclass(frozen=True, slots=True)
class Settings:
    epochs: int = 30
    epoch_size: int = 8192  # canvases; about the number of photographs, of which a canvas shows one to four
    batch_size: int = 32
    canvas_size: int = 256  # px; the network is fully convolutional, so larger frames need no other training
    lr: float = 3e-3  # for AdamW at batch size 32
    weight_decay: float = 0.02
    warmup_steps: int = 200  # the assignment of cells to faces is random until the boxes are roughly right
    grad_clip_norm: float = 10.0  # the first steps have gradients of several hundred
    ema_decay: float = 0.999
    final_epochs: int = 10  # with weak distortions, close to real frames (as in YOLOX, Ge et al. 2021)
    final_aug_strength: float = 0.35
    seed: int = 0


class Canvases(Dataset[Canvas]):
    """Canvas ``i`` of epoch ``e`` is a function of (seed, e, i) alone, whichever worker makes it."""

    def __init__(self, photos: list[Photo], settings: Settings, epoch: int) -> None:
        self.photos, self.settings, self.epoch = photos, settings, epoch

    def __len__(self) -> int:
        return self.settings.epoch_size

    def __getitem__(self, index: int) -> Canvas:
        rng = np.random.default_rng((self.settings.seed, self.epoch, index))
        settings = self.settings
        strength = (
            1.0 if self.epoch < settings.epochs - settings.final_epochs else settings.final_aug_strength
        )
        return make_canvas(self.photos, settings.canvas_size, rng, strength)


def collate(batch: list[Canvas]) -> tuple[Tensor, list[Tensor], list[Tensor], list[Tensor]]:
    images = torch.from_numpy(np.stack([c.image for c in batch]))
    return (
        images,
        [torch.from_numpy(c.boxes) for c in batch],
        [torch.from_numpy(c.landmarks) for c in batch],
        [torch.from_numpy(c.ignored) for c in batch],
    )


def normalise(images: Tensor) -> Tensor:
    """u8 [N, H, W] to the network's float32 [N, 1, H, W]."""
    x = (images.float() - MEAN) * SCALE
    return x[:, None].contiguous(memory_format=torch.channels_last)


def train(data: Path, out: Path, settings: Settings, limit: int | None, workers: int) -> None:
    torch.manual_seed(settings.seed)
    photos = load_photos(data, "train")[:limit]
    model = FaceLuma().to(memory_format=torch.channels_last)
    ema = Ema(model, FaceLuma(), settings.ema_decay)
    optimizer = torch.optim.AdamW(parameter_groups(model, settings.weight_decay), lr=settings.lr)
    steps_per_epoch = settings.epoch_size // settings.batch_size
    steps = settings.epochs * steps_per_epoch
    checkpoint = out / "checkpoint.pt"
    for epoch in range(resume(checkpoint, model, ema, optimizer), settings.epochs):
        loader = DataLoader(
            Canvases(photos, settings, epoch),
            batch_size=settings.batch_size,
            num_workers=workers,
            collate_fn=collate,
            drop_last=True,
        )
        started, sums = time.monotonic(), dict.fromkeys(("total", "score", "box", "landmarks"), 0.0)
        bar = tqdm(loader, desc=f"epoch {epoch + 1}/{settings.epochs}", file=sys.stderr, mininterval=5)
        for k, (images, faces, landmarks, ignored) in enumerate(bar):
            factor = lr_factor(epoch * steps_per_epoch + k, steps, settings.warmup_steps)
            for group in optimizer.param_groups:
                group["lr"] = settings.lr * factor
            losses = detector_loss(model(normalise(images)), faces, landmarks, ignored)
            optimizer.zero_grad(set_to_none=True)
            losses["total"].backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), settings.grad_clip_norm)
            optimizer.step()
            ema.update(model)
            for name in sums:
                sums[name] += losses[name].item()
            bar.set_postfix({n: f"{v / (k + 1):.3f}" for n, v in sums.items()}, refresh=False)
        means = {name: value / steps_per_epoch for name, value in sums.items()}
        append_log(out / "log.jsonl", {"epoch": epoch + 1, "seconds": time.monotonic() - started, **means})
        save_checkpoint(checkpoint, training_state(model, ema, optimizer, epoch, asdict(settings)))
        draw_curves(
            out / "log.jsonl", out / "curves.png", {"loss": ["total"], "parts": ["score", "box", "landmarks"]}
        )


def main() -> None:
    defaults = Settings()
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="folder of faces-*.npz")
    parser.add_argument("--out", type=Path, required=True, help="folder for checkpoint, log and curves")
    parser.add_argument("--epochs", type=int, default=defaults.epochs)
    parser.add_argument("--epoch-size", type=int, default=defaults.epoch_size, help="canvases an epoch")
    parser.add_argument("--seed", type=int, default=defaults.seed)
    parser.add_argument("--limit", type=int, help="use the first LIMIT pictures only, for a dry run")
    parser.add_argument("--workers", type=int, default=1, help="processes that make canvases")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    settings = Settings(epochs=args.epochs, epoch_size=args.epoch_size, seed=args.seed)
    train(args.data, args.out, settings, args.limit, args.workers)


if __name__ == "__main__":
    main()

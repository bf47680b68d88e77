"""Trains face-luma from scratch: ``python -m training.train_detector DATA --out runs/face-luma``.

Reads from top to bottom. A second start with the same ``--out`` goes on from the last checkpoint.
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
from training.loop.checkpoint import resume, run_state, save_checkpoint
from training.loop.log import append_log, draw_curves
from training.loop.optimizer import Ema, cosine, parameter_groups
from training.models.face_luma import FaceLuma

MEAN, SCALE = 118.0, 1 / 64.0  # about the mean and standard deviation of the training pictures' luma


@dataclass(frozen=True, slots=True)
class Settings:
    epochs: int = 30
    epoch_size: int = 8192  # canvases; about as many as there are pictures, each canvas holds one to four
    batch: int = 32
    side: int = 256  # px of a canvas; the network is fully convolutional, larger frames need no retraining
    rate: float = 3e-3  # AdamW's, at batch 32
    weight_decay: float = 0.02
    warmup: int = 200  # steps; the assignment is random until the boxes mean something
    clip: float = 10.0  # gradient norm; first steps reach hundreds
    decay: float = 0.999  # of the weight average: about the last four epochs' steps
    calm_epochs: int = 10  # the last ones, nearly as a camera gives pictures (as YOLOX ends, Ge et al. 2021)
    calm: float = 0.35  # strength of the distortions there
    seed: int = 0


class Canvases(Dataset[Canvas]):
    """Canvas ``i`` of epoch ``e`` is a function of (seed, e, i) alone, whatever worker makes it."""

    def __init__(self, photos: list[Photo], settings: Settings, epoch: int) -> None:
        self.photos, self.settings, self.epoch = photos, settings, epoch

    def __len__(self) -> int:
        return self.settings.epoch_size

    def __getitem__(self, index: int) -> Canvas:
        rng = np.random.default_rng((self.settings.seed, self.epoch, index))
        settings = self.settings
        strength = 1.0 if self.epoch < settings.epochs - settings.calm_epochs else settings.calm
        return make_canvas(self.photos, settings.side, rng, strength)


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
    ema = Ema(model, FaceLuma(), settings.decay)
    optimiser = torch.optim.AdamW(parameter_groups(model, settings.weight_decay), lr=settings.rate)
    steps_an_epoch = settings.epoch_size // settings.batch
    steps = settings.epochs * steps_an_epoch
    checkpoint = out / "checkpoint.pt"
    for epoch in range(resume(checkpoint, model, ema, optimiser), settings.epochs):
        loader = DataLoader(
            Canvases(photos, settings, epoch),
            batch_size=settings.batch,
            num_workers=workers,
            collate_fn=collate,
            drop_last=True,
        )
        started, sums = time.monotonic(), dict.fromkeys(("total", "score", "box", "landmarks"), 0.0)
        bar = tqdm(loader, desc=f"epoch {epoch + 1}/{settings.epochs}", file=sys.stderr, mininterval=5)
        for k, (images, faces, landmarks, ignored) in enumerate(bar):
            factor = cosine(epoch * steps_an_epoch + k, steps, settings.warmup)
            for group in optimiser.param_groups:
                group["lr"] = settings.rate * factor
            losses = detector_loss(model(normalise(images)), faces, landmarks, ignored)
            optimiser.zero_grad(set_to_none=True)
            losses["total"].backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), settings.clip)
            optimiser.step()
            ema.update(model)
            for name in sums:
                sums[name] += losses[name].item()
            bar.set_postfix({n: f"{v / (k + 1):.3f}" for n, v in sums.items()}, refresh=False)
        means = {name: value / steps_an_epoch for name, value in sums.items()}
        append_log(out / "log.jsonl", {"epoch": epoch + 1, "seconds": time.monotonic() - started, **means})
        save_checkpoint(checkpoint, run_state(model, ema, optimiser, epoch, asdict(settings)))
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

"""Trains face-luma from scratch: ``python -m training.train_detector DATA --out runs/face-luma``.

Reads from top to bottom. Runs on an NVIDIA GPU where there is one; a GPU needs about a dozen ``--workers``. A
second start with the same ``--out`` continues from the last checkpoint.
"""

import argparse
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import torch
from torch import Tensor, nn
from tqdm import tqdm

from training.command_line import exit_on_error
from training.data.hashes import hash_of_file, hash_of_photos
from training.detector.assignment import Faces
from training.detector.augment import PhotoPool
from training.detector.canvases import Plan, canvas_loader
from training.detector.loss import detector_loss
from training.detector.photos import load_photos
from training.loop.checkpoint import load_checkpoint, resume, save_checkpoint, training_state
from training.loop.log import append_log, draw_curves
from training.loop.optimizer import Ema, lr_factor, parameter_groups, set_lr
from training.loop.precision import PRECISIONS, autocast, default_precision
from training.models.face_luma import FaceLuma

MEAN, SCALE = 118.0, 1 / 64.0  # about the mean and standard deviation of the training pictures' luma
LOSSES = ("total", "score", "box", "landmarks")
CURVES_EVERY = 10  # epochs; drawing takes seconds


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
    precision: str | None = None  # of convolutions; None: the default of the device
    seed: int = 0

    @property
    def plan(self) -> Plan:
        """What canvases the run shows."""
        return Plan(
            self.epochs,
            self.epoch_size,
            self.batch_size,
            self.canvas_size,
            self.final_epochs,
            self.final_aug_strength,
            self.seed,
        )


@dataclass(slots=True)
class Run:
    """The state of a run."""

    settings: Settings
    device: torch.device
    model: nn.Module
    ema: Ema
    optimizer: torch.optim.Optimizer


def make_run(settings: Settings, device: torch.device) -> Run:
    torch.manual_seed(settings.seed)
    model = FaceLuma().to(device, memory_format=torch.channels_last)
    # In the same layout, so that the average is one operation for all weights.
    averaged = FaceLuma().to(device, memory_format=torch.channels_last)
    ema = Ema(model, averaged, settings.ema_decay)
    groups = parameter_groups(model, settings.weight_decay)
    # Fused: one kernel for all weights, of which there are many small ones.
    optimizer = torch.optim.AdamW(groups, lr=settings.lr, fused=device.type == "cuda")
    return Run(settings, device, model, ema, optimizer)


def normalise(images: Tensor) -> Tensor:
    """u8 [N, H, W] to the network's float32 [N, 1, H, W]."""
    x = (images.float() - MEAN) * SCALE
    return x[:, None].contiguous(memory_format=torch.channels_last)


def train_step(run: Run, images: Tensor, faces: Faces, step: int) -> Tensor:
    """One step of the optimizer; returns LOSSES [4] on the device, without waiting for it."""
    settings = run.settings
    steps = settings.epochs * settings.plan.steps_per_epoch
    set_lr(run.optimizer, settings.lr * lr_factor(step, steps, settings.warmup_steps))
    x, faces = normalise(images.to(run.device, non_blocking=True)), faces.to(run.device)
    with autocast(run.device, settings.precision or default_precision(run.device)):
        maps = run.model(x)
    losses = detector_loss(tuple(level.float() for level in maps), faces)
    run.optimizer.zero_grad(set_to_none=True)
    losses["total"].backward()
    nn.utils.clip_grad_norm_(run.model.parameters(), settings.grad_clip_norm)
    run.optimizer.step()
    run.ema.update(run.model)
    return torch.stack([losses[name].detach() for name in LOSSES])


def start_from_checkpoint(init: Path, run: Run) -> None:
    """Loads the averaged weights of an earlier run."""
    weights = load_checkpoint(init)["ema"]
    run.model.load_state_dict(weights)
    run.ema.model.load_state_dict(weights)


def hashes_of_inputs(data: Path, marks: Path | None, init: Path | None) -> dict[str, object]:
    """Identifies what a run learns from, to compare when it is resumed."""
    files = {"marks": marks, "init": init}
    return {
        "photos": hash_of_photos(data),
        **{name: path and hash_of_file(path) for name, path in files.items()},
    }


def train(
    data: Path,
    out: Path,
    settings: Settings,
    limit: int | None,
    workers: int,
    marks: Path | None = None,
    init: Path | None = None,
) -> None:
    """Trains to the last epoch, from the checkpoint in ``out`` if there is one.

    ``limit`` is a number of pictures, ``workers`` one of processes that make canvases, which does not change
    them, ``marks`` a file of training.mark_faces, and ``init`` a checkpoint whose averaged weights are the
    start.

    Raises ValueError when ``out`` holds a run with other settings or inputs.
    """
    cv2.setNumThreads(0)
    torch.backends.cudnn.benchmark = True
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    run, checkpoint, log = make_run(settings, device), out / "checkpoint.pt", out / "log.jsonl"
    if init:
        start_from_checkpoint(init, run)
    inputs = {"limit": limit, **hashes_of_inputs(data, marks, init)}
    first = resume(checkpoint, run.model, run.ema, run.optimizer, asdict(settings) | inputs)
    per_epoch = settings.plan.steps_per_epoch
    photos = PhotoPool(load_photos(data, "train", marks)[:limit])
    loader = canvas_loader(photos, settings.plan, first, workers, pinned=device.type == "cuda")
    batches = iter(loader)
    for epoch in range(first, settings.epochs):
        started, waited, sums = time.monotonic(), 0.0, torch.zeros(len(LOSSES), device=device)
        bar = tqdm(range(per_epoch), f"epoch {epoch + 1}/{settings.epochs}", file=sys.stderr, mininterval=5)
        for k in bar:
            asked_at = time.monotonic()
            images, faces = next(batches)
            waited += time.monotonic() - asked_at
            sums += train_step(run, images, faces, epoch * per_epoch + k)
        means = (sums / per_epoch).tolist()  # waits for the device, once an epoch
        seconds = time.monotonic() - started
        record = {
            "epoch": epoch + 1,
            "seconds": seconds,
            "data_wait_share": waited / seconds,
            **dict(zip(LOSSES, means, strict=True)),
        }
        append_log(log, record)
        state = training_state(run.model, run.ema, run.optimizer, epoch, asdict(settings), inputs)
        save_checkpoint(checkpoint, state)
        if (epoch + 1) % CURVES_EVERY == 0 or epoch + 1 == settings.epochs:
            draw_curves(log, out / "curves.png", {"loss": ["total"], "parts": ["score", "box", "landmarks"]})


def main() -> None:
    defaults = Settings()
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="folder of faces-*.npz")
    parser.add_argument("--out", type=Path, required=True, help="folder for checkpoint, log and curves")
    parser.add_argument(
        "--marks", type=Path, help="marks.npz of training.mark_faces, instead of the packed marks"
    )
    parser.add_argument("--init", type=Path, help="checkpoint of this command to start from")
    parser.add_argument("--epochs", type=int, default=defaults.epochs)
    parser.add_argument("--epoch-size", type=int, default=defaults.epoch_size, help="canvases an epoch")
    parser.add_argument("--batch-size", type=int, default=defaults.batch_size)
    parser.add_argument("--lr", type=float, default=defaults.lr)
    parser.add_argument(
        "--final-epochs", type=int, help="last epochs, with weak distortions; default: a third of the epochs"
    )
    parser.add_argument(
        "--precision",
        choices=PRECISIONS,
        help="of convolutions; bfloat16 on a GPU, float32 on a CPU if not given",
    )
    parser.add_argument("--seed", type=int, default=defaults.seed)
    parser.add_argument("--limit", type=int, help="use the first LIMIT pictures only, for a dry run")
    parser.add_argument("--workers", type=int, default=1, help="processes that make canvases")
    args = parser.parse_args()
    final_epochs = round(args.epochs / 3) if args.final_epochs is None else args.final_epochs
    settings = Settings(
        epochs=args.epochs,
        epoch_size=args.epoch_size,
        batch_size=args.batch_size,
        lr=args.lr,
        final_epochs=final_epochs,
        precision=args.precision,
        seed=args.seed,
    )
    with exit_on_error(parser):
        args.out.mkdir(parents=True, exist_ok=True)
        train(args.data, args.out, settings, args.limit, args.workers, args.marks, args.init)


if __name__ == "__main__":
    main()

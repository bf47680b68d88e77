"""Trains an expression network: ``python -m training.train runs/ferplus --out runs/nano``.

Reads from top to bottom. DATA is what training.prepare wrote. A second start with the same ``--out``
continues from the last checkpoint. The result is the weight average after the last epoch; the validation
split is measured, but nothing is selected by it, and the test split is not opened. On several GPUs or
machines: ``torchrun ... -m training.train`` with the same arguments.
"""

import argparse
import sys
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.parallel import DistributedDataParallel
from tqdm import tqdm

from fer_edge.arrays import F32
from training.command_line import exit_on_error
from training.data.crops import inputs_from_split
from training.data.hashes import hash_of_file, hash_of_splits
from training.data.split import Split, load_prepared
from training.evaluation.inference import module_outputs
from training.loop.batches import Batch, BatchLoader, load_teacher_views, row_weights
from training.loop.checkpoint import resume, save_checkpoint, training_state
from training.loop.distributed import Process, process_group, with_global_batchnorm
from training.loop.log import append_log, draw_curves
from training.loop.optimizer import Ema, lr_factor, make_optimizer, set_lr
from training.loop.precision import autocast
from training.loop.settings import CONFIGS, Settings, settings_from_toml
from training.loop.start_weights import load_start_weights
from training.models import build

NUM_STATISTICS_ROWS = 512  # with which the statistics of an exported model are restored
PANELS = {
    "loss": ["train_loss", "valid_loss"],
    "accuracy": ["train_accuracy", "valid_accuracy", "valid_balanced_accuracy"],
}


@dataclass(slots=True)
class Run:
    """The state of a run; ``network`` is ``model``, wrapped in DistributedDataParallel when there are several
    processes.
    """

    settings: Settings
    process: Process
    model: nn.Module
    network: nn.Module
    ema: Ema
    optimizer: torch.optim.Optimizer
    class_log_prior: Tensor  # log frequency of the classes [8]


def soft_cross_entropy(logits: Tensor, shares: Tensor) -> Tensor:
    """Cross-entropy with vote shares, FER+'s "probabilistic label drawing" in expectation."""
    return -(shares * F.log_softmax(logits, dim=1)).sum(1).mean()


def loss_of_batch(logits: Tensor, batch: Batch, run: Run) -> Tensor:
    """Loss against the votes with adjusted logits (Menon et al., "Long-tail learning via logit adjustment",
    2021), and against the teachers (Hinton et al., "Distilling the Knowledge in a Neural Network", 2015).
    """
    adjusted = logits + run.settings.logit_adjustment_tau * run.class_log_prior
    if batch.teacher is None:
        return soft_cross_entropy(adjusted, batch.votes)
    votes = soft_cross_entropy(adjusted, (1 - run.settings.distill_weight) * batch.votes)
    return votes + soft_cross_entropy(logits, batch.teacher)


def make_run(targets: F32, settings: Settings, process: Process) -> Run:
    torch.manual_seed(settings.seed)
    model = build(settings.model, settings.kernels, **settings.options)
    averaged = build(settings.model, settings.kernels, **settings.options).to(process.device)
    if process.world_size > 1:
        model = with_global_batchnorm(model)
    model = model.to(process.device, memory_format=torch.channels_last)
    network: nn.Module = model
    if process.world_size > 1:
        network = DistributedDataParallel(network)
    # As often as the batches show them.
    class_frequency = row_weights(targets, settings.class_balance_power) @ targets
    prior = torch.from_numpy(class_frequency).float().clamp(min=1 / len(targets)).log().to(process.device)
    optimizer = make_optimizer(
        model, settings.optimizer, settings.lr, settings.weight_decay, settings.trunk_lr_factor
    )
    return Run(settings, process, model, network, Ema(model, averaged, settings.ema_decay), optimizer, prior)


def train_epoch(run: Run, loader: BatchLoader, epoch: int, bar: tqdm) -> dict[str, float]:
    """Trains for one epoch; returns its metrics. ``data_wait_share`` is the share of the time spent on making
    batches.
    """
    settings = run.settings
    steps_per_epoch = loader.steps
    # For dropout and stochastic depth, whose random numbers differ between processes.
    torch.manual_seed((settings.seed * 100_003 + epoch) * run.process.world_size + run.process.rank)
    run.network.train()
    started, waited, loss_sum, accuracy_sum, steps = time.monotonic(), 0.0, 0.0, 0.0, 0
    batches = loader.epoch(epoch)
    while True:
        asked_at = time.monotonic()
        batch = next(batches, None)
        waited += time.monotonic() - asked_at
        if batch is None:
            break
        step = epoch * steps_per_epoch + steps
        steps_in_all = settings.epochs * steps_per_epoch
        set_lr(run.optimizer, settings.lr * lr_factor(step, steps_in_all, settings.warmup_steps))
        with autocast(run.process.device, settings.precision):
            logits = run.network(batch.x)
        loss = loss_of_batch(logits.float(), batch, run)
        run.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(run.model.parameters(), settings.grad_clip_norm)
        run.optimizer.step()
        run.ema.update(run.model)
        hits = (logits.argmax(1) == batch.labels).float().mean()
        # Summed on the device: reading a number would make a GPU wait for it.
        loss_sum, accuracy_sum, steps = loss_sum + loss.detach(), accuracy_sum + hits, steps + 1
        if bar.update():
            bar.set_postfix(
                epoch=epoch + 1, loss=f"{loss_sum / steps:.3f}", accuracy=f"{accuracy_sum / steps:.1%}"
            )
    seconds = time.monotonic() - started
    loss_sum, accuracy_sum = run.process.mean(float(loss_sum), float(accuracy_sum))
    return {
        "epoch": epoch + 1,
        "seconds": seconds,
        "data_wait_share": waited / seconds,
        "images_per_second": steps * settings.batch_size / seconds,
        "train_loss": loss_sum / steps,
        "train_accuracy": accuracy_sum / steps,
    }


def validation_metrics(logits: Tensor, split: Split) -> dict[str, float]:
    """Loss against the votes, accuracy, and mean recall of the classes."""
    labels, votes = torch.from_numpy(split.labels), torch.from_numpy(split.votes)
    right = logits.argmax(1) == labels
    recall = [right[labels == k].float().mean() for k in labels.unique()]
    return {
        "valid_loss": soft_cross_entropy(logits, votes).item(),
        "valid_accuracy": right.float().mean().item(),
        "valid_balanced_accuracy": torch.stack(recall).mean().item(),
    }


def start_from_file(init: Path, run: Run, split: Split) -> None:
    """Loads start weights and prints which weights the file lacks."""
    pictures = inputs_from_split(split.sample(NUM_STATISTICS_ROWS), run.model.size)
    report = load_start_weights(run.model, init, torch.from_numpy(pictures).to(run.process.device))
    run.ema.model.load_state_dict(run.model.state_dict())
    if run.process.is_first:
        print(report, file=sys.stderr)


def hashes_of_inputs(split: Split, init: Path | None, views: Path | None) -> dict[str, object]:
    """Identifies what a run learns from, to compare when it is resumed."""
    files = {"init": init, "views": views and views / "views.json"}
    return {
        "data": hash_of_splits(split),
        **{name: path and hash_of_file(path) for name, path in files.items()},
    }


def train(
    data: Path,
    out: Path,
    settings: Settings,
    limit: int | None = None,
    init: Path | None = None,
    views: Path | None = None,
) -> None:
    """Trains to the last epoch, from the checkpoint in ``out`` if there is one.

    Raises ValueError when there are fewer rows than a batch, or ``out`` holds a run with other settings.
    """
    with process_group() as process:
        _train(process, data, out, settings, limit, init, views)


def _train(
    process: Process,
    data: Path,
    out: Path,
    settings: Settings,
    limit: int | None,
    init: Path | None,
    views: Path | None,
) -> None:
    """`train` in one process; a function of its own, so that nothing of the run outlives the process
    group.
    """
    split = load_prepared(data, "train").sample(limit)
    valid = load_prepared(data, "valid").sample(limit)
    if len(split) < settings.batch_size:
        raise ValueError(
            f"batch_size must be at most the {len(split)} rows of train, got {settings.batch_size}"
        )
    teacher_views = load_teacher_views(views, split) if views else None
    run = make_run(teacher_views.targets if teacher_views else split.votes, settings, process)
    if init:
        start_from_file(init, run, split)
    loader = BatchLoader(split, settings, run.model.size, process, teacher_views)
    if settings.validate_every < 1:
        raise ValueError(f"validate_every must be at least 1 epoch, got {settings.validate_every}")
    input_hashes = hashes_of_inputs(split, init, views)
    checkpoint, steps = out / "checkpoint.pt", loader.steps
    first = resume(checkpoint, run.model, run.ema, run.optimizer, asdict(settings) | input_hashes)
    if process.mean(first) != [first]:
        raise ValueError(f"{out} must be one folder for all processes, on a shared disk")
    with tqdm(
        total=settings.epochs * steps,
        initial=first * steps,
        unit="image",
        unit_scale=settings.batch_size,
        mininterval=5,
        disable=not process.is_first,
    ) as bar:
        for epoch in range(first, settings.epochs):
            record = train_epoch(run, loader, epoch, bar)
            last = epoch + 1 == settings.epochs
            if process.is_first and (last or (epoch + 1) % settings.validate_every == 0):
                with autocast(run.process.device, run.settings.precision):
                    logits = module_outputs(run.ema.model, valid, aligned=settings.aligned).float()
                state = training_state(
                    run.model, run.ema, run.optimizer, epoch, asdict(settings), input_hashes
                )
                save_checkpoint(checkpoint, state)
                append_log(out / "log.jsonl", record | validation_metrics(logits, valid))
                draw_curves(out / "log.jsonl", out / "curves.png", PANELS)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="folder that training.prepare wrote")
    parser.add_argument(
        "--config", default="tkfnet-nano", help="name of a config in training/configs, or a path"
    )
    parser.add_argument("--out", type=Path, required=True, help="folder for checkpoint, log and curves")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="change a setting")
    parser.add_argument(
        "--init",
        type=Path,
        help="start weights: a file of torchvision, a checkpoint of training.train or an exported ONNX file",
    )
    parser.add_argument("--views", type=Path, help="views of training.distill to learn from")
    parser.add_argument("--seed", type=int, help="short for --set seed=SEED")
    parser.add_argument("--limit", type=int, help="use LIMIT random rows only, for a dry run")
    args = parser.parse_args()
    named = Path(args.config)
    changes = dict(
        item.split("=", 1) if "=" in item else parser.error(f"--set {item}: expected NAME=VALUE")
        for item in args.set
    )
    with exit_on_error(parser):
        settings = settings_from_toml(
            named if named.suffix == ".toml" else CONFIGS / f"{named}.toml", changes
        )
        if args.seed is not None:
            settings = replace(settings, seed=args.seed)
        args.out.mkdir(parents=True, exist_ok=True)
        train(args.data, args.out, settings, args.limit, args.init, args.views)


if __name__ == "__main__":
    main()

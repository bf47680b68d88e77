"""Trains an expression network: ``python -m training.train runs/ferplus --out runs/nano``.

Reads from top to bottom. DATA is what training.prepare wrote. A second start with the same ``--out`` goes on
from the last checkpoint. The last epoch's weight average is the result; the validation split is watched,
never selected on, and the test split is not opened here. On several GPUs or machines: ``torchrun ... -m
training.train`` with the same arguments.
"""

import argparse
import hashlib
import sys
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.parallel import DistributedDataParallel
from tqdm import tqdm

from training.command_line import told_by
from training.data.crops import inputs_from_split
from training.data.split import Split, load_prepared
from training.evaluation.inference import module_outputs
from training.loop.batches import Batch, Source, load_views, row_weights
from training.loop.checkpoint import resume, run_state, save_checkpoint
from training.loop.distributed import Process, process, with_global_batch_norm
from training.loop.log import append_log, draw_curves
from training.loop.optimizer import Ema, cosine, make_optimiser
from training.loop.settings import CONFIGS, Settings, settings_from_toml
from training.loop.start_weights import initialise
from training.models import build

INIT_PICTURES = 512  # by which the statistics of an exported model are restored
PANELS = {
    "loss": ["train_loss", "valid_loss"],
    "accuracy": ["train_accuracy", "valid_accuracy", "valid_balanced"],
}


@dataclass(slots=True)
class Run:
    """What a run holds; ``network`` is ``model`` as it is called: compiled, or one of several processes'."""

    settings: Settings
    process: Process
    model: nn.Module
    network: nn.Module
    ema: Ema
    optimiser: torch.optim.Optimizer
    prior: Tensor  # log frequency of the classes [8]


def soft_cross_entropy(logits: Tensor, shares: Tensor) -> Tensor:
    """Cross-entropy with vote shares: FER+'s "probabilistic label drawing" in expectation."""
    return -(shares * F.log_softmax(logits, dim=1)).sum(1).mean()


def loss_of_batch(logits: Tensor, batch: Batch, run: Run) -> Tensor:
    """Against the votes with adjusted logits (Menon et al., "Long-tail learning via logit adjustment", 2021),
    and against the teachers (Hinton et al., "Distilling the Knowledge in a Neural Network", 2015).
    """
    loss = soft_cross_entropy(logits + run.settings.adjust * run.prior, batch.votes)
    if batch.teacher is None:
        return loss
    return loss.lerp(soft_cross_entropy(logits, batch.teacher), run.settings.distill)


def autocast(run: Run) -> torch.autocast:
    reduced = run.settings.precision != "float32"
    return torch.autocast(run.process.device.type, torch.bfloat16, enabled=reduced)


def make_run(split: Split, settings: Settings, where: Process) -> Run:
    torch.manual_seed(settings.seed)
    model = build(settings.model, settings.kernels, **settings.options)
    averaged = build(settings.model, settings.kernels, **settings.options).to(where.device)
    if where.count > 1:
        model = with_global_batch_norm(model)
    model = model.to(where.device, memory_format=torch.channels_last)
    network = torch.compile(model) if settings.compile else model
    if where.count > 1:
        network = DistributedDataParallel(network)
    drawn = row_weights(split.votes, settings.rare) @ split.votes  # as often as the batches show them
    prior = torch.from_numpy(drawn).float().clamp(min=1 / len(split)).log().to(where.device)
    optimiser = make_optimiser(model, settings.optimiser, settings.rate, settings.weight_decay)
    return Run(settings, where, model, network, Ema(model, averaged, settings.decay), optimiser, prior)


def train_epoch(run: Run, source: Source, epoch: int, bar: tqdm) -> dict[str, float]:
    """One pass; returns its figures. ``waiting`` is the share of the time spent on making batches."""
    settings = run.settings
    steps_an_epoch = len(source.split) // settings.batch
    # Of dropout and stochastic depth, which each process draws for itself.
    torch.manual_seed((settings.seed * 100_003 + epoch) * run.process.count + run.process.index)
    run.network.train()
    started, waited, total, right, seen = time.monotonic(), 0.0, 0.0, 0.0, 0
    batches = source.epoch(epoch)
    while True:
        asked = time.monotonic()
        batch = next(batches, None)
        waited += time.monotonic() - asked
        if batch is None:
            break
        step = epoch * steps_an_epoch + seen
        for group in run.optimiser.param_groups:
            group["lr"] = settings.rate * cosine(step, settings.epochs * steps_an_epoch, settings.warmup)
        with autocast(run):
            logits = run.network(batch.x)
        loss = loss_of_batch(logits.float(), batch, run)
        run.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(run.model.parameters(), settings.clip)
        run.optimiser.step()
        run.ema.update(run.model)
        hits = (logits.argmax(1) == batch.votes.argmax(1)).float().mean()
        # Summed on the device: reading a number would make a GPU wait for it.
        total, right, seen = total + loss.detach(), right + hits, seen + 1
        if bar.update():
            bar.set_postfix(epoch=epoch + 1, loss=f"{total / seen:.3f}", right=f"{right / seen:.1%}")
    seconds = time.monotonic() - started
    total, right = run.process.mean(float(total), float(right))
    return {
        "epoch": epoch + 1,
        "seconds": seconds,
        "waiting": waited / seconds,
        "images_per_second": seen * settings.batch / seconds,
        "train_loss": total / seen,
        "train_accuracy": right / seen,
    }


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


def start_from(init: Path, run: Run, split: Split) -> None:
    """Loads weights that were trained elsewhere, and tells what was not found in the file."""
    pictures = inputs_from_split(split.take(slice(INIT_PICTURES)), run.model.size)
    report = initialise(run.model, init, torch.from_numpy(pictures).to(run.process.device))
    run.ema.model.load_state_dict(run.model.state_dict())
    if run.process.first:
        print(report, file=sys.stderr)


def material_of_run(split: Split, init: Path | None, views: Path | None) -> dict[str, object]:
    """What a run learns from, in a form that can be compared when it goes on."""
    files = {"init": init, "views": views and views / "views.json"}
    return {
        "rows": hashlib.sha256(split.rows.tobytes()).hexdigest(),
        **{name: path and hashlib.sha256(path.read_bytes()).hexdigest() for name, path in files.items()},
    }


def train(
    data: Path,
    out: Path,
    settings: Settings,
    limit: int | None = None,
    init: Path | None = None,
    views: Path | None = None,
) -> None:
    """Trains to the last epoch, or goes on to it from the checkpoint in ``out``.

    Raises ValueError when there are fewer rows than a batch has, or ``out`` holds a run of another kind.
    """
    with process() as where:
        _train(where, data, out, settings, limit, init, views)


def _train(
    where: Process,
    data: Path,
    out: Path,
    settings: Settings,
    limit: int | None,
    init: Path | None,
    views: Path | None,
) -> None:
    """`train` in one process. A function of its own, so that nothing of the run outlives the group."""
    split = load_prepared(data, "train").take(slice(limit))
    valid = load_prepared(data, "valid").take(slice(limit))
    if len(split) < settings.batch:
        raise ValueError(f"batch must be at most the {len(split)} rows of train, got {settings.batch}")
    run = make_run(split, settings, where)
    if init:
        start_from(init, run, split)
    bank = load_views(views, split) if views else None
    source = Source(split, settings, run.model.size, where, bank)
    material = material_of_run(split, init, views)
    checkpoint, steps = out / "checkpoint.pt", len(split) // settings.batch
    first = resume(checkpoint, run.model, run.ema, run.optimiser, asdict(settings) | material)
    if where.mean(first) != [first]:
        raise ValueError(f"{out} must be one folder for all processes, on a disk that they share")
    with tqdm(
        total=settings.epochs * steps,
        initial=first * steps,
        unit="image",
        unit_scale=settings.batch,
        mininterval=5,
        disable=not where.first,
    ) as bar:
        for epoch in range(first, settings.epochs):
            record = train_epoch(run, source, epoch, bar)
            if where.first:
                with autocast(run):
                    logits = module_outputs(run.ema.model, valid, aligned=settings.aligned).float()
                state = run_state(run.model, run.ema, run.optimiser, epoch, asdict(settings), material)
                save_checkpoint(checkpoint, state)
                append_log(out / "log.jsonl", record | summary(logits, valid))
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
        "--init", type=Path, help="weights to start from: torchvision's, or a checkpoint of ours"
    )
    parser.add_argument("--views", type=Path, help="bank of training.distill to learn from")
    parser.add_argument("--seed", type=int, help="short for --set seed=SEED")
    parser.add_argument("--limit", type=int, help="use the first LIMIT rows only, for a dry run")
    args = parser.parse_args()
    named = Path(args.config)
    changes = dict(
        item.split("=", 1) if "=" in item else parser.error(f"--set {item}: expected NAME=VALUE")
        for item in args.set
    )
    with told_by(parser):
        settings = settings_from_toml(
            named if named.suffix == ".toml" else CONFIGS / f"{named}.toml", changes
        )
        if args.seed is not None:
            settings = replace(settings, seed=args.seed)
        args.out.mkdir(parents=True, exist_ok=True)
        train(args.data, args.out, settings, args.limit, args.init, args.views)


if __name__ == "__main__":
    main()

"""Quantisation-aware training: ``python -m training.quantise CHECKPOINT DATA --out runs/nano-int8``.

Continues from a checkpoint for a few epochs with int8 rounding in the forward pass and straight-through
gradients (Jacob et al., "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only
Inference", 2018): inputs of convolutions and linear layers u8 with observed ranges, weights per output
channel.

The result is an ordinary checkpoint whose weights lie on the levels of int8, so that ``int8-cpu`` of
export.convert leaves them unchanged; it observes the ranges again, since it also needs those of sums.
Normalisation need not be folded first: like the levels, it scales whole channels.
"""

import argparse
from dataclasses import asdict, replace
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize
from tqdm import tqdm

from training.command_line import exit_on_error
from training.data.split import load_prepared
from training.evaluation.inference import module_outputs
from training.loop.batches import BatchLoader, load_teacher_views
from training.loop.checkpoint import load_checkpoint, save_checkpoint, training_state
from training.loop.distributed import Process
from training.loop.log import append_log
from training.loop.settings import Settings
from training.train import Run, make_run, train_epoch, validation_metrics

WEIGHT_LEVELS = 64  # on each side of zero: the 7 bits that int8-cpu of export.convert stores
ACTIVATION_LEVELS = 255
MOMENTUM = 0.05  # of the observed ranges
EPOCHS, LR = 3, 1e-4  # the weights should move to a better level nearby, not far


class RoundedWeight(nn.Module):
    """A weight rounded to the levels of its output channel; the gradient passes unchanged."""

    def forward(self, weight: Tensor) -> Tensor:
        with torch.no_grad():
            scale = weight.flatten(1).abs().amax(1).clamp(min=1e-12) / WEIGHT_LEVELS
            zero = torch.zeros_like(scale, dtype=torch.int32)
        return torch.fake_quantize_per_channel_affine(weight, scale, zero, 0, -WEIGHT_LEVELS, WEIGHT_LEVELS)


class RoundedInput:
    """Forward pre-hook of one layer, whose range follows the batches in training and is fixed in evaluation.

    Not a module, so that the keys of the checkpoint stay those of the network.
    """

    def __init__(self) -> None:
        self.low, self.high = 0.0, 0.0

    def __call__(self, layer: nn.Module, inputs: tuple[Tensor]) -> tuple[Tensor]:
        (x,) = inputs
        if layer.training:
            self.observe(x)
        if self.low == self.high:
            return inputs
        scale = (self.high - self.low) / ACTIVATION_LEVELS
        zero = round(-self.low / scale)
        return (torch.fake_quantize_per_tensor_affine(x, scale, zero, 0, ACTIVATION_LEVELS),)

    def observe(self, x: Tensor) -> None:
        # Zero must be a level: padding is exactly zero.
        low, high = min(0.0, x.min().item()), max(0.0, x.max().item())
        step = MOMENTUM if self.low < self.high else 1.0
        self.low += step * (low - self.low)
        self.high += step * (high - self.high)


def quantised_layers(model: nn.Module) -> dict[str, nn.Module]:
    """The layers that int8 computes."""
    return {name: m for name, m in model.named_modules() if isinstance(m, nn.Conv2d | nn.Linear)}


def insert_rounding(run: Run) -> None:
    """Adds rounding to the network and its average, which share the ranges."""
    averaged = quantised_layers(run.ema.model)
    for name, layer in quantised_layers(run.model).items():
        rounded = RoundedInput()
        for module in (layer, averaged[name]):
            module.register_forward_pre_hook(rounded)
            parametrize.register_parametrization(module, "weight", RoundedWeight())


def fix_weights(model: nn.Module) -> None:
    """Replaces each rounded parameter by its rounded value."""
    for layer in quantised_layers(model).values():
        parametrize.remove_parametrizations(layer, "weight", leave_parametrized=True)


def settings_from_checkpoint(content: dict[str, object], epochs: int, lr: float) -> Settings:
    """The settings of the checkpoint's training, changed for a short run."""
    return replace(
        Settings(**content["settings"]),
        epochs=epochs,
        lr=lr,
        warmup_steps=0,
        early_size=0,
        final_share=1.0,
        # Rounding to bfloat16 would hide rounding to int8.
        precision="float32",
        # Hooks round the layers' inputs; the kernels would bypass them.
        kernels="reference",
    )


def quantise(
    checkpoint: Path, data: Path, out: Path, epochs: int, lr: float, views: Path | None, limit: int | None
) -> None:
    """Trains and writes ``out/checkpoint.pt`` and its log, whose metrics are those of the rounded network.

    Raises ValueError when the checkpoint has a crop check, which learns from the network as it is.
    """
    content = load_checkpoint(checkpoint)
    if content["settings"]["options"].get("crop_check"):
        raise ValueError(
            f"{checkpoint} must be without a crop check, which fits only the weights that it was trained "
            "with; quantise the checkpoint of training.train, then run python -m training.train_crop_check "
            "on the result"
        )
    settings = settings_from_checkpoint(content, epochs, lr)
    out.mkdir(parents=True, exist_ok=True)
    split = load_prepared(data, "train").sample(limit)
    valid = load_prepared(data, "valid").sample(limit)
    # A few epochs need no second process.
    process = Process(torch.device("cuda" if torch.cuda.is_available() else "cpu"))
    run = make_run(split.votes, settings, process)
    for model in (run.model, run.ema.model):
        model.load_state_dict(content["ema"])
    insert_rounding(run)
    loader = BatchLoader(
        split, settings, run.model.size, process, load_teacher_views(views, split) if views else None
    )
    with tqdm(total=epochs * (len(split) // settings.batch_size), unit="step", mininterval=5) as bar:
        for epoch in range(epochs):
            record = train_epoch(run, loader, epoch, bar)
            logits = module_outputs(run.ema.model, valid, aligned=settings.aligned)
            append_log(out / "log.jsonl", record | validation_metrics(logits, valid))
    for model in (run.model, run.ema.model):
        fix_weights(model)
    state = training_state(run.model, run.ema, run.optimizer, epochs - 1, asdict(settings))
    save_checkpoint(out / "checkpoint.pt", state)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkpoint", type=Path, help="of training.train")
    parser.add_argument("data", type=Path, help="folder that training.prepare wrote")
    parser.add_argument("--out", type=Path, required=True, help="folder for checkpoint and log")
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--lr", type=float, default=LR)
    parser.add_argument("--views", type=Path, help="views of training.distill to learn from")
    parser.add_argument("--limit", type=int, help="use LIMIT random rows only, for a dry run")
    args = parser.parse_args()
    with exit_on_error(parser):
        quantise(args.checkpoint, args.data, args.out, args.epochs, args.lr, args.views, args.limit)


if __name__ == "__main__":
    main()

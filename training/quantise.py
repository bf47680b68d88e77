"""Quantisation-aware training: ``python -m training.quantise CHECKPOINT DATA --out runs/nano-int8``.

Goes on from a checkpoint for a few epochs with the rounding of int8 in the forward pass and none in the
backward pass (Jacob et al., "Quantization and Training of Neural Networks for Efficient
Integer-Arithmetic-Only Inference", 2018): inputs of convolutions and linear layers u8 with observed ranges,
weights per output channel.

The result is a checkpoint like any other whose weights lie on the levels of int8, so that ``export.int8``
rounds them to themselves; it observes the ranges anew, since it also needs those of sums. Normalisation need
not be folded first: it scales whole channels, and so do the levels.
"""

import argparse
from dataclasses import asdict, replace
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize
from tqdm import tqdm

from training.command_line import told_by
from training.data.split import load_prepared
from training.evaluation.inference import module_outputs
from training.loop.batches import Source, load_views
from training.loop.checkpoint import load_checkpoint, run_state, save_checkpoint
from training.loop.distributed import Process
from training.loop.log import append_log
from training.loop.settings import Settings
from training.train import Run, make_run, summary, train_epoch

WEIGHT_LEVELS = 64  # on each side of zero: the 7 bits that export.int8 stores
ACTIVATION_LEVELS = 255
MOMENTUM = 0.05  # of the observed ranges
EPOCHS, RATE = 3, 1e-4  # the weights are to move to a better level nearby, not far


class RoundedWeight(nn.Module):
    """A weight on the levels of its output channel; the gradient passes unchanged."""

    def forward(self, weight: Tensor) -> Tensor:
        with torch.no_grad():
            scale = weight.flatten(1).abs().amax(1).clamp(min=1e-12) / WEIGHT_LEVELS
            zero = torch.zeros_like(scale, dtype=torch.int32)
        return torch.fake_quantize_per_channel_affine(weight, scale, zero, 0, -WEIGHT_LEVELS, WEIGHT_LEVELS)


class RoundedInput:
    """Forward pre-hook of one layer; its range follows the batches of training and stands in evaluation.

    A plain object, so that the checkpoint's keys stay the network's own.
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
        # Zero must have a level of its own: padding is exactly zero.
        low, high = min(0.0, x.min().item()), max(0.0, x.max().item())
        step = MOMENTUM if self.low < self.high else 1.0
        self.low += step * (low - self.low)
        self.high += step * (high - self.high)


def quantised_layers(model: nn.Module) -> dict[str, nn.Module]:
    """The layers that int8 computes."""
    return {name: m for name, m in model.named_modules() if isinstance(m, nn.Conv2d | nn.Linear)}


def insert_rounding(run: Run) -> None:
    """Into the network and its average, which share their ranges."""
    averaged = quantised_layers(run.ema.model)
    for name, layer in quantised_layers(run.model).items():
        rounded = RoundedInput()
        for twin in (layer, averaged[name]):
            twin.register_forward_pre_hook(rounded)
            parametrize.register_parametrization(twin, "weight", RoundedWeight())


def fix_weights(model: nn.Module) -> None:
    """Leaves the rounded weights in place of what rounds them."""
    for layer in quantised_layers(model).values():
        parametrize.remove_parametrizations(layer, "weight", leave_parametrized=True)


def settings_from_checkpoint(content: dict[str, object], epochs: int, rate: float) -> Settings:
    """Those of the checkpoint's training, made short and calm."""
    return replace(
        Settings(**content["settings"]),
        epochs=epochs,
        rate=rate,
        warmup=0,
        small_size=0,
        calm_share=1.0,
        # Rounding to bfloat16 would hide that to int8.
        precision="float32",
        # The layers' inputs are rounded on their way in, which kernels do not pass.
        kernels="reference",
        compile=False,
    )


def quantise(
    checkpoint: Path, data: Path, out: Path, epochs: int, rate: float, views: Path | None, limit: int | None
) -> None:
    """Trains and writes ``out/checkpoint.pt`` and its log, whose figures are of the rounded network."""
    content = load_checkpoint(checkpoint)
    settings = settings_from_checkpoint(content, epochs, rate)
    out.mkdir(parents=True, exist_ok=True)
    split = load_prepared(data, "train").take(slice(limit))
    valid = load_prepared(data, "valid").take(slice(limit))
    # A few epochs need no second process.
    where = Process(torch.device("cuda" if torch.cuda.is_available() else "cpu"))
    run = make_run(split, settings, where)
    for model in (run.model, run.ema.model):
        model.load_state_dict(content["ema"])
    insert_rounding(run)
    source = Source(split, settings, run.model.size, where, load_views(views, split) if views else None)
    with tqdm(total=epochs * (len(split) // settings.batch), unit="step", mininterval=5) as bar:
        for epoch in range(epochs):
            record = train_epoch(run, source, epoch, bar)
            logits = module_outputs(run.ema.model, valid, aligned=settings.aligned)
            append_log(out / "log.jsonl", record | summary(logits, valid))
    for model in (run.model, run.ema.model):
        fix_weights(model)
    state = run_state(run.model, run.ema, run.optimiser, epochs - 1, asdict(settings))
    save_checkpoint(out / "checkpoint.pt", state)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkpoint", type=Path, help="of training.train")
    parser.add_argument("data", type=Path, help="folder that training.prepare wrote")
    parser.add_argument("--out", type=Path, required=True, help="folder for checkpoint and log")
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--rate", type=float, default=RATE)
    parser.add_argument("--views", type=Path, help="bank of training.distill to learn from")
    parser.add_argument("--limit", type=int, help="use the first LIMIT rows only, for a dry run")
    args = parser.parse_args()
    with told_by(parser):
        quantise(args.checkpoint, args.data, args.out, args.epochs, args.rate, args.views, args.limit)


if __name__ == "__main__":
    main()

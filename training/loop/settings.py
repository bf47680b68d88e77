"""The settings of a training run, each with its reason, and the configs, which hold differences."""

import sys
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


CONFIGS = Path(__file__).parents[1] / "configs"


@dataclass(frozen=True, slots=True)
class Settings:
    """Defaults train tkfnet-nano on FER+ from votes alone."""

    model: str = "tkfnet-nano"  # a name of training.models.EXPRESSION_MODELS
    options: dict[str, Any] = field(default_factory=dict, hash=False)  # of the model; the ablations are here
    epochs: int = 40
    batch_size: int = 128  # rows a step, over all processes
    optimizer: str = "adamw"  # or "sgd" with Nesterov's momentum of 0.9
    lr: float = 2e-3  # for AdamW at batch size 128; SGD needs about 25 times as much
    trunk_lr_factor: float = 1.0  # of the trunk's learning rate, below 1 for a pre-trained trunk
    weight_decay: float = 0.05  # for AdamW; SGD needs a hundredth
    warmup_steps: int = 300
    grad_clip_norm: float = 2.0
    ema_decay: float = 0.999  # limited to (1 + t) / (10 + t) at step t, so that the random start fades
    # A row is drawn in proportion to the frequency of its classes to the power of -class_balance_power.
    class_balance_power: float = 0.3
    # tau * log(class frequency) is added to the logits in the loss, for the recall of rare classes (Menon et
    # al., "Long-tail learning via logit adjustment", 2021).
    logit_adjustment_tau: float = 0.0
    mixup_prob: float = 0.0  # share of the pairs of pictures that are blended
    cutmix_prob: float = 0.0  # share of the pairs of which one picture gets a patch of the other
    # px; smaller crops make the first epochs cheaper (EfficientNetV2, 2021); 0: full size from the start.
    early_size: int = 48
    early_share: float = 0.6  # of the epochs, at early_size
    aug_strength: float = 1.0  # factor on AugmentRanges; small networks learn slowly from strong distortions
    final_aug_strength: float = 0.5  # the same factor in the last epochs
    final_share: float = 0.68  # of the epochs, at final_aug_strength
    aligned: bool = True  # False shows whole pictures only, for the ablation
    distill_weight: float = 0.7  # of the teachers' probabilities against the votes, with --views
    precision: str = "bfloat16"  # of convolutions and matrix products; "float32" to compare runs bit by bit
    validate_every: int = 1  # epochs; also between two checkpoints. On a GPU an epoch takes about a second
    kernels: str = "reference"  # or "triton": TAFE, DCIF and token attention as kernels, on an NVIDIA GPU
    seed: int = 0


def settings_from_toml(path: Path, changes: dict[str, str] | None = None) -> Settings:
    """Reads a config: the defaults, the file's differences, then ``changes`` (name -> TOML value).

    Raises:
        FileNotFoundError: there is no such config; the message lists them.
        ValueError: a name is unknown, or a value has another type.
    """
    if not path.exists():
        known = ", ".join(sorted(p.stem for p in CONFIGS.glob("*.toml")))
        raise FileNotFoundError(f"{path} does not exist; the configs of the project are {known}")
    values = tomllib.loads(path.read_text(encoding="utf-8"))
    for name, text in (changes or {}).items():
        table, _, key = name.rpartition(".")
        target = values.setdefault(table, {}) if table else values
        target[key] = _value_from_text(text)
    defaults = asdict(Settings())
    for name, value in values.items():
        if name not in defaults:
            raise ValueError(f"{path.name}: unknown setting {name!r}; the settings are {', '.join(defaults)}")
        wanted = type(defaults[name])
        if wanted is float and type(value) is int:
            values[name] = float(value)
        elif type(value) is not wanted:
            raise ValueError(f"{path.name}: {name} must be {wanted.__name__}, got {value!r}")
    return replace(Settings(), **values)


def _value_from_text(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        # A bare word is a string, so that the command line needs no second pair of quotes.
        return text

"""The settings of a training run, each with its reason, and the configs that say what differs."""

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
    batch: int = 128  # rows a step, over all processes
    optimiser: str = "adamw"  # or "sgd" with Nesterov's momentum of 0.9
    rate: float = 2e-3  # AdamW's, at batch 128; SGD wants about twenty-five times as much
    weight_decay: float = 0.05  # AdamW's; SGD wants a hundredth
    warmup: int = 300  # steps
    clip: float = 2.0  # gradient norm
    decay: float = 0.999  # of the weight average, which never reaches back more than a ninth of the steps
    rare: float = 0.3  # a row is drawn in proportion to its classes' frequency ** -rare; 0 draws all alike
    adjust: float = 0.0  # logits are shifted by adjust * log(frequency) in the loss, for rare classes' recall
    mixup: float = 0.0  # share of pairs that are blended
    cutmix: float = 0.0  # share of pairs of which one is patched with the other
    small_size: int = 48  # px; the first epochs are cheaper on fewer pixels (EfficientNetV2, 2021)
    small_share: float = 0.6  # of the epochs
    jitter: float = 1.0  # strength of the distortions; a small network learns slowly from strong ones
    calm: float = 0.5  # strength in the last epochs
    calm_share: float = 0.68  # of the epochs
    aligned: bool = True  # False shows whole pictures only, for the ablation
    distill: float = 0.7  # weight of the teachers' answer against the votes, where --views are given
    precision: str = (
        "bfloat16"  # of convolutions and products; "float32" where bit-for-bit comparison matters
    )
    kernels: str = "reference"  # or "triton": TAFE, DCIF and token attention as kernels, on an NVIDIA GPU
    compile: bool = False  # torch.compile: 10 % faster steps for a minute at the start
    seed: int = 0


def settings_from_toml(path: Path, changes: dict[str, str] | None = None) -> Settings:
    """Reads a config: the defaults, the file's differences, then ``changes`` (name -> TOML value).

    Raises ValueError for an unknown name or a value of another type, FileNotFoundError that lists the
    configs.
    """
    if not path.exists():
        known = ", ".join(sorted(p.stem for p in CONFIGS.glob("*.toml")))
        raise FileNotFoundError(f"{path} does not exist; configs that come with the project: {known}")
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
        # A bare word is a string: nobody wants to quote twice on a command line.
        return text

"""Start weights from torchvision's files, checkpoints of training.train and exported files.

ResNet's weights have torchvision's names; those of ConvNeXt are mapped by CONVNEXT_NAMES. A first convolution
over RGB is summed to one channel where the network reads luma, which leaves its output on grey pictures
unchanged.
"""

import re
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from training.loop.checkpoint import load_checkpoint
from training.loop.restore_batchnorm import restore_batchnorm
from training.loop.trunk_weights import load_trunk_weights
from training.models.conv_cut import ConvCut
from training.models.mobile import MobileClassifier

# torchvision.models.convnext_* -> training.models.convnext, stage k of each in features[2 k + 1].
CONVNEXT_NAMES = (
    (r"^features\.0\.0\.", "stem.0."),
    (r"^features\.0\.1\.", "stem.1."),
    (r"^features\.([24])\.", lambda m: f"downsample.{int(m[1]) // 2}."),
    (r"^features\.([135])\.(\d+)\.", lambda m: f"stages.{int(m[1]) // 2}.{m[2]}."),
    (r"\.block\.0\.", ".depthwise."),
    (r"\.block\.2\.", ".norm."),
    (r"\.block\.3\.", ".pointwise1."),
    (r"\.block\.5\.", ".pointwise2."),
)
FIRST = (
    "trunk.conv1.weight",
    "trunk.stem.0.weight",
    "trunk.0.weight",
)  # the first convolution of each network
# Weights of torchvision's files that the trunks here do not have: classifiers, and for Conv-cut the last
# blocks of stage 3 and all later stages.
NOT_OURS = r"trunk\.(fc|classifier|features\.[67]|stages\.2\.\d+)\."
CONTAINERS = ("ema", "state_dict", "model")  # keys under which training scripts store the weights


def load_start_weights(model: nn.Module, path: Path, x: Tensor) -> str:
    """Loads the matching weights into ``model`` and returns a report that lists every weight without a
    partner.

    ``x`` float32 [n, 1, S, S], some hundred network inputs, restores the statistics of an ONNX file, or of
    the .npz file of a mobile trunk.

    Raises ValueError when weights of the trunk other than the first convolution have no partner: the file is
    of another network, and training would start from noise.
    """
    if path.suffix == ".onnx":
        restore_batchnorm(model, path, x)
        return f"{path.name}: all weights taken"
    if path.suffix == ".npz":
        if not isinstance(model, MobileClassifier):
            raise ValueError(
                f"{path} holds a mobile trunk; choose a config of one, such as teacher-mobilenet-v2"
            )
        load_trunk_weights(model.trunk, path, x)
        return f"{path.name}: all weights of the trunk taken"
    found = _weights_from_file(path, model)
    own = model.state_dict()
    matched, reasons = {}, {}
    for name, value in own.items():
        given = found.pop(name, None)
        if given is not None and name in FIRST and given.shape != value.shape:
            given = _first_convolution(given, value)
        if given is None or given.shape != value.shape:
            reasons[name] = "not in the file" if given is None else f"{list(given.shape)} there"
        else:
            matched[name] = given
    missing = [n for n in reasons if n.startswith("trunk.") and n not in FIRST and "num_batches" not in n]
    missing += [n for n in found if n.startswith("trunk.") and not re.match(NOT_OURS, n)]
    listed = [f"  {name} {list(own[name].shape)}: {why}" for name, why in reasons.items()]
    listed += [f"  {name.removeprefix('trunk.')}: in the file only" for name in found]
    if missing:
        raise ValueError(
            f"{path} does not fit: {len(missing)} weights of the trunk have no partner; choose the file of "
            "the same network, or the network (--config, --set options.depth=...) of the file\n"
            + "\n".join(listed)
        )
    model.load_state_dict(own | matched)
    return "\n".join(
        [f"{path.name}: {len(matched)} of {len(own)} weights taken; without a partner:", *listed]
    )


def _weights_from_file(path: Path, model: nn.Module) -> dict[str, Tensor]:
    content: Any = load_checkpoint(path)
    for name in CONTAINERS:
        if isinstance(content.get(name), dict):
            content = content[name]
            break
    if any(name.startswith("trunk.") for name in content):
        return dict(content)
    renamed = {}
    for name, value in content.items():
        name = name.removeprefix("module.")
        if isinstance(model, ConvCut):
            for pattern, replacement in CONVNEXT_NAMES:
                name = re.sub(pattern, replacement, name)
            value = value.flatten() if name.endswith("layer_scale") else value
        renamed[f"trunk.{name}"] = value
    return renamed


def _first_convolution(given: Tensor, ours: Tensor) -> Tensor | None:
    """RGB summed to luma; None where the kernel differs as well."""
    if given.shape[2:] != ours.shape[2:] or given.shape[0] != ours.shape[0]:
        return None
    return given.sum(1, keepdim=True) if ours.shape[1] == 1 else None

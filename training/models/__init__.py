"""Network definitions in plain PyTorch, one architecture a file, and the table by which configs name them."""

from collections.abc import Callable
from typing import Any, get_args

from torch import nn

from fer_edge.kernels.dispatch import Kernels
from training.models.conv_cut import ConvCut, TokenAttention
from training.models.folding import Folding
from training.models.mobile import MobileClassifier
from training.models.tkfnet import TkfNet
from training.models.tkfnet_nano import TkfNetNano

# name -> network; each has ``size``, ``features(x)`` and ``attention(x)``.
EXPRESSION_MODELS: dict[str, Callable[..., nn.Module]] = {
    "tkfnet": TkfNet,
    "conv-cut": ConvCut,
    "tkfnet-nano": TkfNetNano,
    "mobile": MobileClassifier,
}


def build(name: str, kernels: Kernels = "reference", **options: Any) -> nn.Module:
    """Makes an expression network with fresh weights; ``kernels`` as in `use_kernels`.

    Raises ValueError for an unknown name or option, and for channels other than 1: the runtime has luma only.
    """
    if name not in EXPRESSION_MODELS:
        raise ValueError(f"model must be one of {', '.join(EXPRESSION_MODELS)}, got {name!r}")
    if options.get("channels", 1) != 1:
        raise ValueError(f"options.channels must be 1 (luma), got {options['channels']}; leave it out")
    try:
        model = EXPRESSION_MODELS[name](**options)
    except TypeError as error:
        raise ValueError(f"model {name}: {error}") from error
    return use_kernels(model, kernels)


def use_kernels(model: nn.Module, kernels: Kernels) -> nn.Module:
    """Chooses what computes the TAFE, DCIF and token-attention blocks of a network; returns the network.

    "reference" is the PyTorch code of these files; the other names are those of `fer_edge.kernels`. Weights
    and checkpoints do not depend on the choice. Raises ValueError for an unknown name.
    """
    if kernels not in get_args(Kernels):
        raise ValueError(f"kernels must be one of {', '.join(get_args(Kernels))}, got {kernels!r}")
    for block in model.modules():
        if isinstance(block, Folding | TokenAttention):
            block.kernels = kernels
    return model

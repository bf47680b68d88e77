"""Network definitions; plain PyTorch, one architecture a file, and the table by which configs name them."""

from collections.abc import Callable
from typing import Any

from torch import nn

from training.models.conv_cut import ConvCut
from training.models.tkfnet import TkfNet
from training.models.tkfnet_nano import TkfNetNano

# name -> network; each has ``size``, ``channels``, ``features(x)`` and ``attention(x)``.
EXPRESSION_MODELS: dict[str, Callable[..., nn.Module]] = {
    "tkfnet": TkfNet,
    "conv-cut": ConvCut,
    "tkfnet-nano": TkfNetNano,
}


def build(name: str, **options: Any) -> nn.Module:
    """Makes an expression network with fresh weights; raises ValueError for an unknown name or option."""
    if name not in EXPRESSION_MODELS:
        raise ValueError(f"model must be one of {', '.join(EXPRESSION_MODELS)}, got {name!r}")
    try:
        return EXPRESSION_MODELS[name](**options)
    except TypeError as error:
        raise ValueError(f"model {name}: {error}") from error

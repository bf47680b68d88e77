"""The network blocks as GPU kernels, each with a plain PyTorch reference.

```python
from fer_edge import kernels

pooled = kernels.dcif(x, weights)                      # the best implementation for the device of x
pooled = kernels.dcif(x, weights, kernels="triton")    # this implementation, or an error with the reason
kernels.active()                                       # the implementations that "auto" selects
```

Needs `pip install 'fer_edge[kernels]'`; the runtime (`fer_edge.Recognizer`) never imports it.
"""

from fer_edge.installation.repair_commands import install_extra as _install_extra

try:
    import torch as _torch  # noqa: F401
except ModuleNotFoundError as error:
    raise ImportError(f"fer_edge.kernels needs PyTorch; {_install_extra('kernels')}") from error

from .dispatch import active
from .fold import fold_dcif, fold_multi_branch
from .operations import dcif, filter_and_pool, multi_branch_attention, token_attention, warp_normalize
from .reference import (
    DcifWeights,
    FoldedMultiBranchWeights,
    MultiBranchWeights,
    TokenAttentionWeights,
)

__all__ = [
    "DcifWeights",
    "FoldedMultiBranchWeights",
    "MultiBranchWeights",
    "TokenAttentionWeights",
    "active",
    "dcif",
    "filter_and_pool",
    "fold_dcif",
    "fold_multi_branch",
    "multi_branch_attention",
    "token_attention",
    "warp_normalize",
]
